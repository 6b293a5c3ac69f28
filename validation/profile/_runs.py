"""Runs of equal values in sorted arrays."""

from __future__ import annotations

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
