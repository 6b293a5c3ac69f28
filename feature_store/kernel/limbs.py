"""Arithmetic of integers in limbs of 32 bits, many at once, and the floats nearest to them.

`limbs[i, j]` is of the j-th integer and weighs 2^(32 (first + i)).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Ints: TypeAlias = NDArray[np.int64]
    Words: TypeAlias = NDArray[np.uint64]
    Floats: TypeAlias = NDArray[np.float64]

_MASK: Final = np.int64(0xFFFF_FFFF)
_UMASK: Final = np.uint64(0xFFFF_FFFF)
_U32: Final = np.uint64(32)


def magnitude(limbs: Ints) -> tuple[NDArray[np.bool_], Ints]:
    """Return which sums are negative, and the limbs of what they are without their sign, each of 32 bits."""
    found = np.empty((len(limbs) + 2, limbs.shape[1]), np.int64)
    carry: Ints = np.zeros(limbs.shape[1], np.int64)
    for place, limb in enumerate(limbs):  # a limb and a carry are below 2^63 in magnitude together
        value = limb + carry
        found[place] = value & _MASK
        carry = value >> np.int64(32)
    found[-2] = carry & _MASK
    negative = carry < 0
    found[-1] = np.where(negative, _MASK, 0)
    if negative.any():
        borrow: Ints = negative.astype(np.int64)
        for place in range(len(found)):
            value = np.where(negative, found[place] ^ _MASK, found[place]) + borrow
            found[place] = value & _MASK
            borrow = value >> np.int64(32)
    return negative, found[:-1]


def nearest(limbs: Ints, first: int, sticky: NDArray[np.bool_] | None = None) -> Floats:
    """Return the floats nearest to magnitudes; `sticky` says that a little is missing below the last limb."""
    top, exponent, below = _leading(limbs, first)
    if sticky is not None:
        below = below | sticky
    with np.errstate(over="ignore"):
        found = np.ldexp((top | below.astype(np.uint64)).astype(np.float64), exponent.astype(np.int32))
    small = np.flatnonzero((top > 0) & (exponent < -1074 - 11))  # subnormal: rounded at 2^-1074, not at 53 bits
    if len(small):
        drop = np.minimum(-1074 - exponent[small], 64).astype(np.uint64)
        word = top[small]
        kept = np.where(drop < 64, word >> np.minimum(drop, np.uint64(63)), np.uint64(0))
        guard = (word >> (drop - np.uint64(1))) & np.uint64(1)
        rest = ((word & ((np.uint64(1) << (drop - np.uint64(1))) - np.uint64(1))) > 0) | below[small]
        up = guard & (rest | (kept & np.uint64(1)).astype(bool))
        far = -1074 - exponent[small] > 64
        found[small] = np.where(far, 0.0, np.ldexp((kept + up).astype(np.float64), -1074))
    return found


def _leading(limbs: Ints, first: int) -> tuple[Words, Ints, NDArray[np.bool_]]:
    """Return the leading 64 bits of magnitudes, the exponent of the last of them, and whether bits follow."""
    height, length = limbs.shape
    padded = np.zeros((height + 2, length), np.int64)
    padded[2:] = limbs
    highest = np.full(length, 2, np.int64)
    for place in range(3, height + 2):
        highest[padded[place] != 0] = place
    columns = np.arange(length)
    a, b, c = (padded[highest - step, columns] for step in range(3))
    below = np.zeros(length, bool)
    for place in range(height - 1):
        below |= (padded[place] != 0) & (highest - 2 > place)
    width = np.frexp(a.astype(np.float64))[1].astype(np.int64)
    lift = (32 - width).astype(np.uint64)
    pair = (a.view(np.uint64) << _U32) | b.view(np.uint64)
    top = (pair << lift) | (c.view(np.uint64) >> (_U32 - lift))
    below |= ((c.view(np.uint64) << lift) & _UMASK) > 0
    exponent = (highest - 2 + first - 1) * 32 - lift.view(np.int64)
    return top, exponent, below
