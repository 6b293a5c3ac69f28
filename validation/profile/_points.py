"""Quantiles that can be merged: rows chosen by their rank in each part, the same whatever the order of the merges.

Of a part of `n` numbers, sorted, those of rank `r` with `r ≡ o (mod 2**w)` are kept, where `2**w` is at most `n / 512`
and the offset `o` comes from a hash of the numbers themselves. Each stands for `2**w` rows, so a rank that is read from
them is off by less than `2**w`, which is `n / 512` at most. Up to 1,023 numbers all are kept.

**Merging does not depend on grouping.** For a set of parts with `N` numbers together the step is
`2**max(w, L)`, `L` the least with `N / 2**L <= 32,768`, and of each part the rows `r ≡ o (mod 2**max(w, L))` are kept.
That is a function of the set of parts alone. A merge can always make it from its inputs: `N` only grows, so `L` does, and
`r ≡ o (mod 2**(L + 1))` implies `r ≡ o (mod 2**L)`, so the rows that are wanted are among those that are there. Every
point carries its *survival*, the largest `s` with `r ≡ o (mod 2**s)`: it stays while `s >= L`.

**Error.** A part's count below any value is off by at most `2**max(w, L) - 1` rows: the sum over the parts is certain.
As offsets are hashes, these errors are independent with mean 0 and a range of `2**max(w, L)`, so by Hoeffding's
inequality (1963) the sum grows with the root of the number of parts only.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Any, Final, TypeAlias

import numpy as np

from dataplat.validation.profile._runs import Caching, starts_of, told

Array: TypeAlias = np.ndarray[Any, Any]

PER_PART: Final = 512
CAPACITY: Final = 32_768
_ALMOST_SURE: Final = 1e-6  # the chance that an error is larger than the likely one
_MOST: Final = 63
_STEP_BITS: Final = 6


@dataclass(frozen=True, eq=False, slots=True)
class Points(Caching):
    """Numbers of one column, each standing for `2**step` rows.

    Args:
        count: numbers that were summarised.
        values: the points, int64 or float64, those of longest survival first, then of smaller step, then by value.
        keys: uint16 for each point, `(63 - survival) << 6 | step`.
        parts: how many parts were summarised, by the exponent of their own step.
    """

    count: int
    values: Array = field(repr=False)
    keys: Array = field(repr=False)
    parts: Mapping[int, int]

    @classmethod
    def of(cls, ordered: Array, seed: int) -> Points:
        """Summarise sorted numbers (int64, or float64 without NaN); `seed` is a hash of them."""
        count = len(ordered)
        step = max(0, (count // PER_PART).bit_length() - 1)
        first = seed & ((1 << step) - 1)
        ranks = np.arange(first, count, 1 << step, dtype=np.uint64)
        survival = _trailing_zeros(ranks - np.uint64(seed & (1 << 64) - 1))
        keys = ((_MOST - survival) << _STEP_BITS | step).astype(np.uint16)
        order = np.argsort(keys, kind="stable")
        return cls(count, ordered[ranks[order]], keys[order], {step: 1} if count else {})

    @classmethod
    def merge(cls, several: Sequence[Points]) -> Points:
        """Return the summary of all numbers together."""
        if len(several) == 1:
            return several[0]
        counts, steps, arrays, ranked = told(several, "count", "parts", "values", "keys")
        count, parts = sum(counts), dict[int, int]()
        for some in steps:
            for step, number in some.items():
                parts[step] = parts.get(step, 0) + number
        least = _level(count)
        limit = np.uint16((_MOST + 1 - least) << _STEP_BITS)
        stays = [int(each.searchsorted(limit)) for each in ranked]
        values = np.concatenate([each[:stop] for each, stop in zip(arrays, stays, strict=True)])
        keys = np.concatenate([each[:stop] for each, stop in zip(ranked, stays, strict=True)])
        keys = keys & ~np.uint16(_MOST) | np.maximum(keys & _MOST, np.uint16(least))
        order = np.argsort(keys, kind="stable")
        values, keys = values[order], keys[order]
        for start, stop in pairwise([*starts_of(keys), len(keys)]):
            values[start:stop].sort()
        return cls(count, values, keys, dict(sorted(parts.items())))

    @property
    def exact(self) -> bool:
        """Whether every number is there."""
        return self.certain_error == 0

    @property
    def certain_error(self) -> float:
        """The most that the share of numbers below a value can be off by."""
        return min(1.0, sum(n * (step - 1) for step, n in self._steps()) / self.count) if self.count else 0.0

    @property
    def likely_error(self) -> float:
        """What that share is off by at most, but for one case in a million."""
        if not self.count or self.exact:
            return 0.0
        squares = sum(n * step * step for step, n in self._steps())
        return min(self.certain_error, math.sqrt(math.log(2 / _ALMOST_SURE) / 2 * squares) / self.count)

    @cached_property
    def ordered(self) -> tuple[Array, Array]:
        """The points in order, and how many rows are up to each of them (about; exactly where they are all there)."""
        order = np.argsort(self.values, kind="stable")
        weights = np.left_shift(np.int64(1), (self.keys & _MOST).astype(np.int64))
        return self.values[order], np.minimum(np.cumsum(weights[order]), self.count)

    def upto(self, at: Any, *, below: bool = False) -> Array:
        """Return how many numbers are at most (or `below`) each value."""
        values, sums = self.ordered
        found = np.searchsorted(values, at, "left" if below else "right")
        counts: Array = np.concatenate((np.zeros(1, np.int64), sums))[found]
        return counts

    def quantiles(self, shares: Any) -> Array:
        """Return for each share (0 to 1) the least point up to which so many of the numbers lie."""
        values, sums = self.ordered
        wanted = np.ceil(np.asarray(shares, np.float64) * self.count - 1e-9)
        return values[np.minimum(np.searchsorted(sums, wanted, "left"), len(values) - 1)]

    def _steps(self) -> list[tuple[int, int]]:
        least = _level(self.count)
        return [(1 << max(step, least), number) for step, number in self.parts.items()]


def _level(count: int) -> int:
    return ((count - 1) // CAPACITY).bit_length() if count else 0


def _trailing_zeros(words: Array) -> Array:
    """Return for each word how often 2 divides it; 63 for 0."""
    lowest = words & (~words + np.uint64(1))
    exponents = np.frexp(lowest.astype(np.float64))[1].astype(np.int64) - 1
    return np.where(words == 0, _MOST, exponents)
