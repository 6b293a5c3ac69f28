"""Avro schemas as Arrow types."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa

from dataplat.errors import SchemaError, SourceError

_PRIMITIVE: dict[str, pa.DataType] = {
    "null": pa.null(),
    "boolean": pa.bool_(),
    "int": pa.int32(),
    "long": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "bytes": pa.binary(),
    "string": pa.string(),
}
_LOGICAL: dict[str, Callable[[dict[str, Any]], pa.DataType]] = {
    "date": lambda _: pa.date32(),
    "time-millis": lambda _: pa.time64("us"),
    "time-micros": lambda _: pa.time64("us"),
    "timestamp-millis": lambda _: pa.timestamp("ms", "UTC"),
    "timestamp-micros": lambda _: pa.timestamp("us", "UTC"),
    "local-timestamp-millis": lambda _: pa.timestamp("ms"),
    "local-timestamp-micros": lambda _: pa.timestamp("us"),
    "decimal": lambda schema: pa.decimal128(schema["precision"], schema.get("scale", 0)),
    "uuid": lambda _: pa.string(),
}


def arrow_schema(schema: Any, label: str) -> pa.Schema:
    """Return the columns of a container of records; raise `SourceError` for containers of anything else."""
    if not isinstance(schema, dict) or schema.get("type") != "record":
        raise SourceError(f"{label} holds Avro values that are no records: {str(schema)[:80]}")
    named: dict[str, pa.DataType] = {}
    return pa.schema([(field["name"], _type(field["type"], named)) for field in schema["fields"]])


def _type(schema: Any, named: dict[str, pa.DataType]) -> pa.DataType:
    if isinstance(schema, list):
        return _union(schema, named)
    if isinstance(schema, str):
        return _PRIMITIVE.get(schema) or _known(schema, named)
    logical = schema.get("logicalType")
    if logical in _LOGICAL:
        return _LOGICAL[logical](schema)
    kind = schema["type"]
    if kind == "array":
        return pa.list_(_type(schema["items"], named))
    if kind == "map":
        return pa.map_(pa.string(), _type(schema["values"], named))
    if kind == "record":
        found = pa.struct([(field["name"], _type(field["type"], named)) for field in schema["fields"]])
    elif kind == "enum":
        found = pa.string()
    elif kind == "fixed":
        found = pa.binary()
    else:
        return _type(kind, named)
    named[schema["name"].rpartition(".")[2]] = found
    return found


def _known(name: str, named: dict[str, pa.DataType]) -> pa.DataType:
    try:
        return named[name.rpartition(".")[2]]
    except KeyError:
        raise SchemaError(f"the Avro type {name!r} is not defined (or holds itself)") from None


def _union(members: list[Any], named: dict[str, pa.DataType]) -> pa.DataType:
    kinds = [_type(member, named) for member in members if member != "null"]
    if len(kinds) > 1:
        raise SchemaError(f"an Avro union of several types cannot be a column: {members}")
    return kinds[0] if kinds else pa.null()


def polars_reads(schema: Any) -> bool:
    """Return whether Polars reads the schema: no maps, no names used twice, only unions of null and one type."""
    if isinstance(schema, list):
        return len(schema) == 2 and schema.count("null") == 1 and all(map(polars_reads, schema))
    if isinstance(schema, str):
        return schema in _PRIMITIVE
    kind = schema["type"]
    if kind == "record":
        return all(polars_reads(field["type"]) for field in schema["fields"])
    if kind == "array":
        return polars_reads(schema["items"])
    if kind in {"enum", "fixed"}:
        return True
    is_map: bool = kind == "map"
    return not is_map and polars_reads(kind)
