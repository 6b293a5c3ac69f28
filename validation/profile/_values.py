"""How many values a column has, and which are frequent: canonical whatever the order of the merges.

**Distinct.** The 1,024 least hashes of distinct values (KMV: Bar-Yossef et al. 2002; Beyer et al. 2007) are a function of
the set of values. Below 1,024 the number is exact; else the estimate has a standard error of 3.1 %. It is never less than
what the part of most values has, nor more than all parts have together: of one part it is exact, too.

**Frequent.** A part with fewer distinct values than that lists all of them with their counts; another lists those that
hold at least 1 / 256 of its rows. Counts are added up by value and by *level*, the binary logarithm of the count in the
part. Columns of few values stay exact for ever. Where the union has 1,024 values or more, counts of a level below
`L(N)` are left out, `L` the least with `N / 2**L <= 131,072`. Whether the union is that wide, and `N`, only grow, and a
count's level does not change: so what is left is a function of the set of parts, and the list is bounded.

A count is never too high. It is too low by at most the largest count that each part did not list, summed, and
`2**L - 1` for each part where the union is wide; `error` has the sum.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, TypeAlias

import numpy as np

from dataplat.validation.profile._runs import Caching, starts_of, summed, told

Array: TypeAlias = np.ndarray[Any, Any]

VALUES: Final = 1_024
PATTERNS: Final = 256
SHARE: Final = 256
_STEPS: Final = (64, 8, 1)
_CAPACITY: Final = 131_072
_SPACE: Final = 1 << 64
_LEVEL_BITS: Final = np.uint64(6)
_LEVELS: Final = np.uint64(63)


@dataclass(frozen=True, eq=False, slots=True)
class Values(Caching):
    """Distinct and frequent values.

    Args:
        size: how many least hashes are kept.
        rows: rows that hold a value.
        parts: parts that hold one.
        hashes: the least hashes of distinct values, uint64, ascending.
        keys: for listed values the upper 58 bits of their hashes, and the level in the lower 6; uint64, ascending.
        counts: rows, int64; a value is there once per level.
        shown: the values themselves, as an object array; texts of more than 256 characters are cut.
        unlisted: the largest count that each part did not list, summed.
        within: the number of distinct values of the part that has most, and that of all parts summed.
    """

    size: int
    rows: int
    parts: int
    hashes: Array = field(repr=False)
    keys: Array = field(repr=False)
    counts: Array = field(repr=False)
    shown: Array = field(repr=False)
    unlisted: int = 0
    within: tuple[int, int] = (0, 0)

    @classmethod
    def merge(cls, several: Sequence[Values]) -> Values:
        """Return what is known of all rows together."""
        if len(several) == 1:
            return several[0]
        size = several[0].size
        names = ("rows", "parts", "unlisted", "within", "hashes", "keys", "counts", "shown")
        rows, parts, unlisted, within, hashes, keys, counts, shown = told(several, *names)
        together, least = sum(rows), _least(hashes, size)
        listed = _listed(keys, counts, shown, _level(together) if len(least) == size else 0)
        fewest, most = zip(*within, strict=True)
        return cls(size, together, sum(parts), least, *listed, sum(unlisted), (max(fewest), sum(most)))

    @property
    def wide(self) -> bool:
        """Whether there are as many distinct values as hashes are kept, or more."""
        return len(self.hashes) >= self.size

    @property
    def exact(self) -> bool:
        """Whether the number of distinct values is known: where they are few, or all in one part."""
        return not self.wide or self.within[0] == self.within[1]

    @property
    def distinct(self) -> int:
        """How many values there are: exactly, or about."""
        return self._distinct(1.0)

    @property
    def distinct_bounds(self) -> tuple[int, int]:
        """Between which the number of values lies, but for one case in twenty."""
        off = 1.96 / math.sqrt(self.size - 2)
        return self._distinct(1 - off), self._distinct(1 + off)

    def _distinct(self, factor: float) -> int:
        if not self.wide:
            return len(self.hashes)
        estimate = round(factor * (self.size - 1) * _SPACE / (int(self.hashes[-1]) + 1))
        least, most = self.within
        return min(max(estimate, least, self.size), most)

    @property
    def error(self) -> int:
        """How much too low a count can be, in rows."""
        left_out = self.parts * ((1 << _level(self.rows)) - 1) if self.wide else 0
        return min(self.unlisted + left_out, self.others)

    @cached_property
    def others(self) -> int:
        """Rows of values that are not listed, or were not in some part."""
        return self.rows - int(self.counts.sum())

    @cached_property
    def frequent(self) -> tuple[tuple[Any, int], ...]:
        """Listed values with their counts, the most frequent first; of equal ones by their text."""
        starts = starts_of(self.keys >> _LEVEL_BITS)
        counts = summed(self.counts, starts)
        pairs = zip(self.shown[starts].tolist(), counts.tolist(), strict=True)
        return tuple(sorted(pairs, key=lambda pair: (-pair[1], str(pair[0]))))


def values_of(hashes: Array, counts: Array, shown: Any, size: int = VALUES) -> Values:
    """Summarise one part: distinct values by their `hashes` (uint64), their counts, and `shown`, a function that returns
    the values at some positions as a list.
    """  # noqa: D205
    rows = int(counts.sum())
    least = _least([hashes], size)
    if len(least) < size:
        listed, unlisted = np.arange(len(hashes)), 0
    else:
        often = counts * SHARE >= rows
        listed = np.flatnonzero(often)
        unlisted = int(counts[~often].max(initial=0))
    levels = (np.frexp(counts[listed].astype(np.float64))[1] - 1).astype(np.uint64)
    keys = hashes[listed] & ~_LEVELS | levels
    order = np.argsort(keys)
    listed = listed[order]
    texts = np.empty(len(listed), object)
    texts[:] = shown(listed)
    within = len(hashes), len(hashes)
    return Values(size, rows, int(rows > 0), least, keys[order], counts[listed], texts, unlisted, within)


def _listed(
    several: Sequence[Array], counts: Sequence[Array], shown: Sequence[Array], least: int
) -> tuple[Array, Array, Array]:
    """Return keys, counts and texts of all that are listed at a level of `least` or more, by their keys."""
    keys = np.concatenate(several)
    there = np.flatnonzero(keys & _LEVELS >= np.uint64(least))
    order = there[np.argsort(keys[there])]
    keys = keys[order]
    starts = starts_of(keys)
    first = order[starts]  # where one of each key is
    ends = np.cumsum([0, *map(len, several)])
    holder = np.searchsorted(ends, first, "right") - 1
    texts = np.empty(len(first), object)
    texts[:] = [shown[at][place] for at, place in zip(holder.tolist(), (first - ends[holder]).tolist(), strict=True)]
    return keys[starts], summed(np.concatenate(counts)[order], starts), texts


def _least(several: Sequence[Array], size: int) -> Array:
    """Return the least distinct hashes of all, of arrays in any order or, of more than one, ascending."""
    if len(several) == 1:
        (hashes,) = several
        if len(hashes) > 8 * size:  # few of them are wanted
            few = hashes[hashes < np.uint64(2 * size * _SPACE // len(hashes))]
            hashes = few if len(few) >= size else hashes
        return _distinct(hashes)[:size]
    limit = None
    for step in _STEPS:  # what is beyond the least of some is not among the least of all
        some = several[::step]
        if limit is not None:
            some = [hashes[: hashes.searchsorted(limit, "right")] for hashes in some]
        least = _distinct(np.concatenate(some))
        if len(least) >= size:
            limit = least[size - 1]
    return least[:size]


def _distinct(hashes: Array) -> Array:
    hashes = np.sort(hashes)
    return hashes[starts_of(hashes)]


def _level(rows: int) -> int:
    return ((rows - 1) // _CAPACITY).bit_length() if rows else 0
