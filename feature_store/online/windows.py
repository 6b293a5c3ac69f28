"""Windows of one key at one time, from what its record keeps: the values of `feature_store.kernel.windows`, in microseconds.

A window of tiles is one subtraction of running totals (`feature_store.kernel.points`), and what is loose is added; other
windows are lists of values. Functions are prepared once for a plan.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from struct import Struct
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np

from dataplat.feature_store.kernel.points import UNIT, Point
from dataplat.feature_store.online.cells import Cell
from dataplat.feature_store.online.plan import MOMENTS, TILED, Base
from dataplat.feature_store.online.tilings import Tiling, keyed
from dataplat.feature_store.online.values import (
    applied,
    as_float,
    extreme,
    finish_of,
    floats_of,
    identity_of,
    point,
    quantile,
    quantile_of_sorted,
    units_of,
)
from dataplat.feature_store.windows import (
    Count,
    DistinctCount,
    First,
    Last,
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

_LOW, _HIGH = -(2**63), 2**63 - 1
_LONG: Final = Struct("<q")
_DOUBLE: Final = Struct("<d")

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
        divisor = as_float(other, kinds[1])
        return None if divisor == 0 else as_float(one, kinds[0]) / divisor

    return divided


def _kind(base: Base, window: Window) -> pa.DataType | None:
    """Return the type of a window's values, where they are decimals."""
    import pyarrow as pa

    kind = base.types.get(window.column or "")
    if kind is None or not pa.types.is_decimal(kind) or not isinstance(window, Sum | Min | Max | First | Last):
        return None
    return pa.decimal128(38, kind.scale) if isinstance(window, Sum) else kind


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
            more: int = sum(each[ON] <= t < each[UNTIL] and each[E] > after for each in events.loose)
            return found + more

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
    finish = finish_of(base, window)
    squares = isinstance(window, Std)
    units = units_of(base.events[window.column or ""])

    quick = None if base.events[window.column or ""].load is not bytes else _quick(base, window)

    def function(events: Events, t: int) -> Any:
        tiles = events.tiles[number]
        if tiles is not None and not events.loose and quick is not None and tiles[piece][3] is None:
            return quick(tiles[piece], bisect_left(_longs(tiles[0]), first(t)))
        found = _NOTHING if tiles is None else _inside(tiles[piece], bisect_left(_longs(tiles[0]), first(t)), squares)
        more = loose(events, t) if events.loose else None
        return finish(found + point(units(more), squares=squares) if more else found)

    return function


def _quick(base: Base, window: Window) -> Callable[[list[Any], int], Any]:
    """Return what makes a sum, mean or standard deviation of tiles from one on, where all values are finite numbers.

    As `Point` does, with integers no longer than they need to be.
    """
    mean, std = isinstance(window, Mean), isinstance(window, Std)
    floating = mean or base.events[window.column or ""].floating
    finish = finish_of(base, window)

    def computed(piece: list[Any], at: int) -> Any:
        counts = _longs(piece[0])
        count = counts[-1] - counts[at - 1] if at else counts[-1]
        if not count:
            return None
        total, shift = _plain_difference(piece[1], at)
        if std:
            return _spread(count, total, shift, *_plain_difference(piece[2], at)) if count > 1 else None
        if not floating:
            return finish(Point(count, total << shift + UNIT))
        found = _quotient(total, shift, 1)
        return found / count if mean else found

    return computed


def _plain_difference(totals: list[Any], at: int) -> tuple[int, int]:
    """Return a sum, and the power of two that it is in."""
    first, width, data = totals
    found = int.from_bytes(data[-width:], "little", signed=True)
    if at:
        found -= int.from_bytes(data[(at - 1) * width : at * width], "little", signed=True)
    return found, 32 * first


def _quotient(above: int, shift: int, below: int) -> float:
    """Return the float nearest to a quotient in 2^shift; infinite beyond the largest."""
    try:
        return (above << shift) / below if shift > 0 else above / (below << -shift)
    except OverflowError:
        return math.inf if above > 0 else -math.inf


def _spread(count: int, total: int, shift: int, squares: int, square_shift: int) -> float:
    """Return the standard deviation of a sample, from sums of values and squares."""
    least = min(2 * shift, square_shift)
    spread = (count * squares << square_shift - least) - (total * total << 2 * shift - least)
    return math.sqrt(_quotient(spread, least, count * (count - 1)))


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
    found: int = int.from_bytes(data[-width:], "little", signed=True)
    if at:
        found -= int.from_bytes(data[(at - 1) * width : at * width], "little", signed=True)
    shifted: int = found << 32 * first + unit
    return shifted


def _tiled_extreme(base: Base, window: Window) -> Callable[[Any, int, list[Any]], Any]:
    cell = base.events[window.column or ""]
    of_list = extreme(cell, greatest=isinstance(window, Max))
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
    same = identity_of(base.events[window.column or ""])

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
    floats = floats_of(base.events[window.column or ""])
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
        return quantile_of_sorted(values, q) if len(values) else None

    return function
