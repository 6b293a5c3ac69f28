"""Give a batch the schema of its input, exactly or not at all."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from dataplat.connectors.files._widen import plain
from dataplat.errors import SchemaMismatch


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
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if plain(array.type).equals(field.type) or not _would_change(array.type, field.type):
        try:
            return pc.cast(array, field.type)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            at = _first_misfit(array, field.type)
            value = array[at].as_py() if at is not None else None
            raise SchemaMismatch(
                f"{label}: column {field.name!r}, row {row + (at or 0) + 1:,}: {value!r} ({array.type}) "
                f"does not fit {field.type}"
            ) from error
    raise SchemaMismatch(f"{label}: column {field.name!r} is {array.type}, which {field.type} cannot hold exactly")


def _would_change(have: pa.DataType, want: pa.DataType) -> bool:
    """Return whether a cast that Arrow calls safe would still change what values mean."""
    stringy = pa.types.is_string(want) or pa.types.is_boolean(want)
    zones = pa.types.is_timestamp(have) and pa.types.is_timestamp(want) and (have.tz is None) != (want.tz is None)
    return zones or (stringy and not pa.types.is_null(have) and not pa.types.is_string(plain(have)))


def _first_misfit(array: pa.Array, kind: pa.DataType) -> int | None:
    low, high = 0, len(array)
    while high - low > 1:
        middle = (low + high) // 2
        try:
            pc.cast(array.slice(low, middle - low), kind)
            low = middle
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            high = middle
    return low if len(array) else None
