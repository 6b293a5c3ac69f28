"""What differs between two versions of a dataset, row by row.

Only parts, and deletes of parts, that differ are read: a part that both versions hold with the same deletes
cannot differ. With a key a row that was replaced is *changed*, and the columns that differ are named; without
one the two versions are compared as multisets of rows.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias

from dataplat.lake.take import live_rows, positions_deleted_between, rows_deleted_between
from dataplat.versioning._difference import difference

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import polars as pl
    import pyarrow as pa
    from numpy.typing import NDArray

    from dataplat.lake.objects import Objects
    from dataplat.lake.part import Part
    from dataplat.versioning.manifest import Manifest


_Candidate: TypeAlias = "tuple[Part, Part | None, int]"


@dataclass(frozen=True, slots=True)
class DiffSummary:
    """Counts of rows that were added, removed, and changed (same key, other values)."""

    added: int
    removed: int
    changed: int

    @property
    def is_empty(self) -> bool:
        """Whether no row differs."""
        return not (self.added or self.removed or self.changed)


@dataclass(frozen=True, slots=True)
class SchemaChange:
    """One column that is `added`, `removed` or `retyped`, with its type before and after."""

    kind: str
    column: str
    before: str | None
    after: str | None

    def __str__(self) -> str:
        if self.kind == "retyped":
            return f"column {self.column}: {self.before} -> {self.after}"
        return f"column {self.column} {self.kind} ({self.after or self.before})"


@dataclass(frozen=True, slots=True)
class _Rows:
    """The rows of the two versions that may differ, and where each kind lies in them."""

    before: pa.Table
    after: pa.Table
    removed: NDArray[np.int64]
    added: NDArray[np.int64]
    changed_before: NDArray[np.int64]
    changed_after: NDArray[np.int64]


class Diff:
    """The difference between two versions; counts and tables are computed when first asked for.

    `added` and `removed` are Arrow tables with the columns of the version that holds the rows. `changed` has
    the key columns, `changed` (list of column names) and the structs `before` and `after`.
    """

    def __init__(self, objects: Objects, before: Manifest, after: Manifest) -> None:
        self._objects = objects
        self._before = before
        self._after = after

    @property
    def key(self) -> tuple[str, ...]:
        """The key by which rows are matched; empty where the versions do not share one."""
        return self._after.key if self._before.key == self._after.key else ()

    @cached_property
    def schema_changes(self) -> list[SchemaChange]:
        """Columns that came, went, or changed their type."""
        before = {field["name"]: _type_text(field) for field in self._before.schema_json}
        after = {field["name"]: _type_text(field) for field in self._after.schema_json}
        gone = [SchemaChange("removed", name, kind, None) for name, kind in before.items() if name not in after]
        new = [SchemaChange("added", name, None, kind) for name, kind in after.items() if name not in before]
        retyped = [
            SchemaChange("retyped", name, kind, after[name])
            for name, kind in before.items()
            if name in after and after[name] != kind
        ]
        return gone + new + retyped

    @cached_property
    def summary(self) -> DiffSummary:
        """How many rows were added, removed and changed; reads nothing where counting parts is enough."""
        only_before, only_after = self._candidates
        if not only_before:
            return DiffSummary(sum(rows for _, _, rows in only_after), 0, 0)
        if not only_after:
            return DiffSummary(0, sum(rows for _, _, rows in only_before), 0)
        rows = self._rows
        return DiffSummary(len(rows.added), len(rows.removed), len(rows.changed_after))

    @property
    def added(self) -> pa.Table:
        """Rows that only the later version has."""
        return self._rows.after.take(self._rows.added)

    @property
    def removed(self) -> pa.Table:
        """Rows that only the earlier version has."""
        return self._rows.before.take(self._rows.removed)

    @cached_property
    def changed(self) -> pa.Table:
        """Rows whose key is in both versions and whose values differ."""
        import pyarrow as pa

        before = self._rows.before.take(self._rows.changed_before)
        after = self._rows.after.take(self._rows.changed_after)
        differing = _differing_columns(before, after, self.key)
        columns: dict[str, Any] = {name: after.column(name) for name in self.key}
        columns["changed"] = pa.array(differing, pa.list_(pa.string()))
        columns["before"] = _as_struct(before)
        columns["after"] = _as_struct(after)
        return pa.table(columns)

    def to_dict(self) -> dict[str, Any]:
        """Return the summary and the schema changes as plain values."""
        summary = self.summary
        return {
            "before": self._before.id,
            "after": self._after.id,
            "added": summary.added,
            "removed": summary.removed,
            "changed": summary.changed,
            "schema_changes": [str(change) for change in self.schema_changes],
        }

    def __repr__(self) -> str:
        summary = self.summary
        text = f"+{summary.added:,} added, -{summary.removed:,} removed, ~{summary.changed:,} changed rows"
        return f"Diff({'; '.join([text, *map(str, self.schema_changes)])})"

    @cached_property
    def _candidates(self) -> tuple[list[_Candidate], list[_Candidate]]:
        differs = difference(self._before, self._after)
        same = Counter(map(_identity, differs.dropped)) & Counter(map(_identity, differs.added))
        before: list[_Candidate] = [(part, None, part.live) for part in _without(differs.dropped, same)]
        after: list[_Candidate] = [(part, None, part.live) for part in _without(differs.added, same)]
        for old, new in differs.changed:
            before += _deleted_between(self._objects, old, new)
            after += _deleted_between(self._objects, new, old)
        return before, after

    @cached_property
    def _rows(self) -> _Rows:
        only_before, only_after = self._candidates
        before = _read(self._objects, only_before, self._before)
        after = _read(self._objects, only_after, self._after)
        match = _match_by_key if self.key else _match_by_row
        return match(before, after, self.key)


def _identity(part: Part) -> tuple[str, str | None]:
    return part.id, part.deletes


def _without(parts: Sequence[Part], same: Counter[tuple[str, str | None]]) -> list[Part]:
    """Leave out parts that the other side holds too, at another place."""
    left = same.copy()
    kept = []
    for part in parts:
        if left[_identity(part)]:
            left[_identity(part)] -= 1
        elif part.live:
            kept.append(part)
    return kept


def _deleted_between(objects: Objects, part: Part, later: Part) -> list[_Candidate]:
    rows = len(positions_deleted_between(objects, part, later))
    return [(part, later, rows)] if rows else []


def _read(objects: Objects, candidates: Sequence[_Candidate], manifest: Manifest) -> pa.Table:
    import pyarrow as pa

    batches: list[pa.RecordBatch] = []
    for part, twin, _ in candidates:
        if twin is None:
            batches += live_rows(objects, part, manifest.schema)
        else:
            batches += rows_deleted_between(objects, part, twin, manifest.schema)
    return pa.Table.from_batches(batches, manifest.schema)


def _match_by_key(before: pa.Table, after: pa.Table, key: tuple[str, ...]) -> _Rows:
    """Match by the digests of keys: they are equal across widths, units and zones, whatever the type."""
    left = _frame(_table_digests(before, key)).rename({"row": "row_before"})
    right = _frame(_table_digests(after, key)).rename({"row": "row_after"})
    on = ["lane0", "lane1"]
    both = left.join(right, on=on, how="inner", maintain_order="right")
    removed = left.join(right, on=on, how="anti", maintain_order="left")["row_before"]
    added = right.join(left, on=on, how="anti", maintain_order="left")["row_after"]
    in_before, in_after = both["row_before"].to_numpy(), both["row_after"].to_numpy()
    differs = _rows_differ(before.take(in_before), after.take(in_after))
    return _Rows(before, after, removed.to_numpy(), added.to_numpy(), in_before[differs], in_after[differs])


def _match_by_row(before: pa.Table, after: pa.Table, _key: tuple[str, ...]) -> _Rows:
    import numpy as np
    import polars as pl

    nth = pl.int_range(pl.len()).over("lane0", "lane1").alias("nth")
    frames = [_frame(_table_digests(table)).with_columns(nth) for table in (before, after)]
    on = ["lane0", "lane1", "nth"]  # the nth of several equal rows matches the nth of the other side
    removed = frames[0].join(frames[1], on=on, how="anti", maintain_order="left")["row"].to_numpy()
    added = frames[1].join(frames[0], on=on, how="anti", maintain_order="left")["row"].to_numpy()
    none = np.empty(0, np.int64)
    return _Rows(before, after, removed, added, none, none)


def _frame(lanes: NDArray[np.uint64]) -> pl.DataFrame:
    import polars as pl

    return pl.DataFrame({"lane0": lanes[:, 0], "lane1": lanes[:, 1]}).with_row_index("row")


def _table_digests(table: pa.Table, names: Sequence[str] | None = None) -> NDArray[np.uint64]:
    import numpy as np

    from dataplat.lake.content_id import key_digests, row_digests

    batches = table.to_batches()
    lanes = [row_digests(batch) if names is None else key_digests(batch, names) for batch in batches]
    return np.concatenate(lanes) if lanes else np.empty((0, 2), np.uint64)


def _rows_differ(before: pa.Table, after: pa.Table) -> NDArray[np.bool_]:
    unequal: NDArray[np.bool_] = (_table_digests(before) != _table_digests(after)).any(axis=1)
    return unequal


def _differing_columns(before: pa.Table, after: pa.Table, key: tuple[str, ...]) -> list[list[str]]:
    """Name, for each pair of rows, the columns whose canonical values differ."""
    names = [name for name in after.column_names if name not in key]
    names += [name for name in before.column_names if name not in after.column_names]
    rows: list[list[str]] = [[] for _ in range(after.num_rows)]
    for name in names:
        sides = [table.select([name] if name in table.column_names else []) for table in (before, after)]
        if all(side.num_columns for side in sides):
            differs = _rows_differ(*sides).nonzero()[0]
        else:
            present = next(side for side in sides if side.num_columns)
            differs = present.column(0).is_valid().to_numpy().nonzero()[0]
        for row in differs.tolist():
            rows[row].append(name)
    return rows


def _as_struct(table: pa.Table) -> pa.Array:
    import pyarrow as pa

    combined = table.combine_chunks()
    arrays = [column.chunk(0) if column.num_chunks else pa.array([], column.type) for column in combined.itercolumns()]
    return pa.StructArray.from_arrays(arrays, fields=list(table.schema))


def _type_text(field: dict[str, Any]) -> str:
    kind = field["type"]
    return kind if isinstance(kind, str) else str(kind)
