"""What a merge has to give, on plain dicts: written from the rules alone, and slow.

A table is columns (by an identity that outlives renames) and rows (dicts by that identity; a missing cell is null).
"""

from __future__ import annotations

from collections import Counter
from copy import deepcopy
from dataclasses import dataclass, field

WIDTHS = ["int16", "int32", "int64"]


@dataclass
class Column:
    """A column as one branch has it."""

    name: str
    kind: str
    nullable: bool = True


@dataclass
class Table:
    """A dataset on one branch; `log` has (time, rows before, rows after) of every commit that may have touched rows."""

    keyed: bool
    columns: dict[str, Column] = field(default_factory=dict)
    rows: list[dict] = field(default_factory=list)
    changed: int = 0
    log: list = field(default_factory=list)

    def copy(self):
        """Return the table as a branch begins with it."""
        return Table(self.keyed, deepcopy(self.columns), deepcopy(self.rows), self.changed, [])

    def by_key(self):
        """Return rows by the value of the key column."""
        return {row["id"]: row for row in self.rows}

    def named(self):
        """Return rows under the names that columns have."""
        return [{column.name: row.get(id) for id, column in self.columns.items()} for row in self.rows]


@dataclass
class Merge:
    """The merge of two tables since a base: `conflicts` as (kind, key, column), and `result`, or None where it stops."""

    base: Table
    ours: Table
    theirs: Table
    policy: str | None
    conflicts: list = field(default_factory=list)
    open: int = 0
    kept: dict = field(default_factory=dict)
    result: Table | None = None

    def run(self):
        """Merge and return self."""
        columns = self.merged_columns()
        if self.open:
            return self
        contested = [
            id
            for id, column in columns.items()
            if not column.nullable
            and any(id not in side.columns or side.columns[id].nullable for side in (self.ours, self.theirs))
        ]
        rows = self.keyed_rows(columns) if self.base.keyed else self.plain_rows(columns)
        for id in contested:
            if any(row.get(id) is None for row in rows):
                self.settle("column", None, columns[id].name, self.newest())
                columns[id].nullable = True
        if not self.open:
            self.result = Table(self.base.keyed, columns, rows)
        return self

    def settle(self, kind, key, column, newest):
        """Note a conflict; return the side that wins, ours where nothing decides."""
        self.conflicts.append((kind, key, column))
        if self.policy is None:
            self.open += 1
            return "ours"
        return newest if self.policy == "newest" else self.policy

    def newest(self):
        """Return the side that changed the dataset last."""
        return "theirs" if self.theirs.changed > self.ours.changed else "ours"

    # ------------------------------------------------------------------------------------------------ columns

    def merged_columns(self):
        """Return the columns by identity, in order."""
        base, ours, theirs = self.base.columns, self.ours.columns, self.theirs.columns
        found = {}
        for id in [*base, *(i for i in ours if i not in base), *(i for i in theirs if i not in base and i not in ours)]:
            column = self.one_column(base.get(id), ours.get(id), theirs.get(id), id)
            if column is not None:
                found[id] = column
        self.part_names(found)
        return {id: found[id] for id in self.order(found)}

    def one_column(self, base, ours, theirs, id):
        """Return what becomes of one column."""
        if base is None and (ours is None or theirs is None):
            return deepcopy(ours or theirs)
        if ours is None and theirs is None:
            return None
        if ours is None or theirs is None:
            dropper, other = ("ours", "theirs") if ours is None else ("theirs", "ours")
            column = theirs if ours is None else ours
            touched = self.cells_changed(id, self.theirs if ours is None else self.ours)
            if not touched and (column.name, column.kind) == (base.name, base.kind):
                return None
            if self.settle("column", None, base.name, self.newest()) == dropper:
                return None
            self.kept[id] = dropper
            assert other
            return Column(column.name, column.kind)
        name, kind = ours.name, ours.kind
        clash = ours.name != theirs.name and (base is None or base.name not in (ours.name, theirs.name))
        if clash:
            side = self.settle("column", None, (base or ours).name, self.newest())
            name = ours.name if side == "ours" else theirs.name
        elif base is not None and ours.name == base.name:
            name = theirs.name
        if ours.kind != theirs.kind:
            kind = max(ours.kind, theirs.kind, key=WIDTHS.index)
        if base is None:
            nullable = ours.nullable or theirs.nullable
        else:
            nullable = theirs.nullable if ours.nullable == base.nullable else ours.nullable
        return Column(name, kind, nullable)

    def cells_changed(self, id, side):
        """Count common rows of base and side whose cell differs."""
        if not self.base.keyed:
            return 0
        before = self.base.by_key()
        return sum(row["id"] in before and before[row["id"]].get(id) != row.get(id) for row in side.rows)

    def part_names(self, columns):
        """Give two columns of one name different ones."""
        first = {}
        for id in list(columns):
            name = columns[id].name
            if name not in first:
                first[name] = id
                continue
            pair = (first[name], id)
            owner = {
                "ours" if i in self.ours.columns and self.ours.columns[i].name == name else "theirs": i for i in pair
            }
            winner = owner.get(self.settle("column", None, name, self.newest()), id)
            loser = pair[0] if winner == pair[1] else pair[1]
            first[name] = winner
            if loser not in self.base.columns:
                del columns[loser]
                continue
            taken = {column.name for column in columns.values()}
            old = self.base.columns[loser].name
            new, n = old, 1
            while new in taken:
                n += 1
                new = f"{old}_{n}"
            columns[loser].name = new
            first[new] = loser

    def order(self, columns):
        """Return the order of the side that changed it, with the columns of the other behind their neighbours."""
        base, ours, theirs = list(self.base.columns), list(self.ours.columns), list(self.theirs.columns)
        common = [i for i in base if i in ours and i in theirs]
        if [i for i in ours if i in common] == common and [i for i in theirs if i in common] != common:
            ours, theirs = theirs, ours
        order = [i for i in ours if i in columns]
        for at, i in enumerate(theirs):
            if i in columns and i not in order:
                place = 0
                for j in theirs[:at]:
                    if j in order:
                        place = order.index(j) + 1
                order.insert(place, i)
        return order

    # --------------------------------------------------------------------------------------------------- rows

    def cell(self, row, side, id, base_row):
        """Return a side's cell; of a column that it dropped and that stays, the base's."""
        if self.kept.get(id) == side:
            return None if base_row is None else base_row.get(id)
        table = getattr(self, side)
        return row.get(id) if id in table.columns else None

    def keyed_rows(self, columns):
        """Return the rows of a table with a key."""
        base, ours, theirs = self.base.by_key(), self.ours.by_key(), self.theirs.by_key()
        rows = []
        for key in sorted({*base, *ours, *theirs}):
            row = self.one_row(key, base.get(key), ours.get(key), theirs.get(key), columns)
            if row is not None:
                rows.append(row)
        return rows

    def one_row(self, key, base, ours, theirs, columns):  # noqa: PLR0912  (a rule, a branch)
        """Return what becomes of one key."""
        before = {id: (base or {}).get(id) if id in self.base.columns else None for id in columns}
        sides = {
            side: None if row is None else {id: self.cell(row, side, id, base) for id in columns}
            for side, row in (("ours", ours), ("theirs", theirs))
        }
        mine, other = sides["ours"], sides["theirs"]
        if mine is None and other is None:
            return None
        if mine is None or other is None:
            there = mine or other
            if base is None:
                return there
            if there == before:
                return None
            return sides[self.settle("row", key, "", self.newest_row(key, columns))]
        row = {}
        for id in columns:
            one, two = mine[id], other[id]
            if one == two:
                row[id] = one
            elif base is not None:
                if one == before[id]:
                    row[id] = two
                elif two == before[id]:
                    row[id] = one
                else:
                    row[id] = sides[self.settle("cell", key, columns[id].name, self.newest_row(key, columns))][id]
            elif id not in self.ours.columns:
                row[id] = two
            elif id not in self.theirs.columns:
                row[id] = one
            else:
                row[id] = sides[self.settle("cell", key, columns[id].name, self.newest_row(key, columns))][id]
        return row

    def newest_row(self, key, columns):
        """Return the side whose last commit that touched the row is newer."""
        times = [self.touched(getattr(self, side), key, columns) for side in ("ours", "theirs")]
        return "theirs" if times[1] > times[0] else "ours"

    def touched(self, table, key, columns):
        """Return the time of the last commit that changed a row, 0 if none did."""
        for time, before, after in reversed(table.log):
            shown = [
                None if rows.get(key) is None else {id: rows[key].get(id) for id in columns} for rows in (before, after)
            ]
            if shown[0] != shown[1]:
                return time
        return 0

    def plain_rows(self, columns):
        """Return the rows of a table without a key."""
        b, o, t = (
            Counter(tuple(row.get(id) if id in side.columns else None for id in columns) for row in side.rows)
            for side in (self.base, self.ours, self.theirs)
        )
        rows = []
        for values in {*b, *o, *t}:
            mine, other = o[values] - b[values], t[values] - b[values]
            count = b[values] + (min(mine, other) if mine < 0 and other < 0 else mine + other)
            rows += [dict(zip(columns, values, strict=True))] * max(0, count)
        return rows
