"""Tiles: what is kept of the events of a key in (j·d, (j+1)·d], so that windows need no events (PIT 9, 16, 22, 23).

Tiles of parts are made apart (a memo for each), and added in any order and grouping; a late event is added to its tile;
what was added can be taken away. Their bytes depend on the events alone. Kept are

    count, sum, mean, std            counts, and exact sums of values and squares
    min, max, quantile, distinct     the values, each with how often it is there ("bag"); for min and max alone the ends

so that windows of whole tiles are equal to those of events to the last bit: both are of the same exact sums and multisets.
First, last and last n are not made of tiles: their rows are at hand.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from dataplat.errors import ConfigError
from dataplat.feature_store.kernel.bags import Bag, bag, merged
from dataplat.feature_store.kernel.exact import Numbers, Sums, prefixes, zeros
from dataplat.feature_store.kernel.lives import Lives
from dataplat.feature_store.kernel.moments import deviations, means
from dataplat.feature_store.kernel.spans import Span, chunks, coming, span
from dataplat.feature_store.kernel.windows import decimals, flat, ratio, windows
from dataplat.feature_store.windows import (
    Count,
    DistinctCount,
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
    from numpy.typing import NDArray

    Ints: TypeAlias = NDArray[np.int64]
    Words: TypeAlias = NDArray[np.uint64]

_SUMS = (Sum, Mean, Std)
_BAGS = (Min, Max, Quantile, DistinctCount)


@dataclass(frozen=True, slots=True)
class Moments:
    """How many values of a column are not null, and their exact sums.

    Attributes:
        kind: the column's type.
        valid: how many, by tile.
        total: their sums.
        squares: the sums of their squares; None: nobody asks for a standard deviation.
    """

    kind: pa.DataType
    valid: Ints
    total: Sums
    squares: Sums | None


@dataclass(frozen=True, slots=True)
class Tiles:
    """Tiles that hold events, in the order (key, number).

    Attributes:
        width: of each, microseconds.
        low: the lower half of the digest of each tile's key.
        high: the upper half.
        tile: its number j: it covers (j·d, (j+1)·d].
        count: of its events.
        moments: by column.
        bags: by column.
    """

    width: int
    low: Words
    high: Words
    tile: Ints
    count: Ints
    moments: Mapping[str, Moments]
    bags: Mapping[str, Bag]

    def __len__(self) -> int:
        return len(self.tile)

    def __add__(self, other: Tiles) -> Tiles:
        """Return tiles of the events of both; raise `ConfigError` where they are of other widths or columns."""
        return _together(self, other, 1)

    def __sub__(self, other: Tiles) -> Tiles:
        """Return tiles without events that were added before; raise `ConfigError` where only extremes were kept."""
        return _together(self, other, -1)


def tile_of(e: Ints, width: int) -> Ints:
    """Return the number of each event's tile (PIT 16)."""
    return (e - 1) // width


def check(features: Sequence[Window | Ratio], width: int) -> None:
    """Raise `ConfigError` where a feature cannot be made of tiles of a width."""
    for each in flat(features):
        if not isinstance(each, (Count, *_SUMS, *_BAGS)):
            raise ConfigError(f"{each.feature} is a value of rows, and cannot be made of tiles")
        if each.span is not None and (each.hop is None or each.hop % width):
            raise ConfigError(f"{each.feature} does not begin with a tile of {width} µs: give it accuracy='hop(…)'")


def tiles(
    width: int,
    low: Words,
    high: Words,
    e: Ints,
    columns: Mapping[str, pa.Array],
    features: Sequence[Window | Ratio],
) -> Tiles:
    """Return the tiles of rows, in any order: all that features need.

    Args:
        width: of a tile, microseconds.
        low: the lower half of the digest of each row's key.
        high: the upper half.
        e: event times.
        columns: those that features are of.
        features: what the tiles are for.
    """
    check(features, width)
    number = tile_of(e, width)
    order = np.lexsort((number, high, low))
    low, high, number = low[order], high[order], number[order]
    starts = _runs(low, high, number)
    cuts = np.append(starts, len(order))
    place = np.repeat(np.arange(len(starts)), np.diff(cuts))
    wanted = flat(features)
    moments: dict[str, Moments] = {}
    bags: dict[str, Bag] = {}
    for name in dict.fromkeys(each.column for each in wanted):
        kinds = {type(each) for each in wanted if each.column == name}
        if name is not None and kinds & set(_SUMS):
            moments[name] = _moments(columns[name], name, order, cuts, squares=Std in kinds)
        if name is not None and kinds & set(_BAGS):
            bags[name] = bag(place, columns[name].take(_arrow(order)), whole=bool(kinds & {Quantile, DistinctCount}))
    return Tiles(width, low[starts], high[starts], number[starts], np.diff(cuts), moments, bags)


