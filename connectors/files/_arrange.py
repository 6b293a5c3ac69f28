"""Give a batch the schema of its input, exactly or not at all."""

from __future__ import annotations

import pyarrow as pa

from dataplat.errors import SchemaMismatch
from dataplat.lake._conform import conform_column


def arranged(batch: pa.RecordBatch, schema: pa.Schema, label: str, row: int = 0) -> pa.RecordBatch:
    """Return `batch` with the columns and types of `schema`; raise `SchemaMismatch` where a value does not fit.

    `row` is the number of rows before this batch, for messages.
    """
    arrays = []
    for field in schema:
        at = batch.schema.get_field_index(field.name)
        array = pa.nulls(batch.num_rows, field.type) if at < 0 else batch.column(at)
        arrays.append(array if array.type.equals(field.type) else _cast(array, field, label, row))
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _cast(array: pa.Array, field: pa.Field, label: str, row: int) -> pa.Array:
    try:
        return conform_column(array, field, row)
    except SchemaMismatch as error:
        raise SchemaMismatch(f"{label}: {error}") from error
