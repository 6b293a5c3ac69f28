"""Windows of one key at one time, from what its record keeps: the values of `feature_store.kernel.windows`, in microseconds.

A window of tiles is one subtraction of running totals (`feature_store.kernel.points`), and what is loose is added; other
windows are lists of values. Functions are prepared once for a plan.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from decimal import Context, Decimal
from struct import Struct
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np

from dataplat.errors import SchemaError
from dataplat.feature_store.kernel.points import UNIT, Point
from dataplat.feature_store.online.cells import Cell
from dataplat.feature_store.online.plan import MOMENTS, TILED, Base
from dataplat.feature_store.online.tilings import Tiling, keyed
from dataplat.feature_store.windows import (
    Count,
    DistinctCount,
    First,
    Last,
    LastN,
    Max,
    Mean,
    Min,
    Quantile,
    Ratio,
    Std,
    Sum,
    Window,
)

if TYPE_CHECKING:
    import pyarrow as pa

_INT64: Final = range(-(2**63), 2**63)
_LOW, _HIGH = -(2**63), 2**63 - 1
_LONG: Final = Struct("<q")
_DOUBLE: Final = Struct("<d")
_EXACT: Final = Context(prec=100)
_MANY: Final = 100
"""Values above which an array is faster than a list."""

E, K, ON, UNTIL, EVENT, BEFORE, CELLS = range(7)
"""Places in a loose life."""


class Events:
    """What a record keeps of the events of a base.

    Attributes:
        e: event times of settled events that are kept one by one.
        columns: their values, None for nulls; what has no fixed width as bytes.
        loose: lives that begin later, or end, as lists.
        tiles: by tiling; None: none.
        known: when settled events could be served; None: at their event time and the view's delay.
        named: which event each is of, 16 bytes each; None: none is named.
    """

    __slots__ = ("columns", "e", "known", "loose", "named", "tiles")

    def __init__(self, base: Base, section: list[Any] | None) -> None:
        settled, loose, tiles = section if section is not None else (None, [], [])
        self.loose: list[Any] = loose
        self.tiles: list[Any] = tiles or [None] * len(base.tilings)
        self.e: Sequence[int] = ()
        self.columns: list[Sequence[Any]] = [()] * len(base.events)
        self.known: Sequence[int] | None = None
        self.named: bytes | None = None
        if settled is not None:
            self.e = _longs(settled[1])
            self.known = None if settled[2] is None else _longs(settled[2])
            self.named = settled[3]
            self.columns = [
                _decoded(values, cell.char) for values, cell in zip(settled[4], base.events.values(), strict=True)
            ]


def _longs(data: bytes) -> memoryview:
    return memoryview(data).cast("q")


def _decoded(values: Any, char: str) -> Sequence[Any]:
    if type(values) is not bytes:
        return values  # type: ignore[no-any-return]
    if char == "e":
        return Struct(f"<{len(values) // 2}e").unpack(values)
    return memoryview(values).cast(char)  # type: ignore[call-overload, no-any-return]


Computed: TypeAlias = "Callable[[Events, int], Any]"


def compiled(base: Base, feature: Window | Ratio) -> Computed:
    """Return a function that gives a feature of events at a time."""
    if isinstance(feature, Ratio):
        return _ratio(base, feature)
    if isinstance(feature, TILED) and (feature.span is None or feature.hop is not None):
        return _tiled(base, feature)
    return _listed(base, feature)


def empty(feature: Window | Ratio) -> Any:
    """Return what a window without events is."""
    return 0 if isinstance(feature, Count) else None


def _ratio(base: Base, feature: Ratio) -> Computed:
    above, below = compiled(base, feature.above), compiled(base, feature.below)
    kinds = [_kind(base, each) for each in (feature.above, feature.below)]

    def divided(events: Events, t: int) -> float | None:
        one = above(events, t)
        other = below(events, t) if one is not None else None
        if other is None:
            return None
        divisor = _float(other, kinds[1])
        return None if divisor == 0 else _float(one, kinds[0]) / divisor

    return divided


def _kind(base: Base, window: Window) -> pa.DataType | None:
    """Return the type of a window's values, where they are decimals."""
    import pyarrow as pa

    kind = base.types.get(window.column or "")
    if kind is None or not pa.types.is_decimal(kind) or not isinstance(window, Sum | Min | Max | First | Last):
        return None
    return pa.decimal128(38, kind.scale) if isinstance(window, Sum) else kind


def _float(value: Any, kind: pa.DataType | None) -> float:
    """Return a number as a float; decimals as Arrow casts them, since that is how the kernel does."""
    if kind is None:
        return float(value)
    import pyarrow as pa

    return float(pa.array([value], kind).cast(pa.float64(), safe=False)[0].as_py())


