"""DuckDB over pinned versions: each one a view of verified local Parquet parts, without the deleted rows."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa

from dataplat._far_dataset import Failed, FarDataset
from dataplat._table_names import first_alike
from dataplat.errors import SchemaError
from dataplat.lake.deletes import load_deletes
from dataplat.lake.schema import plain_schema, stored_name
from dataplat.lake.verified import verified_paths

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from dataplat._version import Version

_OWN = frozenset({"__file", "__row", "file_row_number"})
"""Columns that reading parts adds."""

_MEMORY_LIMIT = "4GB"
_TEMP_LIMIT = "20GB"  # an uncapped join that spills can fill the disk


def connect() -> duckdb.DuckDBPyConnection:
    """Return an engine that sees no Python variables, keeps time in UTC, and bounds memory and temporary files."""
    connection = duckdb.connect(
        config={
            "memory_limit": _MEMORY_LIMIT,
            "max_temp_directory_size": _TEMP_LIMIT,
            "temp_directory": str(Path(tempfile.gettempdir()) / f"dataplat-duckdb-{os.getpid()}"),
            "python_enable_replacements": False,
        }
    )
    connection.execute("set TimeZone = 'UTC'")
    return connection


def quoted(name: str) -> str:
    """Return `name` as a quoted SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def readable(rows: pa.Table) -> pa.Table:
    """Return rows in types that DuckDB has."""
    return rows.cast(_known(rows.schema))


def close_off(connection: duckdb.DuckDBPyConnection, files: Iterable[str]) -> None:
    """Let the engine read no file from now on but `files`."""
    connection.execute(f"set allowed_paths = [{_listed(files)}]")
    connection.execute("set enable_external_access = false")


def register(
    connection: duckdb.DuckDBPyConnection, name: str, version: Version, failed: Failed = lambda _: None
) -> list[str]:
    """Make `version` a view called `name`; return the files that the engine will read for it.

    Parts that lie on this machine are read by DuckDB itself, once their SHA-256 is known to be right. Where it
    cannot (a type that DuckDB reads differently) the rows come through Arrow, and so do, of a store far away, the
    columns and row groups that a query asks for; `failed` is told the error if that goes wrong while a query runs.

    Raises:
        SchemaError: DuckDB has no such type, or cannot tell two columns apart.
    """
    if alike := first_alike(version.schema.names):
        columns = f"columns {alike[0]!r} and {alike[1]!r} of {version.dataset!r}"
        raise SchemaError(f"{columns} differ only in case: SQL cannot tell them apart")
    try:
        far = version.objects.at_once > 1
        paths = verified_paths(version.objects, version.parts) if not far and _reads_parts(version) else None
        if far:
            connection.register(name, FarDataset(version, _known(version.schema), failed))
        elif paths is None:
            connection.register(name, readable(version.to_arrow()))
        elif not paths:
            connection.register(name, _known(version.schema).empty_table())
        else:
            _register_parts(connection, name, version, paths)
    except duckdb.Error as error:
        message = f"DuckDB cannot read {version.dataset!r}: {error}. Take to_arrow() or to_polars() instead."
        raise SchemaError(message) from error
    return paths or []


def _register_parts(connection: duckdb.DuckDBPyConnection, name: str, version: Version, paths: Sequence[str]) -> None:
    rows = f"read_parquet([{_listed(paths)}], union_by_name = true, filename = '__file', file_row_number = true)"
    anti = ""
    if any(part.deletes for part in version.parts):
        deletes = f"__deletes {name}"
        connection.register(deletes, _deletes_table(version, paths))
        anti = f"anti join {quoted(deletes)} d on t.__file = d.__file and t.file_row_number = d.__row"
    columns = _columns(connection, rows, version.manifest.schema)
    connection.execute(f"create view {quoted(name)} as select {columns} from {rows} t {anti}")


def _columns(connection: duckdb.DuckDBPyConnection, rows: str, schema: pa.Schema) -> str:
    """Return the columns to select: old parts may lack some, or have narrower types or other names."""
    there = connection.sql(f"select * from {rows}")
    found = dict(zip(there.columns, there.types, strict=True))
    types = connection.from_arrow(_known(plain_schema(schema)).empty_table()).types
    return ", ".join(_column(field, kind, found) for field, kind in zip(schema, types, strict=True))


def _column(field: pa.Field, kind: object, found: Mapping[str, object]) -> str:
    stored = stored_name(field)
    if stored not in found:
        return f"cast(null as {kind}) as {quoted(field.name)}"
    value = f"t.{quoted(stored)}"
    return f"{value if found[stored] == kind else f'cast({value} as {kind})'} as {quoted(field.name)}"


def _listed(files: Iterable[str]) -> str:
    return ", ".join("'" + path.replace("'", "''") + "'" for path in files)


def _deletes_table(version: Version, paths: Sequence[str]) -> pa.Table:
    files, rows = [], []
    for part, path in zip(version.parts, paths, strict=True):
        if part.deletes:
            positions = load_deletes(version.objects, part).to_array()
            files.append(pa.array([path] * len(positions)))
            rows.append(pa.array(positions, pa.int64()))
    return pa.table({"__file": pa.chunked_array(files), "__row": pa.chunked_array(rows)})


def _reads_parts(version: Version) -> bool:
    """Whether DuckDB's own reader gives the rows as they are."""
    stored = [*version.manifest.root.names.values(), *version.manifest.root.gone]
    if any(map(_drifts, version.schema)) or not _OWN.isdisjoint(map(str.casefold, stored)) or first_alike(stored):
        return False
    parts = version.parts
    once = len({part.id for part in parts}) == len(parts)
    return once or not any(part.deletes for part in parts)  # deletes are told by file: of the same file twice, by none


def _drifts(field: pa.Field) -> bool:
    """Whether DuckDB's Parquet reader gives the column another type (durations become int64)."""
    kind = field.type
    zoned = pa.types.is_timestamp(kind) and kind.tz not in (None, "UTC")
    return zoned or pa.types.is_duration(kind) or pa.types.is_nested(kind)


def _known(schema: pa.Schema) -> pa.Schema:
    """Return the schema with half floats as floats, which hold the same values: DuckDB has none."""
    return pa.schema([field.with_type(pa.float32()) if pa.types.is_float16(field.type) else field for field in schema])
