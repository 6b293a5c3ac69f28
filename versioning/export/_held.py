"""The types in which Delta and Iceberg hold columns: the same, a wider one, or none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

import pyarrow as pa

from dataplat.errors import SchemaError
from dataplat.lake.schema import plain_schema

if TYPE_CHECKING:
    from dataplat.versioning.manifest import Manifest

Table: TypeAlias = Literal["Delta", "Iceberg"]

_WIDER = {
    pa.uint8(): pa.int16(),
    pa.uint16(): pa.int32(),
    pa.uint32(): pa.int64(),
    pa.time32("s"): pa.time64("us"),
    pa.time32("ms"): pa.time64("us"),
    pa.time64("ns"): pa.time64("us"),
}


def held_schema(manifest: Manifest, table: Table) -> pa.Schema:
    """Return the columns as a table of that kind holds them, every value unchanged.

    Unsigned integers up to 32 bits become the next wider signed type, times are in microseconds (a
    value that is not a whole one is refused when it is met) and zones UTC, lists of fixed size lists.

    Raises:
        SchemaError: The format has no type for a column.
    """
    return pa.schema(
        [
            pa.field(field.name, _held(field.type, field.name, table), field.nullable)
            for field in plain_schema(manifest.schema)
        ]
    )


def _held(kind: pa.DataType, column: str, table: Table) -> pa.DataType:
    types = pa.types
    if types.is_struct(kind):
        fields = [kind.field(i) for i in range(kind.num_fields)]
        return pa.struct([field.with_type(_held(field.type, f"{column}.{field.name}", table)) for field in fields])
    if types.is_map(kind):
        return pa.map_(_held(kind.key_type, column, table), _held(kind.item_type, column, table))
    if types.is_list(kind) or types.is_fixed_size_list(kind):
        return pa.list_(_held(kind.value_type, f"{column}[]", table))
    if types.is_timestamp(kind):
        return pa.timestamp("us", None if kind.tz is None else "UTC")
    if types.is_fixed_size_binary(kind) and table == "Delta":
        return pa.binary()
    no_time = types.is_time(kind) and table == "Delta"
    if (
        no_time
        or types.is_uint64(kind)
        or types.is_float16(kind)
        or types.is_duration(kind)
        or types.is_null(kind)
        or types.is_decimal256(kind)
    ):
        raise SchemaError(
            f"{table} has no type for column {column!r} ({kind}), so nothing was written: convert the column, or "
            "export as parquet"
        )
    return _WIDER.get(kind, kind)
