"""Reads parts far away well ahead of who takes their rows, so that the latency of a request is waited for once.

Parts are opened beside each other, and row groups read beside each other, in order and within a budget of bytes. It
begins with little, since who looks at the first rows only should not pay for more. Row groups that are in memory already
wait for nothing: few are decoded ahead, by few threads, because memory that was just given back is the quickest to have.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from dataplat.lake._part_open import TAIL, open_part
from dataplat.lake._part_remote import RangedPart, open_all, open_whole
from dataplat.lake._scan_unit import Request, Unit, units_of, worth_opening
from dataplat.lake.deletes import load_deletes

if TYPE_CHECKING:
    import pyarrow as pa

    from dataplat.lake._part_open import OpenPart
    from dataplat.lake.objects import Objects
    from dataplat.lake.part import Part

T = TypeVar("T")

_THREADS: Final = 8
_NEAR_THREADS: Final = 2
"""Threads that decode what is in memory."""
_MOST: Final = 16
"""Parts that are opened, and row groups that are read, ahead."""
_NEAR: Final = 4
"""Of so many of these a row group that is in memory takes the place."""
_FIRST: Final = 2
_BUDGET: Final = 128 << 20
"""Bytes of parts that are fetched whole, and of row groups as they are decoded, ahead (one of each always is)."""
_NEARLY_ALL: Final = 0.8
"""From this share of a part on it is fetched whole, and kept in the cache."""


@dataclass(frozen=True, slots=True)
class Task(Generic[T]):
    """A call that `pool` makes ahead: `weight` bytes that it holds, and of how many others it takes the place."""

    pool: ThreadPoolExecutor
    call: Callable[[], T]
    weight: int
    places: int = 1


Opening = tuple[Callable[[], Sequence[Unit]], int]
"""Opens a part and gives the row groups to read in it; and the bytes that this takes."""


def scan_far(objects: Objects, parts: Sequence[Part], request: Request, *, all_of_it: bool) -> Iterator[pa.RecordBatch]:
    """Yield the rows of parts, as `scan` does; `all_of_it` says that the caller will take all of them."""
    types = {field.name: field.type for field in request.schema}
    everything = request.where is None and set(request.schema.names) <= set(request.output.names)
    todo = [(index, part) for index, part in enumerate(parts) if worth_opening(part, request, types)]

    def openings() -> Iterator[Opening]:
        for number, (index, part) in enumerate(todo):
            whole = everything and (all_of_it or number >= _FIRST)
            ranged = not all_of_it and number < _FIRST
            yield partial(_open, objects, part, index, request, whole, ranged), part.size if whole else TAIL

    return read_far(openings())


def _open(objects: Objects, part: Part, index: int, request: Request, whole: bool, ranged: bool) -> list[Unit]:  # noqa: FBT001
    """Open a part, as a whole if it is known to be wanted, by `ranged` requests if it must not cost more than these."""
    deletes = load_deletes(objects, part)
    opened = open_all(objects, part) if whole else open_part(objects, part)
    if isinstance(opened, RangedPart) and not ranged and _is_nearly_all(opened, request):
        opened = open_whole(objects, part)
    return list(units_of(opened, deletes, index, request))


def _is_nearly_all(opened: RangedPart, request: Request) -> bool:
    if request.where is not None:
        return False
    spans = (span for group in range(opened.row_groups) for span in opened.spans(group, _there(opened, request)))
    return sum(stop - start for start, stop in spans) >= _NEARLY_ALL * opened.part.size


def _there(opened: OpenPart, request: Request) -> list[str]:
    """Return the columns of a part that are read of it."""
    names = {*request.output.names, *(request.where.columns if request.where is not None else ())}
    stored = {request.stored(name) for name in names}
    return [name for name in opened.schema.names if name in stored]


def read_far(openings: Iterable[Opening]) -> Iterator[pa.RecordBatch]:
    """Yield the batches of the row groups that the openings give, in order."""
    far = ThreadPoolExecutor(_THREADS, thread_name_prefix="dataplat-far")
    near = ThreadPoolExecutor(_NEAR_THREADS, thread_name_prefix="dataplat-near")

    def reading(unit: Unit) -> Task[list[pa.RecordBatch]]:
        if isinstance(unit.opened, RangedPart):
            return Task(far, unit.read, _weight(unit))
        return Task(near, unit.read, _weight(unit), _NEAR)

    try:
        found = in_order(Task(far, opened, weight) for opened, weight in openings)
        for batches in in_order(reading(unit) for units in found for unit in units):
            yield from batches
    finally:
        for pool in (near, far):
            pool.shutdown(wait=False, cancel_futures=True)


def _weight(unit: Unit) -> int:
    """Return roughly the bytes of a row group as it is decoded."""
    group = unit.opened.metadata.row_group(unit.row_group)
    share = len(_there(unit.opened, unit.request)) / max(1, len(unit.opened.schema))
    return int(group.total_byte_size * min(1.0, share))


def in_order(tasks: Iterator[Task[T]], *, most: int = _MOST, budget: int = _BUDGET) -> Iterator[T]:
    """Yield the results of tasks in their order, run ahead: twice as many with each result, at most `most` at once.

    The weights of those that are under way, and not taken, are at most `budget` together, one always excepted.
    """
    ahead: deque[tuple[Future[T], Task[T]]] = deque()
    held, taken, allowed = 0, 0, _FIRST
    waiting: Task[T] | None = None
    ended: Exception | None = None
    while True:
        while ended is None and taken < allowed:
            try:
                waiting = waiting or next(tasks)
            except Exception as error:  # noqa: BLE001  (raised when what lies before it was taken)
                ended = error
                break
            if ahead and held + waiting.weight > budget:
                break
            ahead.append((waiting.pool.submit(waiting.call), waiting))
            held, taken, waiting = held + waiting.weight, taken + waiting.places, None
        if not ahead:
            break
        future, task = ahead.popleft()
        yield future.result()
        held, taken = held - task.weight, taken - task.places
        allowed = min(most, 2 * allowed)
    if ended is not None and not isinstance(ended, StopIteration):
        raise ended
