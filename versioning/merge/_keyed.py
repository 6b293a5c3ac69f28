"""Rows with a key, three-way: rows that one side touched go as they are, rows that both touched cell by cell."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dataplat.lake.content_id import row_digests
from dataplat.versioning.merge._cells import parsed, row_texts, texts
from dataplat.versioning.merge._conflicts import Conflict
from dataplat.versioning.merge._edits import RowEdits, RowsMerged
from dataplat.versioning.merge._joined import Touched, touched

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dataplat.versioning.merge._selection import Rows
    from dataplat.versioning.merge._sides import Sides

    Mask = NDArray[np.bool_]

_OURS, _THEIRS, _BASE, _VALUE = 0, 1, 2, 3
_WORDS = {"ours": _OURS, "theirs": _THEIRS, "base": _BASE}


def merge_keyed(sides: Sides) -> RowsMerged:
    """Return the edit of ours; conflicts go into the settlement, and what nothing settles stays as ours has it."""
    found = touched(sides.objects, sides.moved, sides.schema, sides.key, frozenset(sides.merged.kept.values()))
    edits = RowEdits(sides)
    edits.remove_theirs()
    changed = found.theirs_changed
    if not len(found):
        return edits.finish(changed=changed, exact=True)
    fate = _Rows(sides, found).decide()
    ours, theirs = found.ours, found.theirs
    goes = (ours >= 0) & (fate.action != _OURS)
    edits.delete_ours(np.sort(ours[goes]))
    edits.leave_theirs(np.sort(theirs[(theirs >= 0) & (fate.action != _THEIRS)]))
    edits.write(fate.written)
    # of the rows of theirs that replace one of the base, those that were looked at here count by what became of them
    changed -= int(((found.base >= 0) & (theirs >= 0)).sum())
    changed += int((((ours >= 0) | found.ours_at_base) & goes_on(fate.action)).sum())
    return edits.finish(changed=changed, exact=False, merged=fate.written.num_rows)


def goes_on(action: NDArray[np.int64]) -> Mask:
    """Return which rows are there afterwards, otherwise than ours has them."""
    there: Mask = (action == _THEIRS) | (action == _VALUE)
    return there


@dataclass(frozen=True, slots=True)
class _Fate:
    """What becomes of each touched key: as ours (_OURS), as theirs, gone (_BASE), or written anew (_VALUE)."""

    action: NDArray[np.int64]
    written: pa.Table


class _Rows:
    """The touched rows, read as they are on each side."""

    def __init__(self, sides: Sides, found: Touched) -> None:
        self._sides = sides
        self._found = found
        self._n = len(found)
        self._has_base = found.base >= 0
        self._has_ours = (found.ours >= 0) | found.ours_at_base
        self._has_theirs = (found.theirs >= 0) | found.theirs_at_base
        self._both = self._has_ours & self._has_theirs
        self._fallen = self._has_base & (
            self._has_ours ^ self._has_theirs
        )  # deleted by one side, replaced by the other
        self._names = sides.schema.names
        self._pick_fallen = np.full(self._n, _BASE, np.int64)
        self._digests: dict[tuple[str, str], NDArray[np.uint64]] = {}

    def decide(self) -> _Fate:
        """Settle every cell and row and return what becomes of the rows."""
        self._read_base()
        choices = {name: self._choose(name) for name in self._names if name not in self._sides.key}
        action = self._settle_fallen()
        values = self._settle_cells(choices)
        both = self._both
        rebuilt = bool(self._sides.merged.kept)
        as_ours, as_theirs = both.copy(), both.copy()
        for name, choice in choices.items():
            same = self._equal(name, "ours", "theirs")
            as_ours &= (choice == _OURS) | ((choice == _THEIRS) & same)
            as_theirs &= (choice == _THEIRS) | ((choice == _OURS) & same)
        as_theirs &= not rebuilt
        as_ours &= not rebuilt
        action[both] = np.where(as_ours, _OURS, np.where(as_theirs, _THEIRS, _VALUE))[both]
        return _Fate(action, self._written(action, choices, values))

    def _read_base(self) -> None:
        """Read at once the columns of the base that will be asked for: those in which the sides differ."""
        known = self._both & self._has_base
        if self._fallen.any():
            self._base_columns(self._names)
        else:
            self._base_columns([name for name in self._names if (known & ~self._equal(name, "ours", "theirs")).any()])

    # ------------------------------------------------------------------------------------------------ cells

    def _choose(self, name: str) -> NDArray[np.int64]:
        """Return for each row which side's cell holds where that is plain; −1 where it is a conflict."""
        choice = np.zeros(self._n, np.int64)
        differ = self._both & ~self._equal(name, "ours", "theirs")
        if not differ.any():
            return choice
        known = differ & self._has_base
        if known.any():
            ours_same, theirs_same = self._equal(name, "base", "ours"), self._equal(name, "base", "theirs")
            choice[known & ours_same] = _THEIRS
            choice[known & ~ours_same & ~theirs_same] = -1
        new = differ & ~self._has_base
        lacks = self._sides.lacks
        if name in lacks["ours"]:
            choice[new] = _THEIRS
        elif name not in lacks["theirs"]:
            choice[new] = -1
        return choice

    def _settle_cells(self, choices: dict[str, NDArray[np.int64]]) -> dict[str, pa.Array]:
        """Settle conflicting cells; return the values that people gave, by column, in the order of the rows."""
        values: dict[str, pa.Array] = {}
        for name, choice in choices.items():
            rows = np.flatnonzero(choice < 0)
            if not len(rows):
                continue
            given: list[str] = []
            what: list[str] = []
            for row, conflict in zip(rows.tolist(), self._cell_conflicts(name, rows), strict=True):
                settled = self._sides.settlement.settle(conflict, lambda row=row: self._newest[row])  # type: ignore[misc]
                if settled is not None and settled.startswith("value:"):
                    choice[row] = _VALUE
                    given.append(settled.removeprefix("value:"))
                    what.append(f"{conflict.dataset} {conflict.key} {conflict.column}")
                else:
                    choice[row] = _WORDS[settled or "ours"]
            values[name] = parsed(given, self._sides.schema.field(name), what)
        return values

    def _cell_conflicts(self, name: str, rows: Rows) -> Iterator[Conflict]:
        shown = {side: texts(self._table(side).column(name).take(rows)) for side in ("ours", "theirs", "base")}
        keys = self._key_texts(rows)
        for at, (key, row) in enumerate(zip(keys, rows.tolist(), strict=True)):
            yield Conflict(
                dataset=self._sides.dataset,
                kind="cell",
                key=key,
                column=name,
                base=shown["base"][at] if self._has_base[row] else None,
                ours=shown["ours"][at],
                theirs=shown["theirs"][at],
            )

    # ------------------------------------------------------------------------------------------------- rows

    def _settle_fallen(self) -> NDArray[np.int64]:
        """Settle rows that one side deleted and the other replaced; return what becomes of them."""
        action = np.full(self._n, _BASE, np.int64)
        fallen = np.flatnonzero(self._fallen)
        if not len(fallen):
            return action
        changed = np.zeros(self._n, np.bool_)
        for name in self._names:
            for side, there in (("ours", self._has_ours), ("theirs", self._has_theirs)):
                changed |= self._fallen & there & ~self._equal(name, "base", side)
        rows = np.flatnonzero(changed)
        for row, conflict in zip(rows.tolist(), self._row_conflicts(rows), strict=True):
            settled = self._sides.settlement.settle(conflict, lambda row=row: self._newest[row])  # type: ignore[misc]
            action[row] = self._row_action(row, settled)
        if self._sides.merged.kept:  # a row of one side may lack a column that stays
            self._pick_fallen = action.copy()
            action[self._fallen & goes_on(action)] = _VALUE
            action[self._fallen & self._has_ours & (self._pick_fallen == _OURS)] = _VALUE
            self._pick_fallen[self._pick_fallen == _VALUE] = _BASE
        return action

    def _row_action(self, row: int, settled: str | None) -> int:
        if settled == "base":
            return _VALUE
        there = self._has_theirs if settled == "theirs" else self._has_ours
        if not there[row]:
            return _BASE
        return _THEIRS if settled == "theirs" else _OURS

    def _row_conflicts(self, rows: Rows) -> Iterator[Conflict]:
        shown = {side: row_texts(self._table(side).take(rows)) for side in ("base", "ours", "theirs")}
        for at, (key, row) in enumerate(zip(self._key_texts(rows), rows.tolist(), strict=True)):
            yield Conflict(
                dataset=self._sides.dataset,
                kind="row",
                key=key,
                base=shown["base"][at],
                ours=shown["ours"][at] if self._has_ours[row] else None,
                theirs=shown["theirs"][at] if self._has_theirs[row] else None,
            )

    def _key_texts(self, rows: Rows) -> list[str]:
        keys = self._sides.key
        table = self._table("ours").select(keys).take(rows)
        other = self._table("theirs").select(keys).take(rows)
        there = pa.array(self._has_ours[rows])
        columns = [
            pc.if_else(there, table.column(name).combine_chunks(), other.column(name).combine_chunks()) for name in keys
        ]
        return row_texts(pa.table(columns, names=keys))

    # ------------------------------------------------------------------------------------- reading and writing

    def _written(
        self, action: NDArray[np.int64], choices: dict[str, NDArray[np.int64]], values: dict[str, pa.Array]
    ) -> pa.Table:
        rows = np.flatnonzero(action == _VALUE)
        schema = pa.schema([field.with_metadata(None) for field in self._sides.schema])
        if not len(rows):
            return schema.empty_table()
        columns = []
        for name in self._names:
            choice = choices.get(name, np.zeros(self._n, np.int64)).copy()
            fallen = self._fallen & (action == _VALUE)
            choice[fallen] = self._pick_fallen[fallen]
            columns.append(self._picked(name, rows, choice, values.get(name)))
        return pa.table(columns, schema=pa.schema([field.with_nullable(True) for field in schema]))

    def _picked(self, name: str, rows: Rows, choice: NDArray[np.int64], values: pa.Array | None) -> pa.ChunkedArray:
        """Return one column of the rows to write, each cell from where it was chosen."""
        field = self._sides.schema.field(name)
        sources = [self._table(side).column(name).combine_chunks() for side in ("ours", "theirs")]
        needs_base = bool((choice[rows] == _BASE).any())
        sources.append(
            self._table("base").column(name).combine_chunks() if needs_base else pa.nulls(self._n, field.type)
        )
        starts = np.arange(self._n) + choice * self._n
        given = choice == _VALUE
        starts[given] = 3 * self._n + np.arange(int(given.sum()))
        if values is not None:
            sources.append(values)
        return pa.chunked_array(sources, field.type).take(pa.array(starts[rows]))

    def _equal(self, name: str, one: str, other: str) -> Mask:
        """Return in which rows a column's values are equal as canonical values are."""
        same: Mask = (self._column_digests(name, one) == self._column_digests(name, other)).all(axis=1)
        return same

    def _column_digests(self, name: str, side: str) -> NDArray[np.uint64]:
        known = self._digests.get((name, side))
        if known is None:
            table = self._base_columns([name]) if side == "base" else self._table(side).select([name])
            known = self._digests[name, side] = row_digests(table)
        return known

    def _table(self, side: str) -> pa.Table:
        if side == "base":
            return self._base_columns(self._names)
        return self._ours if side == "ours" else self._theirs

    @cached_property
    def _ours(self) -> pa.Table:
        return self._side("ours", self._found.ours, self._found.ours_at_base)

    @cached_property
    def _theirs(self) -> pa.Table:
        return self._side("theirs", self._found.theirs, self._found.theirs_at_base)

    def _side(self, side: str, rows: Rows, at_base: Mask) -> pa.Table:
        """Return the rows of a side; a column that it has not is as the base has it, for it did not change it."""
        sides = self._sides
        added = (sides.moved.ours if side == "ours" else sides.moved.theirs).added
        table = added.take(sides.objects, sides.schema, rows)
        if at_base.any():
            base = self._base_columns(self._names)
            picks = pa.array(np.where(at_base, np.arange(self._n) + self._n, np.arange(self._n)))
            table = pa.concat_tables([table, base]).take(picks)
        for name in sides.lacks[side] - sides.lacks["base"]:
            position = table.schema.get_field_index(name)
            table = table.set_column(position, table.schema.field(name), self._base_columns([name]).column(name))
        return table

    def _base_columns(self, names: Sequence[str]) -> pa.Table:
        """Return columns of the base's rows, of those rows alone of which they may be asked, and read once each."""
        missing = [name for name in names if name not in self._base_read]
        if missing:
            wanted = self._wanted_of_base(missing)
            rows = np.where(wanted, self._found.base, -1)
            table = self._found.went.take(self._sides.objects, self._sides.schema, rows, missing)
            self._base_read.update(zip(missing, table.columns, strict=True))
        fields = [self._sides.schema.field(name).with_nullable(True).with_metadata(None) for name in names]
        return pa.table([self._base_read[name] for name in names], schema=pa.schema(fields))

    def _wanted_of_base(self, names: Sequence[str]) -> Mask:
        """Return which rows' base is needed: where the sides differ, where one is missing, or where it fills a gap."""
        if self._found.ours_at_base.any() or self._found.theirs_at_base.any():
            return self._has_base
        sides = self._sides
        if any(name in lacks for lacks in (sides.lacks["ours"], sides.lacks["theirs"]) for name in names):
            return self._has_base
        differ: Mask = self._fallen.copy()
        for name in self._names:
            differ |= self._both & ~self._equal(name, "ours", "theirs")
        differ &= self._has_base
        return differ

    @cached_property
    def _base_read(self) -> dict[str, pa.ChunkedArray]:
        return {}

    @cached_property
    def _newest(self) -> list[str]:
        return self._sides.newest_rows(self._found.digests)
