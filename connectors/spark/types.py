"""Types of a lake as Spark has them, and back: every value unchanged, or an error that names the column.

    uint8, uint16, uint32    the next wider signed integer
    uint64                   decimal(20, 0)
    half floats              float
    timestamp(ns)            microseconds, where no value has more
    time32, time64           time(6), microseconds, too
    duration                 day-time interval
    null                     void; Spark's own writers and joins may refuse it

Spark has no type for decimals of more than 38 digits, or with a scale that is negative.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa

from dataplat.errors import SchemaError, SchemaMismatch

if TYPE_CHECKING:
    from pyspark.sql.types import DataType, StructType

_WIDER = {
    pa.uint8(): pa.int16(),
    pa.uint16(): pa.int32(),
    pa.uint32(): pa.int64(),
    pa.uint64(): pa.decimal128(20),
    pa.float16(): pa.float32(),
}
_SAME = (
    pa.types.is_boolean,
    pa.types.is_signed_integer,
    pa.types.is_float32,
    pa.types.is_float64,
    pa.types.is_string,
    pa.types.is_binary,
    pa.types.is_date32,
    pa.types.is_null,
)
_REFUSED = (
    "VariantType",
    "YearMonthIntervalType",
    "CalendarIntervalType",
    "GeometryType",
    "GeographyType",
    "UserDefinedType",
)
"""Types of Spark that a lake has no values for."""


def spark_schema(schema: pa.Schema) -> StructType:
    """Return the schema that Spark shows for rows of `schema`.

    Raises:
        SchemaError: Spark has no type for a column.
        MissingExtra: pyspark is not installed.
    """
    from pyspark.sql.pandas.types import from_arrow_schema

    return from_arrow_schema(arrow_for_spark(schema))


def arrow_for_spark(schema: pa.Schema) -> pa.Schema:
    """Return the Arrow types in which rows are handed to Spark."""
    return pa.schema(
        [pa.field(field.name, _given(field.type, field.name), nullable=field.nullable) for field in schema]
    )


def handed(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """Return a batch in the types in which Spark takes it.

    Raises:
        SchemaMismatch: Spark has no such value (nanoseconds); the column is named.
    """
    columns = []
    for field in schema:
        column = batch.column(field.name)
        try:
            if column.type == pa.time64("ns"):
                column = column.cast(pa.time64("us"))  # nobody sees more in Spark
            columns.append(column if column.type == field.type else column.cast(field.type))
        except pa.ArrowInvalid as error:
            raise SchemaMismatch(
                f"column {field.name!r} holds values that Spark has no type for: {error}. Leave the column out with "
                '.option("columns", …), or evolve it to another type'
            ) from error
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def landed(schema: StructType) -> pa.Schema:
    """Return the Arrow schema of rows that come from Spark.

    Raises:
        SchemaMismatch: A lake has no type for a column (variant, intervals of months, maps with keys that are structs).
    """
    from pyspark.sql.pandas.types import to_arrow_schema

    for field in schema.fields:
        _check(field.dataType, field.name)
    return to_arrow_schema(schema, timezone="UTC")


def _given(kind: pa.DataType, name: str) -> pa.DataType:
    given = _WIDER.get(kind) or _flat(kind) or _nested(kind, name)
    if given is None:
        raise SchemaError(
            f"column {name!r} is {kind}, and Spark has no type for it: leave it out with "
            '.option("columns", …), or evolve it to another type'
        )
    return given


def _flat(kind: pa.DataType) -> pa.DataType | None:
    if any(same(kind) for same in _SAME) or (pa.types.is_decimal128(kind) and 0 <= kind.scale <= kind.precision):
        return kind
    if pa.types.is_timestamp(kind):
        return pa.timestamp("us", None if kind.tz is None else "UTC")
    if pa.types.is_time(kind):
        return pa.time64("ns")
    if pa.types.is_duration(kind):
        return pa.duration("us")
    return pa.binary() if pa.types.is_fixed_size_binary(kind) else None


def _nested(kind: pa.DataType, name: str) -> pa.DataType | None:
    if pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind):
        return pa.list_(_field(kind.value_field, name))
    if pa.types.is_map(kind):
        return pa.map_(_field(kind.key_field, name), _field(kind.item_field, name))
    if pa.types.is_struct(kind):
        return pa.struct([_field(kind.field(at), f"{name}.{kind.field(at).name}") for at in range(kind.num_fields)])
    return None


def _field(field: pa.Field, name: str) -> pa.Field:
    return pa.field(field.name, _given(field.type, name), nullable=field.nullable)


def _check(kind: DataType, name: str) -> None:
    from pyspark.sql import types

    refused: Any = tuple(getattr(types, name) for name in _REFUSED)
    if isinstance(kind, refused):
        raise SchemaMismatch(
            f"column {name!r} is {kind.simpleString()} in Spark, which a lake has no type for: cast it, for example to a string"
        )
    if isinstance(kind, types.MapType):
        if isinstance(kind.keyType, types.StructType | types.ArrayType | types.MapType):
            raise SchemaMismatch(
                f"column {name!r} is a map whose keys are {kind.keyType.simpleString()}, which a lake has no type for: "
                "make it an array of structs (map_entries)"
            )
        _check(kind.keyType, name)
        _check(kind.valueType, name)
    elif isinstance(kind, types.ArrayType):
        _check(kind.elementType, name)
    elif isinstance(kind, types.StructType):
        for field in kind.fields:
            _check(field.dataType, f"{name}.{field.name}")
