"""Functions of the values of one window in Python: those of `feature_store.kernel.windows`, to the last bit (PIT 23).

Values are as records have them: None for nulls, bytes where they have no fixed width.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from decimal import Context, Decimal
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dataplat.errors import SchemaError
from dataplat.feature_store.kernel.points import UNIT, Point
from dataplat.feature_store.online.cells import Cell
from dataplat.feature_store.online.plan import Base
from dataplat.feature_store.windows import DistinctCount, First, Last, LastN, Max, Mean, Min, Quantile, Std, Sum, Window

if TYPE_CHECKING:
    import pyarrow as pa

_INT64: Final = range(-(2**63), 2**63)
_EXACT: Final = Context(prec=100)
_MANY: Final = 100
"""Values above which an array is faster than a list."""


def applied(base: Base, window: Window) -> Callable[[list[Any]], Any]:
    """Return a function of the values of a window's events, in order, None for nulls."""
    cell = base.events[window.column or ""]
    load = _value(cell)
    if isinstance(window, First | Last):
        end = 0 if isinstance(window, First) else -1
        return lambda values: load(values[end]) if values else None
    if isinstance(window, LastN):
        n = window.n
        return lambda values: [load(each) for each in values[::-1][:n]] if values else None
    function = _function(base, window, cell)

    def skipping(values: list[Any]) -> Any:
        there = [each for each in values if each is not None]
        return function(there) if there else None

    return skipping


def _value(cell: Cell) -> Callable[[Any], Any]:
    if cell.char:
        return lambda value: value
    return lambda data: None if data is None else cell.load(data)


def _function(base: Base, window: Window, cell: Cell) -> Callable[[list[Any]], Any]:
    """Return a function of values that are there, at least one."""
    if isinstance(window, DistinctCount):
        same = identity_of(cell)
        return lambda values: len(set(map(same, values)))
    if isinstance(window, Min | Max):
        return extreme(cell, greatest=isinstance(window, Max))
    if isinstance(window, Quantile):
        floats = floats_of(cell)
        return lambda values: quantile(floats(values), window.q)
    finish = finish_of(base, window)
    if cell.floating and isinstance(window, Sum | Mean):
        mean = isinstance(window, Mean)

        def total(values: list[Any]) -> float:
            try:
                found = math.fsum(values)
            except (OverflowError, ValueError):
                found = point(values, squares=False).sum() or 0.0
            return found / len(values) if mean else found

        return total
    units = units_of(cell)
    squares = isinstance(window, Std)
    return lambda values: finish(point(units(values), squares=squares))


def identity_of(cell: Cell) -> Callable[[Any], Any]:
    """Return what is equal for values that are: all NaN are, and both zeros."""
    if cell.floating:
        return lambda value: value + 0.0 if value == value else "nan"  # noqa: PLR0124
    return lambda value: value


def extreme(cell: Cell, *, greatest: bool) -> Callable[[list[Any]], Any]:
    """Return what finds the least or the greatest of values, at least one: NaN where there is one, -0.0 below 0.0."""
    pick: Callable[[Any], Any] = max if greatest else min
    if cell.floating:

        def number(values: list[float]) -> float:
            found: float = pick(values)
            if any(value != value for value in values):  # noqa: PLR0124
                return math.nan
            if found == 0:
                negative = [math.copysign(1.0, value) < 0 for value in values if value == 0]
                return -0.0 if (all(negative) if greatest else any(negative)) else 0.0
            return found

        return number
    if cell.char:
        return pick
    if bytewise(cell):
        return lambda values: cell.load(pick(values))
    return lambda values: pick(map(cell.load, values))


def bytewise(cell: Cell) -> bool:
    """Say whether values of no fixed width are in the order of their bytes."""
    import pyarrow as pa

    kind = cell.kind
    return not (pa.types.is_decimal(kind) or pa.types.is_nested(kind))


def floats_of(cell: Cell) -> Callable[[list[Any]], list[float]]:
    """Return what makes floats of values."""
    if cell.char:
        return lambda values: [float(each) for each in values]
    return lambda values: [as_float(cell.load(each), cell.kind) for each in values]


