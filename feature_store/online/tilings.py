"""Tiles of a base as records hold them: running totals, so that a window is one subtraction (PIT 16, 22, 23).

Only what will never change is in them: rows that could be served by the record's time, and have no end. Of a lifetime there is
one tile. The tiles of a key hold

    numbers     of the tiles that hold events, rising; and how many events there are up to each
    moments     how many values up to each, and exact sums of them and their squares, in 2^(32 first)
    extremes    the least or the greatest value from each tile on, of those that have one: a window's is one look
    distinct    every value once, by the last tile that holds it: how many are in a window is one search
    quantiles   every value, the least first, with its tile, counted from the first that matters
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from dataplat.feature_store.kernel.columns import Ordered
from dataplat.feature_store.kernel.exact import Numbers, Sums, prefixes
from dataplat.feature_store.online.cells import Cell
from dataplat.feature_store.windows import DistinctCount, Max, Mean, Min, Quantile, Std, Sum, Window

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Tiling:
    """Tiles of one width, and what is kept in them.

    Attributes:
        hop: the width, microseconds; None: one tile for all times.
        span: the longest window that is made of them.
        moments: (column, whether squares are kept, too).
        extremes: (column, whether it is the greatest).
        distinct: columns.
        quantiles: columns.
    """

    hop: int | None
    span: int
    moments: tuple[tuple[str, bool], ...]
    extremes: tuple[tuple[str, bool], ...]
    distinct: tuple[str, ...]
    quantiles: tuple[str, ...]

    def number(self, e: Ints) -> Ints:
        """Return the tile of each event."""
        return np.zeros(len(e), np.int64) if self.hop is None else (e - 1) // self.hop

    def first(self, at: int) -> int:
        """Return the first tile that matters at a time and later ones."""
        return 0 if self.hop is None else (at - self.span) // self.hop


def tilings(windows: Sequence[Window], tiled: tuple[type[Window], ...]) -> tuple[Tiling, ...]:
    """Return the tilings that windows need: those of one width share one, and all lifetimes."""
    found: dict[int | None, list[Window]] = {}
    for each in windows:
        if isinstance(each, tiled) and (each.span is None or each.hop is not None):
            found.setdefault(None if each.span is None else each.hop, []).append(each)
    return tuple(_tiling(hop, alike) for hop, alike in found.items())


def _tiling(hop: int | None, alike: list[Window]) -> Tiling:
    def columns(*kinds: type[Window]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(each.column for each in alike if isinstance(each, kinds) and each.column))

    squares = columns(Std)
    return Tiling(
        hop,
        max(each.span or 0 for each in alike),
        tuple((column, column in squares) for column in columns(Sum, Mean, Std)),
        tuple((column, kind is Max) for kind in (Min, Max) for column in columns(kind)),
        columns(DistinctCount),
        columns(Quantile),
    )


@dataclass(frozen=True, slots=True)
class Settled:
    """Rows that will never change, those of a key together, by event time: what tiles are made of.

    Attributes:
        keys: how many keys there are.
        key: the number of each row's.
        e: event times.
        row: which rows of the columns they are.
        columns: of the view.
    """

    keys: int
    key: Ints
    e: Ints
    row: Ints
    columns: dict[str, pa.Array]


def packed(tiling: Tiling, settled: Settled, cells: dict[str, Cell], at: int) -> list[list[Any] | None]:
    """Return the tiles of each key; None: it has none."""
    number = tiling.number(settled.e)
    some = np.flatnonzero(number >= tiling.first(at))
    key, number, row = settled.key[some], number[some], settled.row[some]
    begins = np.flatnonzero(np.concatenate(([True], (np.diff(key) != 0) | (np.diff(number) != 0))))[: len(key)]
    ends = np.append(begins[1:], len(key))[: len(begins)]
    cuts = np.searchsorted(key[begins], np.arange(settled.keys + 1))  # where the tiles of each key begin
    before = np.append(begins, len(key))[cuts[:-1]] if len(key) else np.zeros(settled.keys, np.int64)
    rows = _Rows(settled.columns, key, number, row, begins, ends, cuts, before)
    counts = ends - np.repeat(before, np.diff(cuts))
    pieces: list[list[Any]] = [
        rows.ints(number[begins]),
        rows.ints(counts),
        *(rows.moments(column, squares=squares) for column, squares in tiling.moments),
        *(rows.extremes(column, cells[column], greatest=greatest) for column, greatest in tiling.extremes),
        *(rows.distinct(column, cells[column]) for column in tiling.distinct),
        *(rows.quantiles(column, tiling.first(at)) for column in tiling.quantiles),
    ]
    there = np.diff(cuts) > 0
    return [[piece[at] for piece in pieces] if some_there else None for at, some_there in enumerate(there.tolist())]


@dataclass(frozen=True, slots=True)
class _Rows:
    """Rows with their tiles, from which the pieces of all keys are made at once: each returns a list by key."""

    columns: dict[str, pa.Array]
    key: Ints
    number: Ints
    row: Ints
    begins: Ints
    ends: Ints
    cuts: Ints
    before: Ints

    def ints(self, values: Ints) -> list[bytes]:
        """Return numbers of tiles as bytes."""
        return sliced(values.astype("<i8"), self.cuts)

    def running(self, counted: Ints) -> Ints:
        """Return counts up to each tile, from the key's first."""
        total = np.concatenate(([0], np.cumsum(counted)))
        found: Ints = total[self.ends] - np.repeat(total[self.before], np.diff(self.cuts))
        return found

    def moments(self, column: str, *, squares: bool) -> list[list[Any]]:
        numbers = Numbers.of(self.columns[column], column).take(self.row)
        valid = np.ones(len(self.row), np.int64) if numbers.valid is None else numbers.valid.astype(np.int64)
        counts = self.ints(self.running(valid))
        totals, wild = self._sums(numbers, 1)
        raised = self._sums(numbers, 2)[0] if squares else [None] * len(counts)
        return [list(each) for each in zip(counts, totals, raised, wild, strict=True)]

    def _sums(self, numbers: Numbers, power: int) -> tuple[list[list[Any]], list[Any]]:
        """Return (first limb, width, running totals as bytes) by key, and its running counts of wild values or None."""
        cuts = np.unique(np.concatenate((self.before, self.ends)))
        every = prefixes(numbers, [cuts], power)[0]
        up, down = np.searchsorted(cuts, self.ends), np.searchsorted(cuts, self.before)
        down = np.repeat(down, np.diff(self.cuts))
        sums: Sums = (every.take(up) - every.take(down)).settled()
        limbs = np.ascontiguousarray((sums.limbs & np.int64(0xFFFF_FFFF)).astype("<u4").T)
        width = 4 * len(sums.limbs)
        totals = [[sums.first, width, piece] for piece in sliced(limbs, self.cuts)]
        if sums.wild is None:
            return totals, [None] * len(totals)
        kinds = [sliced(np.ascontiguousarray(kind).astype("<i8"), self.cuts) for kind in sums.wild]
        found = [list(each) if any(any(kind) for kind in each) else None for each in zip(*kinds, strict=True)]
        return totals, found

    def _present(self, column: str) -> tuple[Ints, Ints, pa.Array]:
        """Return rows whose value is not null: their places among these, and those in the column."""
        values = self.columns[column]
        valid = np.asarray(values.is_valid())[self.row]
        places = np.flatnonzero(valid)
        return places, self.row[places], values

    def extremes(self, column: str, cell: Cell, *, greatest: bool) -> list[list[Any]]:
        places, row, values = self._present(column)
        ordered = Ordered.of(values, column)
        tile = np.searchsorted(self.begins, places, "right") - 1
        starts = np.flatnonzero(np.diff(tile, prepend=-1))
        keys = ordered.extreme(greatest=greatest)[row]
        pick = np.maximum if greatest else np.minimum
        if len(keys):
            keys = pick.reduceat(keys, starts)
        tiles = tile[starts]
        cuts = np.searchsorted(tiles, self.cuts)
        for low, high in pairwise(cuts.tolist()):
            keys[low:high] = pick.accumulate(keys[low:high][::-1])[::-1]
        numbers = sliced(self.number[self.begins[tiles]].astype("<i8"), cuts)
        if keyed(cell):
            return [list(each) for each in zip(numbers, sliced(keys.astype("<i8"), cuts), strict=True)]
        found = cell.values(ordered.column(keys, np.ones(len(keys), bool)))
        return [[each, found[low:high]] for each, low, high in zip(numbers, cuts[:-1], cuts[1:], strict=True)]

    def distinct(self, column: str, cell: Cell) -> list[list[Any]]:
        places, row, values = self._present(column)
        import pyarrow as pa

        same = Ordered.of(values, column).same()[row]
        key, number = self.key[places], self.number[places]
        order = np.lexsort((number, same, key))
        last = np.append((np.diff(same[order]) != 0) | (np.diff(key[order]) != 0), True)[: len(order)]
        kept = order[last]
        kept = kept[np.lexsort((number[kept], key[kept]))]
        cuts = np.searchsorted(key[kept], np.arange(len(self.cuts)))
        found = cell.values(values.take(pa.array(row[kept])))
        numbers = sliced(number[kept].astype("<i8"), cuts)
        return [[each, found[low:high]] for each, low, high in zip(numbers, cuts[:-1], cuts[1:], strict=True)]

    def quantiles(self, column: str, first: int) -> list[list[Any]]:
        places, row, values = self._present(column)
        import pyarrow as pa

        floats = values.take(pa.array(row)).cast(pa.float64(), safe=False)
        key = self.key[places]
        order = np.lexsort((Ordered.of(floats).extreme(greatest=True), key))
        cuts = np.searchsorted(key, np.arange(len(self.cuts)))
        numbers = self.number[places][order] - first
        kind = "<i4" if int(numbers.max(initial=0)) < 1 << 31 else "<i8"
        sorted_floats = np.asarray(floats)[order].astype("<f8")
        return [
            [first, *each] for each in zip(sliced(numbers.astype(kind), cuts), sliced(sorted_floats, cuts), strict=True)
        ]


def keyed(cell: Cell) -> bool:
    """Say whether tiles keep extremes as the ordered keys of `feature_store.kernel.columns`."""
    import pyarrow as pa

    return cell.floating or bool(pa.types.is_integer(cell.kind))


def sliced(values: NDArray[Any], cuts: Ints) -> list[bytes]:
    """Return the bytes of the values of each key."""
    width = values.itemsize * (values.shape[1] if values.ndim > 1 else 1)
    data = values.tobytes()
    bounds = (cuts * width).tolist()
    return [data[low:high] for low, high in pairwise(bounds)]
