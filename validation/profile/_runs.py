"""Sums: of the counts of equal values in sorted arrays, and of what several profiles have."""

from __future__ import annotations

from collections.abc import Iterable
from operator import attrgetter
from typing import Any, TypeAlias

import numpy as np

Array: TypeAlias = np.ndarray[Any, Any]


def starts_of(ordered: Array) -> Array:
    """Return where each run of equal values begins."""
    new = np.ones(len(ordered), np.bool_)
    np.not_equal(ordered[1:], ordered[:-1], out=new[1:])
    return np.flatnonzero(new)


def summed(counts: Array, starts: Array) -> Array:
    """Return the sum of the counts of each run."""
    return np.add.reduceat(counts, starts) if len(starts) else counts[:0]


def told(several: Iterable[Any], *names: str) -> list[tuple[Any, ...]]:
    """Return attributes of many profiles, a tuple for each attribute; to look at each profile once is what is quick."""
    return list(zip(*map(attrgetter(*names), several), strict=True))


class Caching:
    """Base of values with slots, so that thousands of them are looked at quickly, that keep what was computed, too."""
