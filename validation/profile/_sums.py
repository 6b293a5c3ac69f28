"""Exact sums of numbers and of their squares, as Python integers: the same in any order.

Numbers are cut into slices of 19 bits. Products of two slices have 38 bits, 16,384 of them sum up to less than 2**53, so a
matrix product of the slices is exact in float64, whatever way it adds; a library's fast one may be used.
"""

from __future__ import annotations

from typing import Any, Final, TypeAlias

import numpy as np

Array: TypeAlias = np.ndarray[Any, Any]

SCALE: Final = 1_074
"""Sums of floats are integers that count 2**-1074, the least float64; sums of squares count 2**-2148."""

_BITS: Final = 19
_BLOCK: Final = 16_384
_WINDOW: Final = 40  # bits between the largest and the least of numbers that are cut at the same places
_SLICES: Final = 5  # 41 bits of the window and the 53 of a number


def float_sums(values: Array) -> tuple[int, int]:
    """Return the sums of finite float64 numbers and of their squares, in units of 2**-1074 and 2**-2148."""
    total = squares = 0
    for start in range(0, len(values), _BLOCK):
        block = values[start : start + _BLOCK]
        while len(block):
            one, two, block = _float_block(block)
            total, squares = total + one, squares + two
    return total, squares


def int_sums(values: Array) -> tuple[int, int]:
    """Return the sums of int64 or uint64 numbers and of their squares."""
    total = squares = 0
    for start in range(0, len(values), _BLOCK):
        block = values[start : start + _BLOCK]
        bits = max(int(block.max()).bit_length(), int(block.min()).bit_length())
        rows = np.empty((bits // _BITS + 1, len(block)))
        for row in rows[:0:-1]:
            row[:] = block & block.dtype.type((1 << _BITS) - 1)
            block = block >> block.dtype.type(_BITS)
        rows[0] = block
        one, two = _gram(rows)
        total, squares = total + one, squares + two
    return total, squares


def _float_block(block: Array) -> tuple[int, int, Array]:
    """Return the sums of the larger numbers of a block, and the others."""
    sizes = np.abs(block)
    exponent = int(np.frexp(sizes.max())[1])
    small = (sizes < np.ldexp(1.0, exponent - _WINDOW)) & (sizes > 0)
    rest = block[small]
    rest_of = np.ldexp(block if not len(rest) else np.where(small, 0.0, block), -exponent)
    rows = []
    for number in range(_SLICES):
        shift = 1.5 * 2.0 ** (52 - _BITS * (number + 1))
        piece = (rest_of + shift) - shift
        rest_of -= piece
        rows.append(piece * 2.0 ** (_BITS * (number + 1)))
        if not rest_of.any():
            break
    one, two = _gram(np.array(rows))
    unit = exponent - _BITS * len(rows)
    return _shifted(one, SCALE + unit), _shifted(two, 2 * (SCALE + unit)), rest


def _gram(rows: Array) -> tuple[int, int]:
    """Return the sums of numbers and squares, slices given from the highest, in units of the last slice."""
    total = squares = 0
    for value in rows.sum(axis=1).tolist():
        total = (total << _BITS) + int(value)
    last = len(rows) - 1
    for i, line in enumerate((rows @ rows.T).tolist()):
        for j, value in enumerate(line):
            squares += int(value) << _BITS * (2 * last - i - j)
    return total, squares


def _shifted(value: int, bits: int) -> int:
    return value << bits if bits >= 0 else value >> -bits
