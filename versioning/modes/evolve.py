"""Evolve: columns come, go, and get other names, places and types, and no part is written anew."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pyarrow as pa

from dataplat.errors import BadColumn, SchemaError, SchemaMismatch
from dataplat.lake.scan import scan
from dataplat.lake.schema import (
    canonical_schema,
    did_you_mean,
    fresh_stored_name,
    schema_to_json,
    stored_as,
    stored_name,
    type_text,
    type_to_json,
)
from dataplat.versioning.manifest import ManifestEdit
from dataplat.versioning.modes._types import holds

if TYPE_CHECKING:
    from dataplat.lake.objects import Objects
    from dataplat.lake.part import Part
    from dataplat.versioning.manifest import Manifest


@dataclass(frozen=True, slots=True)
class Evolution:
    """What becomes of columns. The steps are done in this order, and each goes by the names that the last one left.

    `drop`: columns that go. `rename`: new name by old name, all at once, so that two may swap. `add`: type by name of
    columns that come behind the others, null in all rows. `widen`: a type that holds all values of the one there is.
    `nullable`: columns that may be null from now on. `required`: columns that may not, and are not. `order`: columns
    that come first, in this order; the others follow as they were.
    """

    drop: Sequence[str] = ()
    rename: Mapping[str, str] = field(default_factory=dict)
    add: Mapping[str, pa.DataType] = field(default_factory=dict)
    widen: Mapping[str, pa.DataType] = field(default_factory=dict)
    nullable: Sequence[str] = ()
    required: Sequence[str] = ()
    order: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Evolved:
    """The edit that evolves a version, what it does in words, one line a column, and columns that become required."""

    edit: ManifestEdit
    changes: tuple[str, ...]
    required: tuple[str, ...] = ()


def evolved(objects: Objects, manifest: Manifest, evolution: Evolution) -> Evolved:
    """Return how to evolve `manifest`; rows are read only where statistics cannot tell that a column has no null.

    Raises:
        BadColumn: A column is not there, there already, named twice, or the last.
        SchemaError: It is of the key or sort order (to be dropped); or a type does not hold all values of the one there is.
        SchemaMismatch: A column to be required is null in a row, which the message names.
    """
    columns = _Columns(manifest)
    columns.drop(evolution.drop)
    columns.rename(evolution.rename)
    columns.add(evolution.add)
    columns.widen(evolution.widen)
    columns.let_be_null(evolution.nullable)
    added = [name for name in evolution.required if columns.came(name)]
    if added and manifest.rows:
        message = (
            f"column {added[0]!r} comes now and is null in all {manifest.rows:,} rows: it cannot be required. Add it, "
            "fill it (ingest with --mode upsert or replace), then require it."
        )
        raise SchemaMismatch(message)
    required = columns.require(evolution.required)
    refuse_nulls(objects, manifest.parts(), columns.schema, required, columns.key)
    columns.reorder(evolution.order)
    return columns.evolved(required)


def refuse_nulls(
    objects: Objects, parts: Sequence[Part], schema: pa.Schema, names: Sequence[str], key: Sequence[str]
) -> None:
    """Raise `SchemaMismatch` for the first row of `parts` in which one of the columns is null.

    Statistics go by the names that a manifest gave out, columns by stored names, so `names` and `key` are those of
    `schema`, and `parts` may be of a version with others.
    """
    for name in names:
        before = 0
        for part in parts:
            if part.live and not _proven(part, schema.field(name)):
                _refuse_null_in(objects, part, schema, name, key, before)
            before += part.live


def _proven(part: Part, field: pa.Field) -> bool:
    from dataplat.versioning._stats import stored_stats

    stats = stored_stats(part.stats).get(stored_name(field))
    return stats is not None and not stats.nulls


def _refuse_null_in(
    objects: Objects, part: Part, schema: pa.Schema, name: str, key: Sequence[str], before: int
) -> None:
    for batch in scan(objects, [part], schema, columns=[*key, name]):
        column = batch.column(name)
        if column.null_count:
            at = column.is_null().index(pa.scalar(value=True)).as_py()
            shown = ", ".join(f"{column} = {batch.column(column)[at].as_py()!r}" for column in key)
            message = (
                f"column {name!r} cannot be required: it is null in row {before + at + 1:,}"
                f"{f' ({shown})' if shown else ''}. Fill it, or delete the rows where it is null, then try again."
            )
            raise SchemaMismatch(message)
        before += len(batch)


class _Columns:
    """The columns of a version while they evolve."""

    def __init__(self, manifest: Manifest) -> None:
        self._manifest = manifest
        self._fields = {field.name: field for field in manifest.schema}
        self._key, self._sort = manifest.key, manifest.sort
        self._taken = {*manifest.root.names.values(), *manifest.root.gone}
        self._came: set[str] = set()
        self._loses = False  # rows get another digest
        self._said: list[str] = []

    @property
    def schema(self) -> pa.Schema:
        """The columns as they are now."""
        return pa.schema(list(self._fields.values()))

    @property
    def key(self) -> tuple[str, ...]:
        """The key as it is called now."""
        return self._key

    def came(self, name: str) -> bool:
        """Whether a column is new."""
        return name in self._came

    def drop(self, names: Sequence[str]) -> None:
        for name in _once(names, "drop"):
            kind = self._find(name, "drop").type
            self._refuse_role(name)
            del self._fields[name]
            self._loses = True
            self._said.append(f"drops column {name} ({_text(kind)})")
        if not self._fields:
            raise BadColumn("a dataset has at least one column: the last cannot be dropped")

    def _refuse_role(self, name: str) -> None:
        for role, columns in (("key", self._key), ("sort order", self._sort)):
            if name in columns:
                message = (
                    f"column {name!r} is in the {role} ({', '.join(columns)}), so it cannot be dropped. Land the rows "
                    f"with another {role} first (--mode replace)."
                )
                raise SchemaError(message)

    def rename(self, names: Mapping[str, str]) -> None:
        names = {old: new for old, new in names.items() if self._find(old, "rename").name != new}
        after = [names.get(name, name) for name in self._fields]
        for new in names.values():
            if not new:
                raise BadColumn("a column needs a name")
            if after.count(new) > 1:
                raise BadColumn(f"there would be two columns {new!r}: rename or drop the other, too")
        self._fields = {
            names.get(name, name): stored_as(field.with_name(names.get(name, name)), stored_name(field))
            for name, field in self._fields.items()
        }
        self._key, self._sort = (
            tuple(names.get(name, name) for name in columns) for columns in (self._key, self._sort)
        )
        self._loses |= bool(names)
        self._said += [f"renames column {old} to {new}" for old, new in names.items()]

    def add(self, types: Mapping[str, pa.DataType]) -> None:
        for column in _typed(types):
            if column.name in self._fields:
                raise BadColumn(f"there is a column {column.name!r} already: choose another name, or drop it, too")
            stored = fresh_stored_name(column.name, self._taken)
            self._taken.add(stored)
            self._fields[column.name] = stored_as(column, stored)
            self._came.add(column.name)
            self._said.append(f"adds column {column.name} ({_text(column.type)})")

    def widen(self, types: Mapping[str, pa.DataType]) -> None:
        for column in _typed(types):
            old = self._find(column.name, "widen")
            if not holds(column.type, old.type):
                message = (
                    f"column {column.name!r} cannot be widened from {_text(old.type)} to {_text(column.type)}, which does not "
                    "hold all of its values as they are. Wider are: an integer of more bits, float64 for float32, a "
                    "decimal of more digits and the same scale, a finer unit of time. For anything else land the rows "
                    "anew with the type (--mode replace)."
                )
                raise SchemaError(message)
            if column.type != old.type:
                self._fields[column.name] = old.with_type(column.type)
                self._said.append(f"column {column.name}: {_text(old.type)} -> {_text(column.type)}")

    def let_be_null(self, names: Sequence[str]) -> None:
        for name in _once(names, "make nullable"):
            if not self._find(name, "make nullable").nullable:
                self._fields[name] = self._fields[name].with_nullable(True)
                self._said.append(f"column {name} may be null")

    def require(self, names: Sequence[str]) -> list[str]:
        """Make columns never null; return those that could be until now."""
        changed = [name for name in _once(names, "require") if self._find(name, "require").nullable]
        for name in changed:
            self._fields[name] = self._fields[name].with_nullable(False)
            self._said.append(f"column {name} is never null")
        return changed

    def reorder(self, names: Sequence[str]) -> None:
        first = [self._find(name, "put first").name for name in _once(names, "put first")]
        after = [*first, *(name for name in self._fields if name not in set(first))]
        if after != list(self._fields):
            self._fields = {name: self._fields[name] for name in after}
            self._said.append(f"order of columns: {', '.join(after)}")

    def evolved(self, required: Sequence[str]) -> Evolved:
        """Return the edit."""
        manifest = self._manifest
        schema = schema_to_json(self.schema)
        known = not self._loses or not manifest.rows
        edit = ManifestEdit(
            schema_json=schema if schema != manifest.schema_json else None,
            key=self._key if self._key != manifest.key else None,
            sort=self._sort if self._sort != manifest.sort else None,
            digest=manifest.digest if known else None,
        )
        return Evolved(edit, tuple(self._said), tuple(required))

    def _find(self, name: str, what: str) -> pa.Field:
        if name not in self._fields:
            raise BadColumn(f"no column {name!r} to {what}{did_you_mean(name, self._fields)}")
        return self._fields[name]


def _once(names: Sequence[str], what: str) -> Sequence[str]:
    for name in names:
        if list(names).count(name) > 1:
            raise BadColumn(f"column {name!r} is to {what} twice: name it once")
    return names


def _typed(types: Mapping[str, pa.DataType]) -> pa.Schema:
    return canonical_schema(pa.schema([pa.field(name, kind) for name, kind in types.items()]))


def _text(kind: pa.DataType) -> str:
    return type_text(type_to_json(kind))