def quantile(values: Sequence[float], q: float) -> float:
    """Return the quantile of some values, at least one, as `feature_store.kernel.windows` defines it."""
    place = q * (len(values) - 1)
    below = math.floor(place)
    rest = place - below
    if len(values) > _MANY:
        above = min(below + 1, len(values) - 1)
        found = np.partition(np.asarray(values), (below, above, len(values) - 1))  # NaN is last
        low, high = float(found[below]), float(found[above])
        if found[-1] != found[-1]:
            return math.nan
        if low != 0 and high != 0:
            return low + (high - low) * rest if rest > 0 else low
        values = np.asarray(values).tolist()
    if any(value != value for value in values):  # noqa: PLR0124
        return math.nan
    values = sorted(values)
    low = _ranked(values, below)
    return low + (_ranked(values, below + 1) - low) * rest if rest > 0 else low


def _ranked(values: Sequence[float], rank: int) -> float:
    """Return the value of a rank, where -0.0 is below 0.0."""
    found = values[rank]
    if found != 0:
        return found
    zeros = values[bisect_left(values, 0.0) : bisect_right(values, 0.0)]
    negative = sum(math.copysign(1.0, value) < 0 for value in zeros)
    return -0.0 if rank - bisect_left(values, 0.0) < negative else 0.0


def units_of(cell: Cell) -> Callable[[list[Any]], list[Any]]:
    """Return what makes numbers of values that are summed: of decimals the integers without their point."""
    import pyarrow as pa

    if not pa.types.is_decimal(cell.kind):
        return lambda values: values
    scale = cell.kind.scale
    return lambda values: [int(_EXACT.scaleb(cell.load(each), scale)) for each in values]


def point(values: Sequence[Any], *, squares: bool) -> Point:
    """Return the exact sums of numbers."""
    total = raised = 0
    wild = [0, 0, 0]
    for value in values:
        if type(value) is float and value - value != 0:
            wild[0 if value != value else 1 if value > 0 else 2] += 1  # noqa: PLR0124
            continue
        above, below = value.as_integer_ratio()
        shift = UNIT + 1 - below.bit_length()  # below is a power of two
        total += above << shift
        if squares:
            raised += above * above << 2 * shift
    return Point(len(values), total, raised, (wild[0], wild[1], wild[2]) if any(wild) else None)


def finish_of(base: Base, window: Window) -> Callable[[Point], Any]:
    """Return what makes the value of a sum, mean or standard deviation of exact sums."""
    import pyarrow as pa

    kind = base.types[window.column or ""]
    scale = kind.scale if pa.types.is_decimal(kind) else 0
    what = f"the sum of {window.column}"
    if isinstance(window, Mean):
        return lambda found: found.mean(scale)
    if isinstance(window, Std):
        return lambda found: found.std(scale)
    if pa.types.is_floating(kind):
        return Point.sum
    if pa.types.is_decimal(kind):
        return lambda found: _decimal(found.integer(), scale, what)

    def integer(found: Point) -> int | None:
        total = found.integer()
        if total is not None and total not in _INT64:
            raise SchemaError(f"{what} does not fit into int64: cast the column to float64 or decimal")
        return total

    return integer


def _decimal(total: int | None, scale: int, what: str) -> Decimal | None:
    if total is None:
        return None
    if abs(total) >= 10**38:
        raise SchemaError(f"{what} does not fit into 38 digits")
    return _EXACT.scaleb(_EXACT.create_decimal(total), -scale)


def as_float(value: Any, kind: pa.DataType | None) -> float:
    """Return a number as a float; decimals as Arrow casts them, since that is how the kernel does."""
    if kind is None:
        return float(value)
    import pyarrow as pa

    return float(pa.array([value], kind).cast(pa.float64(), safe=False)[0].as_py())


def quantile_of_sorted(values: Any, q: float) -> float:
    """Return the quantile of values in order, NaN last."""
    if values[-1] != values[-1]:
        return math.nan
    place = q * (len(values) - 1)
    below = math.floor(place)
    rest = place - below
    low = float(values[below])
    return low + (float(values[below + 1]) - low) * rest if rest > 0 else low
