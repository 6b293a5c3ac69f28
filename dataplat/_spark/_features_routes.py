"""Where rows of keys go: to one of some partitions by the digest of the key, and keys that have many rows to several.

A partition has the questions of a range of digests, and all facts of these keys. A hot key has partitions of its own, each
with the questions between two times, and of its facts those which matter then (`feature_store.kernel.cuts`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np

from dataplat.feature_store.kernel.cuts import mattering
from dataplat.feature_store.kernel.order import sliced, taken

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from dataplat.feature_store.definitions import FeatureView
    from dataplat.feature_store.kernel.answer import AsKnown
    from dataplat.feature_store.kernel.ask import Ask
    from dataplat.feature_store.kernel.facts import Facts

    Ints: TypeAlias = NDArray[np.int64]

SLICE: Final = 1 << 19
"""Rows that travel together at most."""
SLICE_BYTES: Final = 256 << 20
"""Bytes that travel together at most, if one row has no more: Spark holds a packet as one value, of 2 GiB at most."""
_SPREAD: Final = 4096
"""Questions without a key that go to one partition, before the next gets some."""


@dataclass(frozen=True, slots=True)
class Hot:
    """A key that has many rows.

    Attributes:
        high: the upper half of its digest.
        low: the lower half.
        times: the last time of each of its partitions but the last, microseconds, ascending.
    """

    high: int
    low: int
    times: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Routes:
    """The partitions of views that ask the same of a spine.

    Attributes:
        first: the number of the first.
        buckets: how many there are for ranges of digests; those of hot keys come behind them.
        hot: keys that have partitions of their own.
    """

    first: int
    buckets: int
    hot: tuple[Hot, ...] = ()

    @property
    def stop(self) -> int:
        """The number after the last."""
        return self.first + self.buckets + sum(len(each.times) + 1 for each in self.hot)

    def of_ask(self, ask: Ask, rows: Ints) -> Ints:
        """Return the partition of each question."""
        found = self.first + np.searchsorted(self._bounds(), ask.high, "right") - 1
        for hot, own in self._own():
            mine = (ask.high == np.uint64(hot.high)) & (ask.low == np.uint64(hot.low))
            found[mine] = own + np.searchsorted(np.array(hot.times, np.int64), ask.t[mine])
        if ask.keyless is not None:
            found[ask.keyless] = self.first + rows[ask.keyless] // _SPREAD % self.buckets
        return found

    def of_facts(self, view: FeatureView, found: Facts, as_known: AsKnown) -> Iterator[tuple[int, Facts]]:
        """Yield facts of a view, in order, by their partitions; those of a hot key may go to several, or to none."""
        places = [*np.searchsorted(found.high, self._bounds()).tolist(), len(found)]
        own = [(low, high, hot, to) for hot, to in self._own() for low, high in [_place(found, hot)] if high > low]
        for bucket, (low, high) in enumerate(pairwise(places)):
            at = low
            for begin, end, *_ in sorted(each for each in own if low <= each[0] < high):
                yield from _slices(self.first + bucket, sliced(found, at, begin))
                at = end
            yield from _slices(self.first + bucket, sliced(found, at, high))
        for low, high, hot, to in own:
            mine = sliced(found, low, high)
            ends = [None, *hot.times, None]
            for number, (before, last) in enumerate(pairwise(ends)):
                first = None if before is None else before + 1
                if as_known is None:
                    yield from _slices(to + number, taken(mine, np.flatnonzero(mattering(view, mine, first, last))))
                else:
                    yield from _slices(to + number, mine)

    def _bounds(self) -> NDArray[np.uint64]:
        """Return the least digest of each bucket."""
        return np.array([(number << 64) // self.buckets for number in range(self.buckets)], np.uint64)

    def _own(self) -> Iterator[tuple[Hot, int]]:
        """Yield hot keys, and the first partition of each."""
        at = self.first + self.buckets
        for each in self.hot:
            yield each, at
            at += len(each.times) + 1


def _place(found: Facts, hot: Hot) -> tuple[int, int]:
    """Return where the rows of a key are."""
    low, high = (int(np.searchsorted(found.high, np.uint64(hot.high), side)) for side in ("left", "right"))
    words = found.low[low:high]
    first, stop = (int(np.searchsorted(words, np.uint64(hot.low), side)) for side in ("left", "right"))
    return low + first, low + stop


def _slices(to: int, found: Facts) -> Iterator[tuple[int, Facts]]:
    for _, some in _halved(found, sliced, SLICE):
        yield to, some


def within(rows: pa.Table) -> Iterator[tuple[int, pa.Table]]:
    """Yield rows in slices of bounded bytes, each with the number of its first row; of no rows nothing."""
    return _halved(rows, lambda some, first, stop: some.slice(first, stop - first), len(rows))


def _halved(rows: Any, cut: Callable[[Any, int, int], Any], most: int, first: int = 0) -> Iterator[tuple[int, Any]]:
    """Yield rows in slices of `most` rows and `SLICE_BYTES` at most, each with the number of its first row."""
    if len(rows) > most or (len(rows) > 1 and rows.nbytes > SLICE_BYTES):
        half = len(rows) // 2
        yield from _halved(cut(rows, 0, half), cut, most, first)
        yield from _halved(cut(rows, half, len(rows)), cut, most, first + half)
    elif len(rows):
        yield first, rows


@dataclass(frozen=True, slots=True)
class Heavy:
    """A key with its rows: how many, and some of their times.

    Attributes:
        high: the upper half of its digest.
        low: the lower half.
        rows: how many it has.
        times: some of them, as many apart as can be.
    """

    high: int
    low: int
    rows: int
    times: tuple[int, ...]


def routes(first: int, rows: int, heavy: Sequence[Heavy], size: int, least: int) -> Routes:
    """Return partitions of about `size` rows each.

    Args:
        first: the number of the first.
        rows: how many there are: questions, and facts.
        heavy: keys that have many, counted in pieces; a key may come several times.
        size: rows of a partition.
        least: how many partitions there are at least.
    """
    size = max(1, min(size, -(-rows // least)))
    counts: dict[tuple[int, int], int] = {}
    times: dict[tuple[int, int], list[tuple[int, float]]] = {}
    for each in heavy:
        key = (each.high, each.low)
        counts[key] = counts.get(key, 0) + each.rows
        times.setdefault(key, []).extend((t, each.rows / len(each.times)) for t in each.times)
    hot = [
        Hot(*key, _cut(times[key], -(-count // size)))
        for key, count in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
        if 2 * count > size
    ]
    rest = rows - sum(counts[each.high, each.low] for each in hot)
    return Routes(first, max(1, -(-rest // size)), tuple(hot))


def _cut(times: Sequence[tuple[int, float]], count: int) -> tuple[int, ...]:
    """Return times that cut weighted times into `count` parts of about equal weight."""
    ordered = sorted(times)
    weights = np.cumsum([weight for _, weight in ordered])
    ends = [weights[-1] * number / count for number in range(1, count)]
    found = {ordered[min(int(np.searchsorted(weights, end)), len(ordered) - 1)][0] for end in ends}
    return tuple(sorted(found))
