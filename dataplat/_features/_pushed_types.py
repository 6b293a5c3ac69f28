"""Rows that are pushed, in the types of their dataset: as they come, and again as they land, when its columns may be others."""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from dataplat.errors import SchemaError
from dataplat.lake.schema import did_you_mean

if TYPE_CHECKING:
    import pyarrow as pa


def typed(dataset: str, schema: pa.Schema, rows: pa.Table, known: Iterable[str], stamp: int) -> pa.Table:
    """Return rows in the types of a dataset, the columns `known` stamped.

    Raises:
        SchemaError: A column is unknown, is missing and must have values, or holds what does not fit.
    """
    import pyarrow as pa

    stamped = frozenset(known)
    for name in rows.schema.names:
        if name not in schema.names:
            raise SchemaError(f"{dataset} has no column {name!r}{did_you_mean(name, schema.names)}")
    columns: dict[str, Any] = {}
    for column in schema:
        if column.name in stamped:
            times = pa.array([stamp] * rows.num_rows, pa.int64()).cast(pa.timestamp("us", "UTC"))
            columns[column.name] = times.cast(column.type, safe=False)
        elif column.name not in rows.schema.names:
            if not column.nullable:
                raise SchemaError(f"rows for {dataset} need a column {column.name!r} ({column.type})")
            columns[column.name] = pa.nulls(rows.num_rows, column.type)
        else:
            columns[column.name] = _cast(rows.column(column.name), column, dataset)
    return pa.table(columns, schema=schema)


def refitted(dataset: str, schema: pa.Schema, row: pa.Table) -> pa.Table:
    """Return a row that was pushed when its dataset had other columns, or types.

    Raises:
        SchemaError: It has a value in a column that is gone, or one that is of another type now.
    """
    gone = [name for name in row.schema.names if name not in schema.names]
    for name in gone:
        if row.column(name).null_count < row.num_rows:
            raise SchemaError(f"{dataset} has no column {name!r} any more")
    return typed(dataset, schema, row.drop_columns(gone), (), 0)


def row_bytes(row: pa.Table) -> bytes:
    """Return a row as an Arrow stream."""
    import pyarrow as pa

    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, row.schema) as writer:
        writer.write_table(row)
    return sink.getvalue()


def row_of(stream: bytes) -> pa.Table:
    """Return the row of an Arrow stream."""
    import pyarrow as pa

    return pa.ipc.open_stream(stream).read_all()


def _cast(values: pa.ChunkedArray, column: pa.Field, dataset: str) -> pa.ChunkedArray:
    import pyarrow as pa

    if not column.nullable and values.null_count:
        raise SchemaError(f"{dataset}.{column.name} takes no null, and there is one")
    if values.type == column.type:
        return values
    try:
        if pa.types.is_string(values.type) and pa.types.is_timestamp(column.type):
            return pa.chunked_array([pa.array(_moments(values, column), column.type)])
        return values.cast(column.type)
    except (pa.ArrowException, ValueError) as error:
        raise SchemaError(f"{dataset}.{column.name} holds {column.type}, and this does not fit: {error}") from error


def _moments(values: pa.ChunkedArray, column: pa.Field) -> list[Any]:
    """Read times that are written as text, as JSON has them."""
    from datetime import datetime

    found = [None if each is None else datetime.fromisoformat(each) for each in values.to_pylist()]
    if column.type.tz is not None and any(each is not None and each.tzinfo is None for each in found):
        raise ValueError("a time without a zone could be any: write 2024-01-01T00:00:00Z")
    return found
