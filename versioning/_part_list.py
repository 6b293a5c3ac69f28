"""The parts of a version as a sequence: those of a segment are made when one of them is touched.

Of a large segment its head is read, without the statistics. Those come when the first of them is looked at, and with
them those of the segments that follow, since who looks through parts would wait for each.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Final, overload

if TYPE_CHECKING:
    from dataplat.lake.part import Part
    from dataplat.versioning._stats import StatsColumn
    from dataplat.versioning.segments import Segment

_AHEAD: Final = 64
"""Segments that are fetched at most for one that is asked for."""


class PartList(Sequence["Part"]):
    """Parts in runs, of which each is given by its length and by what makes it."""

    def __init__(self, runs: Sequence[tuple[int, Callable[[], list[Part]]]]) -> None:
        self._made: list[list[Part] | None] = [None] * len(runs)
        self._make = [make for _, make in runs]
        self._ends = list(accumulate(count for count, _ in runs))

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def __iter__(self) -> Iterator[Part]:
        for run in range(len(self._made)):
            yield from self._run(run)

    @overload
    def __getitem__(self, index: int) -> Part: ...
    @overload
    def __getitem__(self, index: slice) -> list[Part]: ...
    def __getitem__(self, index: int | slice) -> Part | list[Part]:
        if isinstance(index, slice):
            return [self[at] for at in range(*index.indices(len(self)))]
        at = index + len(self) if index < 0 else index
        if not 0 <= at < len(self):
            raise IndexError(f"part {index} of {len(self)}")
        run = bisect_right(self._ends, at)
        return self._run(run)[at - self._ends[run]]  # from the end of the run

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PartList | list) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return repr(list(self))

    def _run(self, run: int) -> list[Part]:
        made = self._made[run]
        if made is None:
            made = self._made[run] = self._make[run]()
        return made


class Statistics:
    """The statistics of segments of which only the head was read.

    Args:
        fetch: By segment, in the order of their parts: reads all of it.
        at_once: How many are worth reading beside each other.
    """

    def __init__(self, fetch: Sequence[Callable[[], Segment]], at_once: int) -> None:
        self._fetch = fetch
        self._at_once = at_once
        self._next = 1
        self._whole: dict[int, Segment] = {}

    def column(self, at: int, name: str) -> StatsColumn:
        """Return the statistics of one column over all parts of segment `at`."""
        if at not in self._whole:
            self._load(at)
        return self._whole[at].column(name)

    def _load(self, at: int) -> None:
        """Fetch a segment and some that follow: twice as many each time, since few may be all that is wanted."""
        wanted = [n for n in range(at, min(at + self._next, len(self._fetch))) if n not in self._whole]
        self._next = min(2 * self._next, _AHEAD)
        if self._at_once <= 1 or len(wanted) == 1:
            self._whole.update((n, self._fetch[n]()) for n in wanted)
            return
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(self._at_once, thread_name_prefix="dataplat-segments") as pool:
            self._whole.update(zip(wanted, pool.map(lambda n: self._fetch[n](), wanted), strict=True))
