"""How long texts, bytes and lists are, counted exactly up to a length of 256 and by powers of two beyond."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import numpy as np

from dataplat.validation.profile._runs import Caching, told

Array: TypeAlias = np.ndarray[Any, Any]

EXACT: Final = 256


@dataclass(frozen=True, eq=False, slots=True)
class Lengths(Caching):
    """Lengths of texts (characters), bytes or lists (items).

    Args:
        low: the least length; high: the greatest, both 0 where there are no rows.
        total: all lengths summed.
        bins: int64, ascending: lengths up to 256; 257 + i is a length of more than `256 * 2**i` to twice that.
        counts: rows in each bin, int64.
    """

    low: int
    high: int
    total: int
    bins: Array = field(repr=False)
    counts: Array = field(repr=False)

    @classmethod
    def of(cls, lengths: Array, counts: Array | None = None) -> Lengths:
        """Count lengths (int64), each of so many rows."""
        if not len(lengths):
            return cls(0, 0, 0, np.empty(0, np.int64), np.empty(0, np.int64))
        most = np.minimum(lengths, EXACT)
        long = np.flatnonzero(lengths > EXACT)
        most[long] = EXACT + np.frexp((lengths[long] - 1) / EXACT)[1]
        summed = np.bincount(most, counts).astype(np.int64)
        total = int(lengths.sum() if counts is None else lengths @ counts)
        bins = np.flatnonzero(summed)
        return cls(int(lengths.min()), int(lengths.max()), total, bins, summed[bins])

    @classmethod
    def merge(cls, several: Sequence[Lengths]) -> Lengths:
        """Return the lengths of all rows."""
        several = [lengths for lengths in several if len(lengths.bins)] or several[:1]
        lows, highs, totals, bins, counts = told(several, "low", "high", "total", "bins", "counts")
        binned = np.concatenate(bins)
        summed = np.zeros(int(binned.max(initial=0)) + 1, np.int64)
        np.add.at(summed, binned, np.concatenate(counts))
        held = np.flatnonzero(summed)
        return cls(min(lows), max(highs), sum(totals), held, summed[held])

    @property
    def mean(self) -> float:
        """The mean length."""
        rows = int(self.counts.sum())
        return self.total / rows if rows else 0.0
