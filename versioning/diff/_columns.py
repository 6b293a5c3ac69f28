"""Rows that changed, as tables, and what changed in each column."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dataplat.versioning.diff._rows import cells_differ
from dataplat.versioning.diff._schema import names_in_later, schema_changes

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from dataplat.versioning.manifest import Manifest


@dataclass(frozen=True, slots=True)
class ColumnDiff:
    """One column of either version.

    `name` is that of the later version (of a removed column, of the earlier), `before` and `after` its types there,
    None where it is not. `changes` are the kinds of schema change: `added`, `removed`, `renamed`, `retyped`, `nullable`.
    `cells` is in how many of the `rows` that changed its value differs.
    """

    name: str
    before: str | None
    after: str | None
    changes: tuple[str, ...]
    cells: int
    rows: int

    @property
    def share(self) -> float:
        """The part of the changed rows in which the cell differs, 0 to 1."""
        return self.cells / self.rows if self.rows else 0.0


def column_diffs(
    before: Manifest, after: Manifest, rows_before: pa.Table, rows_after: pa.Table, key: Sequence[str]
) -> list[ColumnDiff]:
    """Return what happened to each column: those of the later version in its order, then those that went."""
    names = names_in_later(before, after)
    old = {names[column["name"]]: column for column in before.schema_json}
    new = {column["name"]: column for column in after.schema_json}
    kinds: dict[str, list[str]] = {name: [] for name in (*new, *old)}
    for change in schema_changes(before.schema_json, after.schema_json):
        kinds[names[change.column] if change.kind == "removed" else change.column].append(change.kind)
    rows = rows_after.num_rows
    found = []
    for name in dict.fromkeys((*new, *old)):
        cells = 0 if name in key or not rows else int(cells_differ(rows_before, rows_after, name).sum())
        was, now = (_type(side[name]) if name in side else None for side in (old, new))
        found.append(ColumnDiff(name, was, now, tuple(kinds[name]), cells, rows))
    return found


def changed_table(before: pa.Table, after: pa.Table, key: Sequence[str]) -> pa.Table:
    """Return pairs of rows as one table: the key, the names of the columns that differ, and both rows."""
    import pyarrow as pa

    changed, was, now = names_beside(key)
    differing = pa.array(_differing(before, after, key), pa.list_(pa.string()))
    arrays = [*(after.column(name) for name in key), differing, _as_struct(before), _as_struct(after)]
    return pa.Table.from_arrays(arrays, [*key, changed, was, now])


def names_beside(key: Sequence[str]) -> tuple[str, str, str]:
    """Return what `changed`, `before` and `after` are called beside the columns of a key."""
    changed, before, after = (_beside(name, key) for name in ("changed", "before", "after"))
    return changed, before, after


def one_table(removed: pa.Table, added: pa.Table, changed: pa.Table, key: Sequence[str]) -> pa.Table:
    """Return the rows of all three kinds as one table."""
    import pyarrow as pa

    names = names_beside(key)
    whole = changed.schema
    tables = []
    for kind, rows, side, other in (("removed", removed, 1, 2), ("added", added, 2, 1)):
        columns: dict[str, Any] = {name: rows.column(name).cast(whole.field(name).type) for name in key}
        columns[names[0]] = pa.nulls(rows.num_rows, whole.field(names[0]).type)
        columns[names[side]] = _as_struct(rows)
        columns[names[other]] = pa.nulls(rows.num_rows, whole.field(names[other]).type)
        tables.append((kind, pa.table([columns[name] for name in whole.names], schema=whole)))
    tables.append(("changed", changed))
    parts = [
        table.add_column(0, _beside("change", key), pa.array([kind] * table.num_rows, pa.string()))
        for kind, table in tables
    ]
    return pa.concat_tables(parts)


def _beside(name: str, key: Sequence[str]) -> str:
    while name in key:
        name += "_"
    return name


def _differing(before: pa.Table, after: pa.Table, key: Sequence[str]) -> list[list[str]]:
    """Name, for each pair of rows, the columns whose canonical values differ."""
    names = [name for name in after.column_names if name not in key]
    rows: list[list[str]] = [[] for _ in range(after.num_rows)]
    for name in names if rows else ():
        for row in cells_differ(before, after, name).nonzero()[0].tolist():
            rows[row].append(name)
    return rows


def _as_struct(table: pa.Table) -> pa.Array:
    import pyarrow as pa

    combined = table.combine_chunks()
    arrays = [column.chunk(0) if column.num_chunks else pa.array([], column.type) for column in combined.itercolumns()]
    return pa.StructArray.from_arrays(arrays, fields=list(table.schema))


def _type(column: dict[str, Any]) -> str:
    kind = column["type"]
    return kind if isinstance(kind, str) else str(kind)
