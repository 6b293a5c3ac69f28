"""DuckDB over pinned versions: each one a view of verified local Parquet parts, without the deleted rows."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa

from dataplat.lake.deletes import load_deletes

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from dataplat._version import Version

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


def close_off(connection: duckdb.DuckDBPyConnection, versions: Iterable[Version]) -> None:
    """Let the engine read no file from now on but the parts of `versions`."""
    files = [path for version in versions for path in version.local_parts() or []]
    listed = ", ".join("'" + path.replace("'", "''") + "'" for path in files)
    connection.execute(f"set allowed_paths = [{listed}]")
    connection.execute("set enable_external_access = false")


def register(connection: duckdb.DuckDBPyConnection, name: str, version: Version) -> None:
    """Make `version` a view called `name`.

    Parts that lie on this machine are read by DuckDB itself, once their SHA-256 is known to be right. Where it
    cannot (another store, a type that DuckDB reads differently) the rows come through Arrow.
    """
    paths = None if any(map(_drifts, version.schema)) else version.local_parts()
    if paths is None:
        connection.register(name, version.to_arrow())
    elif not paths:
        connection.register(name, version.schema.empty_table())
    else:
        _register_parts(connection, name, version, paths)


def _register_parts(connection: duckdb.DuckDBPyConnection, name: str, version: Version, paths: Sequence[str]) -> None:
    columns = ", ".join(f"t.{quoted(column)}" for column in version.schema.names)
    files = ", ".join("'" + path.replace("'", "''") + "'" for path in paths)
    rows = f"read_parquet([{files}], union_by_name = true, filename = '__file', file_row_number = true)"
    anti = ""
    if any(part.deletes for part in version.parts):
        deletes = f"__deletes {name}"
        connection.register(deletes, _deletes_table(version, paths))
        anti = f"anti join {quoted(deletes)} d on t.__file = d.__file and t.file_row_number = d.__row"
    connection.execute(f"create view {quoted(name)} as select {columns} from {rows} t {anti}")


def _deletes_table(version: Version, paths: Sequence[str]) -> pa.Table:
    files, rows = [], []
    for part, path in zip(version.parts, paths, strict=True):
        if part.deletes:
            positions = load_deletes(version.objects, part).to_array()
            files.append(pa.array([path] * len(positions)))
            rows.append(pa.array(positions, pa.int64()))
    return pa.table({"__file": pa.chunked_array(files), "__row": pa.chunked_array(rows)})


def _drifts(field: pa.Field) -> bool:
    """Whether DuckDB's Parquet reader gives the column another type (durations become int64, half floats float)."""
    kind = field.type
    zoned = pa.types.is_timestamp(kind) and kind.tz not in (None, "UTC")
    return zoned or pa.types.is_duration(kind) or pa.types.is_float16(kind) or pa.types.is_nested(kind)