def _arrow(rows: Ints) -> pa.Array:
    import pyarrow as pa

    return pa.array(rows)


def _runs(low: Words, high: Words, number: Ints) -> Ints:
    """Return where each tile begins among rows in order."""
    if not len(low):
        return np.zeros(0, np.int64)
    fresh = (low[1:] != low[:-1]) | (high[1:] != high[:-1]) | (number[1:] != number[:-1])
    return np.flatnonzero(np.concatenate(([True], fresh)))


def _moments(column: pa.Array, name: str, order: Ints, cuts: Ints, *, squares: bool) -> Moments:
    numbers = Numbers.of(column, name).take(order)
    valid = np.ones(len(order), np.int64) if numbers.valid is None else numbers.valid.astype(np.int64)
    counted = np.concatenate(([0], np.cumsum(valid)))[cuts]
    total = _steps(prefixes(numbers, [cuts])[0])
    return Moments(column.type, np.diff(counted), total, _steps(prefixes(numbers, [cuts], 2)[0]) if squares else None)


def _steps(running: Sums) -> Sums:
    return (running.take(slice(1, None)) - running.take(slice(0, -1))).settled()


def _together(one: Tiles, other: Tiles, sign: int) -> Tiles:
    shape = [
        (each.width, set(each.moments), {name: kept.whole for name, kept in each.bags.items()}) for each in (one, other)
    ]
    if shape[0] != shape[1]:
        raise ConfigError(f"tiles of {shape[0]} and of {shape[1]} cannot be added: they are for other features")
    if sign < 0 and not all(kept.whole for kept in one.bags.values()):
        raise ConfigError("of tiles that keep extremes alone nothing can be taken away: make them anew")
    low, high = np.concatenate((one.low, other.low)), np.concatenate((one.high, other.high))
    number = np.concatenate((one.tile, other.tile))
    order = np.lexsort((number, high, low))
    starts = _runs(low[order], high[order], number[order])
    place = np.empty(len(order), np.int64)
    place[order] = np.repeat(np.arange(len(starts)), np.diff(np.append(starts, len(order))))
    count = _added(one.count, sign * other.count, order, starts)
    moments = {
        name: _moments_together(each, other.moments[name], sign, order, starts) for name, each in one.moments.items()
    }
    bags = {name: merged(each, other.bags[name], len(one), place, sign) for name, each in one.bags.items()}
    rows = order[starts]
    found = Tiles(one.width, low[rows], high[rows], number[rows], count, moments, bags)
    return found if sign > 0 else _occupied(found)


def _added(one: Ints, other: Ints, order: Ints, starts: Ints) -> Ints:
    found: Ints = np.concatenate((one, other))[order]
    return np.add.reduceat(found, starts) if len(starts) else found


def _sums_together(one: Sums, other: Sums, sign: int, order: Ints, starts: Ints) -> Sums:
    own = np.arange(len(order))
    ahead, behind = one.placed(own[: len(one)], len(own)), other.placed(own[len(one) :], len(own))
    found = (ahead + behind if sign > 0 else ahead - behind).take(order)
    return found.grouped(starts).settled() if len(starts) else found


def _moments_together(one: Moments, other: Moments, sign: int, order: Ints, starts: Ints) -> Moments:
    if one.kind != other.kind or (one.squares is None) != (other.squares is None):
        raise ConfigError(f"tiles of {one.kind} and of {other.kind} cannot be added: they are for other features")
    valid = _added(one.valid, sign * other.valid, order, starts)
    total = _sums_together(one.total, other.total, sign, order, starts)
    if one.squares is None or other.squares is None:
        return Moments(one.kind, valid, total, None)
    return Moments(one.kind, valid, total, _sums_together(one.squares, other.squares, sign, order, starts))


def _occupied(every: Tiles) -> Tiles:
    """Return the tiles that still hold events."""
    there = every.count > 0
    if there.all():
        return every
    place = np.cumsum(there) - 1
    moments = {
        name: Moments(
            each.kind,
            each.valid[there],
            each.total.take(there).settled(),
            None if each.squares is None else each.squares.take(there).settled(),
        )
        for name, each in every.moments.items()
    }
    bags = {name: replace(each, place=place[each.place]) for name, each in every.bags.items()}
    rows = (every.low[there], every.high[there], every.tile[there], every.count[there])
    return Tiles(every.width, *rows, moments, bags)