def _start(window: Window) -> Callable[[int], int]:
    """Return what gives the time that events of the window are later than."""
    span, hop = window.span, window.hop
    if span is None:
        return lambda _: _LOW - 1
    if hop is None:
        return lambda t: t - span
    return lambda t: (t - span) // hop * hop


def _listed(base: Base, window: Window) -> Computed:
    """Return a window of events that are kept one by one."""
    start = _start(window)
    if isinstance(window, Count):

        def count(events: Events, t: int) -> int:
            after = start(t)
            found = len(events.e) - bisect_right(events.e, after)
            return found + sum(each[ON] <= t < each[UNTIL] and each[E] > after for each in events.loose)

        return count
    at = list(base.events).index(window.column or "")
    apply = applied(base, window)

    def function(events: Events, t: int) -> Any:
        after = start(t)
        first = bisect_right(events.e, after)
        values = list(events.columns[at][first:])
        for each in reversed(events.loose):
            if each[ON] <= t < each[UNTIL] and each[E] > after:
                values.insert(each[BEFORE] - first, each[CELLS][at])
        return apply(values)

    return function


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
        same = _identity(cell)
        return lambda values: len(set(map(same, values)))
    if isinstance(window, Min | Max):
        return _extreme(cell, greatest=isinstance(window, Max))
    if isinstance(window, Quantile):
        floats = _floats(cell)
        return lambda values: quantile(floats(values), window.q)
    finish = _finished(base, window)
    if cell.floating and isinstance(window, Sum | Mean):
        mean = isinstance(window, Mean)

        def total(values: list[Any]) -> float:
            try:
                found = math.fsum(values)
            except (OverflowError, ValueError):
                found = point(values, squares=False).sum() or 0.0
            return found / len(values) if mean else found

        return total
    units = _units(cell)
    squares = isinstance(window, Std)
    return lambda values: finish(point(units(values), squares=squares))


def _identity(cell: Cell) -> Callable[[Any], Any]:
    """Return what is equal for values that are: all NaN are, and both zeros."""
    if cell.floating:
        return lambda value: value + 0.0 if value == value else "nan"  # noqa: PLR0124
    return lambda value: value


def _extreme(cell: Cell, *, greatest: bool) -> Callable[[list[Any]], Any]:
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


def _floats(cell: Cell) -> Callable[[list[Any]], list[float]]:
    if cell.char:
        return lambda values: [float(each) for each in values]
    return lambda values: [_float(cell.load(each), cell.kind) for each in values]


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


def _units(cell: Cell) -> Callable[[list[Any]], list[Any]]:
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


def _finished(base: Base, window: Window) -> Callable[[Point], Any]:
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


def _tiled(base: Base, window: Window) -> Computed:
    """Return a window of tiles."""
    hop = None if window.span is None else window.hop
    number, tiling = next((at, each) for at, each in enumerate(base.tilings) if each.hop == hop)
    first = _first(window)
    start = _start(window)
    if isinstance(window, Count):
        return _tiled_count(number, first, start)
    at = list(base.events).index(window.column or "")

    def loose(events: Events, t: int) -> list[Any]:
        after = start(t)
        return [
            each[CELLS][at]
            for each in events.loose
            if each[ON] <= t < each[UNTIL] and each[E] > after and each[CELLS][at] is not None
        ]

    piece = 2 + _piece(tiling, window)
    if isinstance(window, MOMENTS):
        return _tiled_moments(base, window, number, piece, first, loose)
    make = {Min: _tiled_extreme, Max: _tiled_extreme, DistinctCount: _tiled_distinct, Quantile: _tiled_quantile}
    function = make[type(window)](base, window)

    def computed(events: Events, t: int) -> Any:
        tiles = events.tiles[number]
        return function(None if tiles is None else tiles[piece], first(t), loose(events, t) if events.loose else [])

    return computed


def _first(window: Window) -> Callable[[int], int]:
    """Return what gives the first tile of a window."""
    span, hop = window.span, window.hop
    if span is None or hop is None:
        return lambda _: 0
    return lambda t: (t - span) // hop


def _piece(tiling: Tiling, window: Window) -> int:
    """Return the place of what is kept for a window among the pieces of its tiles."""
    if isinstance(window, MOMENTS):
        return [column for column, _ in tiling.moments].index(window.column or "")
    before = len(tiling.moments)
    if isinstance(window, Min | Max):
        return before + tiling.extremes.index((window.column or "", isinstance(window, Max)))
    before += len(tiling.extremes)
    if isinstance(window, DistinctCount):
        return before + tiling.distinct.index(window.column or "")
    return before + len(tiling.distinct) + tiling.quantiles.index(window.column or "")


def _tiled_count(number: int, first: Callable[[int], int], start: Callable[[int], int]) -> Computed:
    def count(events: Events, t: int) -> int:
        found = 0
        tiles = events.tiles[number]
        if tiles is not None:
            counts = _longs(tiles[1])
            at = bisect_left(_longs(tiles[0]), first(t))
            found = counts[-1] - counts[at - 1] if at else counts[-1]
        if events.loose:
            after = start(t)
            found += sum(each[ON] <= t < each[UNTIL] and each[E] > after for each in events.loose)
        return found

    return count


