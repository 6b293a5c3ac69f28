"""Exact sums of one window at a time, as Python's integers: what a request needs is made without arrays, in microseconds.

Equal to `feature_store.kernel.moments` and `Sums.rounded` to the last bit. A key's tiles are held as running totals, so a
window is one subtraction.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

UNIT: Final = 1088
"""Totals are in 2^-1088, a multiple of 32 below the smallest float; squares in 2^-2176."""


@dataclass(frozen=True, slots=True)
class Point:
    """Exact sums of the values of a column.

    Attributes:
        count: of values that are not null.
        total: their sum, in 2^-1088.
        squares: the sum of their squares, in 2^-2176.
        wild: how many are NaN, inf and -inf; None: none are.
    """

    count: int = 0
    total: int = 0
    squares: int = 0
    wild: tuple[int, int, int] | None = None

    def __add__(self, other: Point) -> Point:
        wild = self.wild and other.wild and _added(self.wild, other.wild, 1)
        return Point(
            self.count + other.count,
            self.total + other.total,
            self.squares + other.squares,
            wild or self.wild or other.wild,
        )

    def __sub__(self, other: Point) -> Point:
        wild = self.wild if other.wild is None else _added(self.wild or (0, 0, 0), other.wild, -1)
        return Point(self.count - other.count, self.total - other.total, self.squares - other.squares, wild)

    def sum(self) -> float | None:
        """Return the nearest float of the sum; None of nothing."""
        if not self.count:
            return None
        return _divided(self.total, 1 << UNIT) if self.wild is None else _tamed(*self.wild, self.total)

    def integer(self) -> int | None:
        """Return the sum of integers; None of nothing."""
        return self.total >> UNIT if self.count else None

    def mean(self, scale: int = 0) -> float | None:
        """Return the nearest float of the sum, divided by the count, and by ten to the scale; None of nothing."""
        found = self.sum()
        return None if found is None else found / self.count / 10.0**scale

    def std(self, scale: int = 0) -> float | None:
        """Return the standard deviation of the sample; None of one value, NaN where one is not finite."""
        if self.wild is not None and any(self.wild) and (self.count > 1 or self.wild[0]):
            return math.nan
        if self.count < 2:
            return None
        n = self.count
        spread = n * self.squares - self.total**2
        return math.sqrt(_divided(spread, n * (n - 1) << 2 * UNIT)) / 10.0**scale


def _added(one: tuple[int, int, int], other: tuple[int, int, int], sign: int) -> tuple[int, int, int]:
    return one[0] + sign * other[0], one[1] + sign * other[1], one[2] + sign * other[2]


def _tamed(nan: int, up: int, down: int, total: int) -> float:
    if nan or (up and down):
        return math.nan
    return math.inf if up else -math.inf if down else _divided(total, 1 << UNIT)


def _divided(above: int, below: int) -> float:
    """Return the nearest float: Python divides integers so; infinite beyond the largest."""
    try:
        return above / below
    except OverflowError:
        return math.inf if above > 0 else -math.inf
