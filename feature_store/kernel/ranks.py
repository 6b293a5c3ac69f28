"""Order statistics of windows: the r-th smallest, extremes, how many different ones; exact, and in linear memory.

Values are int64 codes, one per life of a chunk, whose order is theirs.

`smallest` is the quantile query of a wavelet matrix (Claude, Navarro and Ordóñez, 2015), bit by bit, without keeping the
matrix: all questions go down its levels together. It counts in what came and subtracts what went, so it needs no range.
`extremes` is a sparse table of which only one level is there at a time. `different` makes of the lives of equal values
their union; how many values there are is then how many unions began less how many ended.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from dataplat.feature_store.kernel.spans import Chunk, Coming, Span, Timeline, arranged

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Ints: TypeAlias = NDArray[np.int64]
    Narrow: TypeAlias = NDArray[np.int32]


@dataclass(slots=True)
class _Level:
    """A sequence of codes at one level, and the range of each question in it; `sign` -1 takes away."""

    codes: Narrow
    low: Narrow
    high: Narrow
    sign: int

    def zeros(self, bit: int) -> tuple[NDArray[np.bool_], Narrow, Narrow, int]:
        """Return which codes have the bit, how many have not before low and high of each question, and in all."""
        ones = (self.codes & np.int32(1 << bit)) != 0
        before = np.zeros(len(ones) + 1, np.int32)
        np.cumsum(~ones, dtype=np.int32, out=before[1:])
        return ones, before[self.low], before[self.high], int(before[-1])


def smallest(span: Span, codes: Ints, ranks: Ints) -> Ints:
    """Return for each question the code of rank `ranks` (from 0) among those of its lives.

    Args:
        span: the lives of each question.
        codes: of each life of the chunk, from 0, dense.
        ranks: below how many lives the question has; of one without lives the answer means nothing.
    """

    def level(order: Ints, low: Ints, high: Ints, sign: int) -> _Level:
        return _Level(codes[order].astype(np.int32), low.astype(np.int32), high.astype(np.int32), sign)

    if span.go is None:
        levels = [level(span.come, span.gone, span.came, 1)]
    else:
        levels = [level(span.come, span.first, span.came, 1), level(span.go, span.first, span.gone, -1)]
    found = np.zeros(len(ranks), np.int64)
    ranks = ranks.copy()
    for bit in range(max(int(codes.max(initial=0)).bit_length() - 1, 0), -1, -1):
        split = [level.zeros(bit) for level in levels]
        left = sum(
            (level.sign * (high - low) for level, (_, low, high, _) in zip(levels, split, strict=True)), 0 * ranks
        )
        right = ranks >= left
        ranks -= np.where(right, left, 0)
        found |= right.astype(np.int64) << bit
        for each, (ones, low, high, zeros) in zip(levels, split, strict=True):
            each.low = np.where(right, np.int32(zeros) + each.low - low, low)
            each.high = np.where(right, np.int32(zeros) + each.high - high, high)
            each.codes = np.concatenate((each.codes[~ones], each.codes[ones]))
    return found


def dense(keys: Ints) -> tuple[Ints, Ints]:
    """Return the different keys, rising, and the place of each key among them."""
    if len(keys):
        low, high = int(keys.min()), int(keys.max())
        if high - low <= 2 * len(keys):  # as small integers are: counted, and not sorted
            there = np.zeros(high - low + 1, bool)
            there[keys - low] = True
            return np.flatnonzero(there) + low, (np.cumsum(there) - 1)[keys - low]
    different, places = np.unique(keys, return_inverse=True)
    return different, places.reshape(-1)


def extremes(span: Span, keys: Ints, *, greatest: bool) -> Ints:
    """Return for each question the least key of its lives, or the greatest; 0 where it has none."""
    if span.go is not None:
        different, codes = dense(keys)
        found = smallest(span, codes, np.maximum(span.count - 1, 0) if greatest else 0 * span.count)
        return different[np.minimum(found, len(different) - 1)] if len(different) else found
    pick = np.maximum if greatest else np.minimum
    table = keys[span.come]
    found = np.zeros(len(span.count), np.int64)
    level = np.frexp(span.count.astype(np.float64))[1] - 1  # the power of two in the count; -1 of none
    by_level = np.argsort(level, kind="stable")
    bounds = np.searchsorted(level[by_level], np.arange(level.max(initial=-1) + 2))
    for power in range(len(bounds) - 1):
        some = by_level[bounds[power] : bounds[power + 1]]
        found[some] = pick(table[span.gone[some]], table[span.came[some] - (1 << power)])
        if power < len(bounds) - 2:
            table = pick(table[: -1 << power], table[1 << power :])
    return found


def different(chunk: Chunk, come: Coming, off: Ints, keys: Ints, wanted: NDArray[np.bool_] | None) -> Ints:
    """Return for each question how many different keys its lives have.

    Args:
        chunk: lives and questions.
        come: the order in which lives come.
        off: when each life ends.
        keys: of each life; equal ones are one.
        wanted: which lives count at all; None: those that are lived.
    """
    lived = off > chunk.on if wanted is None else wanted & (off > chunk.on)
    some = come.order[lived[come.order]]
    if not len(some):
        return np.zeros(len(chunk.of), np.int64)
    codes = dense(keys[some])[1]
    value = chunk.key[some] * (int(codes.max()) + 1) + codes
    order = np.argsort(value, kind="stable")
    fresh = np.diff(value[order], prepend=-1) != 0
    some = some[order]
    key, on = chunk.key[some], chunk.on[some]
    reach = _greatest_so_far(np.cumsum(fresh) - 1, off[some])
    begins = fresh | (on > np.concatenate(([0], reach[:-1])))
    ends = reach[np.append(begins[1:], True)]
    key, on = key[begins], on[begins]
    started, ended = arranged(key, on), arranged(key, ends)
    begun = Timeline.of(key[started], on[started], len(chunk.starts)).upto(chunk.of, chunk.t)
    return begun - Timeline.of(key[ended], ends[ended], len(chunk.starts)).upto(chunk.of, chunk.t)


def _greatest_so_far(run: Ints, values: Ints) -> Ints:
    """Return the greatest value from the beginning of the run to each place."""
    if bool(((np.diff(run) > 0) | (np.diff(values) >= 0)).all()):
        return values
    order = np.argsort(values, kind="stable")
    place = np.empty(len(values), np.int64)
    place[order] = np.arange(len(values))
    top = np.maximum.accumulate(run * len(values) + place)
    return values[order[top - run * len(values)]]