def _tiled_moments(
    base: Base,
    window: Window,
    number: int,
    piece: int,
    first: Callable[[int], int],
    loose: Callable[[Events, int], list[Any]],
) -> Computed:
    finish = _finished(base, window)
    squares = isinstance(window, Std)
    units = _units(base.events[window.column or ""])

    def function(events: Events, t: int) -> Any:
        tiles = events.tiles[number]
        found = _NOTHING if tiles is None else _inside(tiles[piece], bisect_left(_longs(tiles[0]), first(t)), squares)
        more = loose(events, t) if events.loose else None
        return finish(found + point(units(more), squares=squares) if more else found)

    return function


_NOTHING: Final = Point()


def _inside(piece: list[Any], at: int, squares: bool) -> Point:  # noqa: FBT001 - hot
    """Return the exact sums of the tiles from one on."""
    valid, totals, raised, wild = piece
    counts = _longs(valid)
    some = None
    if wild is not None:
        kinds = [_longs(each) for each in wild]
        nan, up, down = (each[-1] - (each[at - 1] if at else 0) for each in kinds)
        some = (nan, up, down) if nan or up or down else None
    return Point(
        counts[-1] - counts[at - 1] if at else counts[-1],
        _difference(totals, at, UNIT),
        _difference(raised, at, 2 * UNIT) if squares else 0,
        some,
    )


def _difference(totals: list[Any], at: int, unit: int) -> int:
    first, width, data = totals
    found = int.from_bytes(data[-width:], "little", signed=True)
    if at:
        found -= int.from_bytes(data[(at - 1) * width : at * width], "little", signed=True)
    return found << 32 * first + unit


def _tiled_extreme(base: Base, window: Window) -> Callable[[Any, int, list[Any]], Any]:
    cell = base.events[window.column or ""]
    of_list = _extreme(cell, greatest=isinstance(window, Max))
    unkey, plain = _unkeyed(cell), bool(cell.char)

    def function(piece: Any, first: int, loose: list[Any]) -> Any:
        if piece is None:
            return of_list(loose) if loose else None
        at = bisect_left(_longs(piece[0]), first)
        if 8 * at == len(piece[0]):
            return of_list(loose) if loose else None
        if unkey is None:
            found = piece[1][at]
            return of_list([found, *loose]) if loose or not plain else found
        found = unkey(_longs(piece[1])[at])
        return of_list([found, *loose]) if loose else found

    return function


def _unkeyed(cell: Cell) -> Callable[[int], Any] | None:
    """Return what makes values of ordered keys, as `feature_store.kernel.columns` makes these; None: values are kept."""
    if cell.floating:

        def number(key: int) -> float:
            if key in (_LOW, _HIGH):
                return math.nan
            found: float = _DOUBLE.unpack(_LONG.pack(key if key >= 0 else key ^ _HIGH))[0]
            return found

        return number
    if cell.char == "Q":
        return lambda key: key + (1 << 63)
    return (lambda key: key) if keyed(cell) else None


def _tiled_distinct(base: Base, window: Window) -> Callable[[Any, int, list[Any]], Any]:
    same = _identity(base.events[window.column or ""])

    def function(piece: Any, first: int, loose: list[Any]) -> int | None:
        at = 0 if piece is None else bisect_left(_longs(piece[0]), first)
        count = 0 if piece is None else len(piece[1]) - at
        if loose:
            more = set(map(same, loose))
            count += len(more.difference(map(same, piece[1][at:])) if piece is not None else more)
        return count or None

    return function


def _tiled_quantile(base: Base, window: Window) -> Callable[[Any, int, list[Any]], Any]:
    assert isinstance(window, Quantile)
    floats = _floats(base.events[window.column or ""])
    q = window.q

    def function(piece: Any, first: int, loose: list[Any]) -> float | None:
        if piece is None:
            return quantile(floats(loose), q) if loose else None
        begin, numbers, data = piece
        values = np.frombuffer(data, "<f8")
        if first > begin:
            kind = "<i4" if len(numbers) < len(data) else "<i8"
            inside = np.frombuffer(numbers, kind) >= first - begin
            values = values[inside]
        if loose:
            return quantile([*values.tolist(), *floats(loose)], q)
        return _of_sorted(values, q) if len(values) else None

    return function


def _of_sorted(values: Any, q: float) -> float:
    """Return the quantile of values in order, NaN last."""
    if values[-1] != values[-1]:
        return math.nan
    place = q * (len(values) - 1)
    below = math.floor(place)
    rest = place - below
    low = float(values[below])
    return low + (float(values[below + 1]) - low) * rest if rest > 0 else low