def answers(kept: Tiles, low: Words, high: Words, t: Ints, features: Sequence[Window | Ratio]) -> list[pa.Array]:
    """Return a column for each feature, as `windows` does of events: of the tiles from (floor_d(t - w), …] to that of `t`.

    The tile of `t` itself is taken as it is: to be equal to events it must hold none that is later than `t`.

    Args:
        kept: the tiles.
        low: the lower half of the digest of the key that each question is about.
        high: the upper half.
        t: its time, microseconds.
        features: what is asked; the tiles must have been made for them.
    """
    check(features, kept.width)
    starts, group = _grouped(kept, low, high)
    wanted = list(dict.fromkeys(flat(features)))
    bagged = [each for each in wanted if isinstance(each, _BAGS)]
    found = {each: _summed(kept, starts, group, t, each) for each in wanted if not isinstance(each, _BAGS)}
    for name in dict.fromkeys(each.column for each in bagged):
        assert name is not None
        alike = [each for each in bagged if each.column == name]
        lives = _lives(kept, starts, kept.bags[name])
        found |= zip(alike, windows(lives, {name: kept.bags[name].values}, group, t, alike), strict=True)
    return [ratio(each, found) if isinstance(each, Ratio) else found[each] for each in features]


def _grouped(kept: Tiles, low: Words, high: Words) -> tuple[Ints, Ints]:
    """Return where the tiles of each key begin, and the end, and the number of the key of each question, or -1."""
    pairs = np.dtype([("low", np.uint64), ("high", np.uint64)])
    keys, wanted = np.empty(len(kept), pairs), np.empty(len(low), pairs)
    keys["low"], keys["high"] = kept.low, kept.high
    wanted["low"], wanted["high"] = low, high
    starts = _runs(kept.low, kept.high, np.zeros(len(kept), np.int64))
    own = keys[starts]
    place = np.searchsorted(own, wanted)
    there = np.zeros(len(low), bool)
    inside = place < len(own)
    there[inside] = own[place[inside]] == wanted[inside]
    return np.append(starts, len(kept)), np.where(there, place, -1)


def _lives(kept: Tiles, starts: Ints, of: Bag | None = None) -> Lives:
    """Return tiles as lives: one is seen as soon as `t` is in it, and leaves the window with its end."""
    row = np.arange(len(kept))
    place = row
    if of is not None:
        row = np.repeat(np.arange(len(of.place)), of.times)
        place = of.place[row]
        starts = np.searchsorted(place, starts)
    begins = kept.tile[place] * kept.width
    return Lives(starts, row, begins + kept.width, begins + 1)


def _summed(kept: Tiles, starts: Ints, group: Ints, t: Ints, feature: Window) -> pa.Array:
    """Return a count, sum, mean or standard deviation."""
    import pyarrow as pa

    counts: Ints = np.zeros(len(t), np.int64)
    moments = None if feature.column is None else kept.moments[feature.column]
    counted = kept.count if moments is None else moments.valid
    total = squares = zeros(len(t))
    for chunk in chunks(_lives(kept, starts), group, t):
        some = span(chunk, coming(chunk), feature.span, feature.hop)
        running = np.concatenate(([0], np.cumsum(counted[chunk.row])))
        counts[chunk.asked] = running[some.came] - running[some.gone]
        if moments is not None:
            total = total + _inside(moments.total, chunk.row, some).placed(chunk.asked, len(t))
        if moments is not None and moments.squares is not None and isinstance(feature, Std):
            squares = squares + _inside(moments.squares, chunk.row, some).placed(chunk.asked, len(t))
    if moments is None:
        return pa.array(counts)
    return _column(feature, moments.kind, counts, total, squares)


def _inside(sums: Sums, rows: Ints, some: Span) -> Sums:
    running = sums.take(rows).running()
    return running.take(some.came) - running.take(some.gone)


def _column(feature: Window, kind: pa.DataType, counts: Ints, total: Sums, squares: Sums) -> pa.Array:
    import pyarrow as pa

    scale = kind.scale if pa.types.is_decimal(kind) else 0
    with np.errstate(invalid="ignore", over="ignore"):
        if isinstance(feature, Std):
            some = counts + (0 if total.wild is None else total.wild[0] > 0)
            return pa.array(deviations(total, squares, counts, scale), mask=some < 2)
        if isinstance(feature, Mean):
            return pa.array(means(total, counts, scale), mask=counts == 0)
        if pa.types.is_floating(kind):
            return pa.array(total.rounded(), mask=counts == 0)
    what = f"the sum of {feature.column}"
    if pa.types.is_decimal(kind):
        return decimals(total.integers(), counts > 0, scale, what)
    return pa.array(total.int64(what), mask=counts == 0)
