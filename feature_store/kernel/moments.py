"""Means and standard deviations of exact sums (PIT 23), by formulas that every engine shares."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np

from dataplat.feature_store.kernel.limbs import magnitude, nearest

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dataplat.feature_store.kernel.exact import Sums

    Ints: TypeAlias = NDArray[np.int64]
    Floats: TypeAlias = NDArray[np.float64]

_CHUNK: Final = 1 << 14
_MASK: Final = np.int64(0xFFFF_FFFF)
_UMASK: Final = np.uint64(0xFFFF_FFFF)
_U32: Final = np.uint64(32)


def means(total: Sums, counts: Ints, scale: int = 0) -> Floats:
    """Return the rounded sums, divided by their counts; of decimals then by ten to the scale."""
    return total.rounded() / np.maximum(counts, 1) / 10.0**scale


def deviations(total: Sums, squares: Sums, counts: Ints, scale: int = 0) -> Floats:
    """Return the roots of `variances`; of decimals divided by ten to the scale."""
    return np.sqrt(variances(total, squares, counts)) / 10.0**scale


def variances(total: Sums, squares: Sums, counts: Ints) -> Floats:
    """Return (n Σx² - (Σx)²) / (n (n - 1)): exact, and rounded once; NaN where a value is not finite.

    Args:
        total: exact sums.
        squares: exact sums of squares.
        counts: how many values each is of; below 2^31. Of fewer than two the variance is 0.
    """
    found = np.zeros(len(counts))
    for at in range(0, len(counts), _CHUNK):
        some = slice(at, at + _CHUNK)
        found[some] = _variance(total.take(some), squares.take(some), counts[some])
    if total.wild is not None:
        found[np.any(total.wild > 0, axis=0)] = np.nan
    return found


def _variance(total: Sums, squares: Sums, counts: Ints) -> Floats:
    _, sums = magnitude(total.limbs)
    _, raised = magnitude(squares.limbs)
    first = min(2 * total.first, squares.first)
    height = max(2 * (total.first + len(sums)), squares.first + len(raised)) + 2 - first
    limbs = np.zeros((height, len(counts)), np.int64)
    for place, limb in enumerate(raised, squares.first - first):
        product = limb * counts  # below 2^63
        limbs[place] += product & _MASK
        limbs[place + 1] += product >> np.int64(32)
    for i, one in enumerate(sums):
        for j, other in enumerate(sums[i:], i):
            wide = one.view(np.uint64) * other.view(np.uint64)
            place, times = 2 * total.first - first + i + j, 1 if i == j else 2
            limbs[place] -= times * (wide & _UMASK).view(np.int64)
            limbs[place + 1] -= times * (wide >> _U32).view(np.int64)
    _, spread = magnitude(limbs)  # never negative (Cauchy and Schwarz)
    room = np.zeros((4, len(counts)), np.int64)  # n (n - 1) is below 2^62, and 64 bits of the quotient are wanted
    quotient = np.concatenate((room, spread))
    rest = np.zeros(len(counts), bool)
    for divisor in (np.maximum(counts, 1), np.maximum(counts - 1, 1)):
        remainder: Ints = np.zeros(len(counts), np.int64)
        for place in range(len(quotient) - 1, -1, -1):
            value = (remainder << np.int64(32)) | quotient[place]
            quotient[place] = value // divisor
            remainder = value - quotient[place] * divisor
        rest |= remainder > 0
    return nearest(quotient, first - 4, rest)
