"""The values of rows from their records: of one by what `struct` unpacks, of many as arrays.

Cells that are not plain (null, expired, with rows that begin later) are made as `feature_store.online.state` makes them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any, Final, TypeAlias

import msgspec
import numpy as np

from dataplat.feature_store.definitions import Feature, Field
from dataplat.feature_store.online.layout import CLEAN, MISSING, SECTIONS, SEVERAL, Layout, Placed
from dataplat.feature_store.online.plan import Output
from dataplat.feature_store.online.raw import raw_default
from dataplat.feature_store.online.state import answering, rows_of
from dataplat.feature_store.online.windows import Events, compiled

_SECTIONS: Final = msgspec.msgpack.Decoder()


class Part:
    """What of a row is made of one base."""

    def __init__(self, layout: Layout, placed: Placed, outputs: Sequence[Output]) -> None:
        self.layout, self.placed = layout, placed
        self.outputs: list[tuple[int, Output]] = [
            (at, each) for at, each in enumerate(outputs) if each.base is placed.base
        ]
        base = placed.base
        features: list[Feature] = [each.feature for _, each in self.outputs]
        self.answer = answering(base, features)
        self.fields = [(at, each.feature) for at, each in self.outputs if isinstance(each.feature, Field)]
        self.places = {at: placed.first + list(base.cells).index(each.column) for at, each in self.fields}
        self.windows = [
            (at, compiled(base, each.feature)) for at, each in self.outputs if not isinstance(each.feature, Field)
        ]
        self.ttl = base.view.view.ttl
        columns = list(base.cells)
        self.defaults: list[list[tuple[int, Any]]] = [
            [(at, raw_default(base, each)) for at, each in self.fields if each.column == column] for column in columns
        ]

    def odd(self, values: Sequence[Any], t: int) -> bool:
        """Say whether the newest row is not the one in the fixed part, or is expired."""
        e = values[self.placed.e]
        return e in (MISSING, SEVERAL) or (self.ttl is not None and t - e > self.ttl)

    def patch(self, found: list[Any], record: bytes, values: Sequence[Any], section: list[Any] | None, t: int) -> None:
        """Correct the cells of a row that are not plain."""
        if self.odd(values, t):
            rows = rows_of(self.layout, self.placed, values, record, section)
            events = Events(self.placed.base, None if section is None else section[1:])
            for (at, _), cell in zip(self.outputs, self.answer(rows, events, t), strict=True):
                found[at] = cell.value
            return
        for word, place in enumerate(self.placed.nulls):
            bits = values[place]
            while bits:
                least = bits & -bits
                for at, default in self.defaults[64 * word + least.bit_length() - 1]:
                    found[at] = default
                bits ^= least


Rowed: TypeAlias = "Callable[[bytes, Sequence[Any], int], Sequence[Any]]"


def rowed(layout: Layout, parts: Sequence[Part], length: int) -> Rowed:
    """Return a function that makes the values of a row of a record, its fixed part unpacked, and the time."""
    places = [0] * length
    for part in parts:
        for at, place in part.places.items():
            places[at] = place
    pick: Any = itemgetter(*places) if length > 1 else lambda values: (values[places[0]],) if length else ()
    tails = _tails(layout, parts)
    windows = [(part, part.placed.base, part.windows) for part in parts if part.windows]
    size = layout.fixed.size

    def row(record: bytes, values: Sequence[Any], t: int) -> Sequence[Any]:
        flags = values[0]
        clean = flags & CLEAN and t <= values[2]
        if clean and not tails and not windows:
            return pick(values)  # type: ignore[no-any-return]
        found = list(pick(values))
        for at, before, end, load in tails:
            found[at] = load(record[size + (values[before] if before else 0) : size + values[end]])
        sections = _SECTIONS.decode(memoryview(record)[values[3] :]) if flags & SECTIONS else ()
        for part, base, functions in windows:
            if not clean and part.odd(values, t):
                continue
            section = sections[base.place] if base.place < len(sections) else None
            events = Events(base, None if section is None else section[1:])
            for at, function in functions:
                found[at] = function(events, t)
        if not clean:
            for part in parts:
                place = part.placed.base.place
                part.patch(found, record, values, sections[place] if place < len(sections) else None, t)
        return found

    return row


def _tails(layout: Layout, parts: Sequence[Part]) -> list[tuple[int, int, int, Callable[[bytes], Any]]]:
    """Return (place in the row, where the value before ends, where it ends, how it is read) of those of no fixed width."""
    ends = [place for placed in layout.places for place, _ in placed.tails]
    found = []
    for part in parts:
        for at, feature in part.fields:
            cell = part.placed.base.cells[feature.column]
            if not cell.char:
                end = part.places[at]
                before = ends.index(end)
                found.append((at, ends[before - 1] if before else 0, end, cell.load))
    return found


Batched: TypeAlias = "Callable[[Sequence[bytes], int], tuple[list[list[Any]], list[int]]]"


def batched(layout: Layout, parts: Sequence[Part], length: int) -> Batched | None:
    """Return a function that makes columns of many records, and says of which the cells are not plain; None: by rows."""
    if not length or any(part.windows for part in parts):
        return None
    names = [""] * length
    for part in parts:
        for at, feature in part.fields:
            names[at] = f"{part.placed.base.place} {feature.column}"
    tails = _tails(layout, parts)
    odd_ones = {at for at, *_ in tails}
    runs = _runs(layout, names, odd_ones)
    size = layout.fixed.size
    fields = layout.dtype.names or ()

    def batch(records: Sequence[bytes], t: int) -> tuple[list[list[Any]], list[int]]:
        if not records:
            return [[] for _ in names], []
        whole = b"".join(records)
        if len(whole) != size * len(records):
            whole = b"".join([record[:size] for record in records])
        fixed = np.frombuffer(whole, layout.dtype)
        columns: list[list[Any]] = [[]] * length
        for at, count, kind, offset in runs:
            some = np.ndarray((count, len(records)), kind, whole, offset, (kind.itemsize, size))
            columns[at : at + count] = some.tolist()
        for at, before, end, load in tails:
            ends = fixed[fields[end]].tolist()
            begins = fixed[fields[before]].tolist() if before else [0] * len(ends)
            columns[at] = [
                load(record[size + low : size + high]) for record, low, high in zip(records, begins, ends, strict=True)
            ]
        odd = np.flatnonzero(((fixed["flags"] & CLEAN) == 0) | (fixed["until"] < t))
        return columns, odd.tolist()

    return batch


def _runs(layout: Layout, names: Sequence[str], without: set[int]) -> list[tuple[int, int, np.dtype[Any], int]]:
    """Return (place of the first column, how many, type, where it lies) of columns that lie one behind the other."""
    found: list[tuple[int, int, np.dtype[Any], int]] = []
    for at, name in enumerate(names):
        if at in without:
            continue
        assert layout.dtype.fields is not None
        kind, offset = layout.dtype.fields[name][:2]
        if found:
            first, count, before, begin = found[-1]
            if first + count == at and kind == before and begin + count * kind.itemsize == offset:
                found[-1] = (first, count + 1, kind, begin)
                continue
        found.append((at, 1, kind, offset))
    return found


def spread(column: list[Any], there: Sequence[int], rows: int, missing: Any) -> list[Any]:
    """Return a column with values at their places, and others missing."""
    found = [missing] * rows
    for at, value in zip(there, column, strict=True):
        found[at] = value
    return found
