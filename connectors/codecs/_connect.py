"""Kafka Connect's schemas, and those that Debezium builds on them: how a field's values lie in JSON, and what they mean.

https://debezium.io/documentation/reference/stable/connectors/postgresql.html#postgresql-data-types
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

Convert: TypeAlias = Callable[[pa.Array], pa.Array]
"""Make values of what was read; raises `ValueError` where one is none."""

ConnectSchema: TypeAlias = Mapping[str, Any]

_PLAIN: Final = {
    "int8": pa.int8(),
    "int16": pa.int16(),
    "int32": pa.int32(),
    "int64": pa.int64(),
    "float": pa.float32(),
    "float32": pa.float32(),
    "double": pa.float64(),
    "float64": pa.float64(),
    "boolean": pa.bool_(),
    "string": pa.string(),
    "bytes": pa.string(),
}
_TIMES: Final = {
    "io.debezium.time.Date": pa.date32(),
    "io.debezium.time.Time": pa.time32("ms"),
    "io.debezium.time.MicroTime": pa.time64("us"),
    "io.debezium.time.NanoTime": pa.time64("ns"),
    "io.debezium.time.Timestamp": pa.timestamp("ms"),
    "io.debezium.time.MicroTimestamp": pa.timestamp("us"),
    "io.debezium.time.NanoTimestamp": pa.timestamp("ns"),
    "org.apache.kafka.connect.data.Date": pa.date32(),
    "org.apache.kafka.connect.data.Time": pa.time32("ms"),
    "org.apache.kafka.connect.data.Timestamp": pa.timestamp("ms"),
}
_ZONED: Final = "io.debezium.time.ZonedTimestamp"
_DECIMAL: Final = "org.apache.kafka.connect.data.Decimal"
_VARIABLE: Final = "io.debezium.data.VariableScaleDecimal"
_DIGITS: Final = 38
"""Digits of a decimal whose schema does not say how many it has: as many as 16 bytes hold."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """A column: the type that it is read as, and what makes its values of that; None where they are those already."""

    read: pa.DataType
    convert: Convert | None = None


def meanings(fields: Sequence[ConnectSchema]) -> dict[str, Meaning]:
    """Return what the fields of a struct mean, by name; those of no known type are left out, and are guessed."""
    found = {field["field"]: _meaning(field) for field in fields}
    return {name: meaning for name, meaning in found.items() if meaning is not None}


def converted(column: pa.Array, name: str | None) -> pa.Array:
    """Return values that were read with a type of their own (of Avro) as what the schema's `name` says they mean."""
    if name in _TIMES and pa.types.is_integer(column.type):
        return _as_time(_TIMES[name])(column)
    if name == _ZONED and pa.types.is_string(column.type):
        return _zoned(column)
    if name == _VARIABLE and pa.types.is_struct(column.type):
        return _variable(column)
    return column


def _meaning(field: ConnectSchema) -> Meaning | None:
    name, kind = field.get("name"), field.get("type")
    if name in _TIMES and kind in {"int32", "int64"}:
        return Meaning(_PLAIN[str(kind)], _as_time(_TIMES[name]))
    if name == _ZONED and kind == "string":
        return Meaning(pa.string(), _zoned)
    if name == _DECIMAL and kind == "bytes":
        return _decimal(field.get("parameters") or {})
    if name == _VARIABLE and kind == "struct":
        return Meaning(pa.struct([("scale", pa.int32()), ("value", pa.string())]), _variable)
    if kind == "struct":
        return _struct(field.get("fields") or ())
    if kind == "array":
        return _array(field.get("items") or {})
    if kind not in _PLAIN:
        return None
    return Meaning(_PLAIN[kind], _from_base64 if kind == "bytes" else None)


def _decimal(parameters: Mapping[str, str]) -> Meaning | None:
    scale = int(parameters.get("scale", 0))
    digits = max(int(parameters.get("connect.decimal.precision", _DIGITS)), scale, 1)
    if digits > _DIGITS or scale < 0:
        return Meaning(pa.string(), lambda column: _decimal_texts(_from_base64(column), [scale] * len(column)))
    return Meaning(pa.string(), lambda column: _unscaled(_from_base64(column), pa.decimal128(digits, scale)))


def _struct(fields: Sequence[ConnectSchema]) -> Meaning | None:
    inner = [(field["field"], _meaning(field)) for field in fields]
    if not inner or any(meaning is None for _, meaning in inner):
        return None
    known = [(name, meaning) for name, meaning in inner if meaning is not None]
    read = pa.struct([(name, meaning.read) for name, meaning in known])
    if all(meaning.convert is None for _, meaning in known):
        return Meaning(read)

    def convert(column: pa.StructArray) -> pa.Array:
        children = [column.field(i) for i in range(len(known))]
        made = [
            child if meaning.convert is None else meaning.convert(child)
            for child, (_, meaning) in zip(children, known, strict=True)
        ]
        return pa.StructArray.from_arrays(made, [name for name, _ in known], mask=column.is_null())

    return Meaning(read, convert)


def _array(items: ConnectSchema) -> Meaning | None:
    inner = _meaning(items)
    if inner is None:
        return None
    of_items = inner.convert
    if of_items is None:
        return Meaning(pa.list_(inner.read))

    def convert(column: pa.ListArray) -> pa.Array:
        lengths = pc.fill_null(pc.list_value_length(column), 0).to_numpy(zero_copy_only=False)
        ends = pa.array(np.concatenate([[0], np.cumsum(lengths)]), pa.int32())
        return pa.ListArray.from_arrays(ends, of_items(column.flatten()), mask=column.is_null())

    return Meaning(pa.list_(inner.read), convert)


def _as_time(kind: pa.DataType) -> Convert:
    def convert(column: pa.Array) -> pa.Array:
        return column.cast(pa.int32() if kind.bit_width == 32 else pa.int64()).cast(kind)

    return convert


def _zoned(column: pa.Array) -> pa.Array:
    """Return times with a zone (ISO 8601) as moments, cut to microseconds."""
    return pc.replace_substring_regex(column, r"(\.\d{6})\d+", r"\1").cast(pa.timestamp("us", "UTC"))


def _from_base64(column: pa.Array) -> pa.Array:
    try:
        return pl.Series(column, dtype=pl.String).str.decode("base64").to_arrow().cast(pa.binary())
    except pl.exceptions.PolarsError as error:
        raise ValueError("not bytes in base64") from error


def _variable(column: pa.StructArray) -> pa.Array:
    """Return decimals that each have a scale of their own as text, which holds them exactly."""
    value = column.field("value")
    raw = _from_base64(value) if pa.types.is_string(value.type) else value
    raw = pc.if_else(column.is_valid(), raw, pa.scalar(None, raw.type))
    return _decimal_texts(raw, column.field("scale").to_pylist())


def _decimal_texts(raw: pa.Array, scales: Sequence[int | None]) -> pa.Array:
    from decimal import Decimal

    texts: list[str | None] = []
    for value, scale in zip(raw.to_pylist(), scales, strict=True):
        if value is None:
            texts.append(None)
            continue
        unscaled = int.from_bytes(value, "big", signed=True)
        digits = tuple(map(int, str(abs(unscaled))))
        texts.append(format(Decimal((int(unscaled < 0), digits, -(scale or 0))), "f"))
    return pa.array(texts, pa.string())


def _unscaled(raw: pa.BinaryArray, kind: pa.Decimal128Type) -> pa.Array:
    """Return numbers (big-endian, two's complement, of any length) as decimals: byte by byte, for all of them at once."""
    count = len(raw)
    _, offsets, data = raw.buffers()
    bounds = np.frombuffer(offsets, np.int32)[raw.offset : raw.offset + count + 1].astype(np.int64)
    lengths = np.diff(bounds)
    valid = raw.is_valid().to_numpy(zero_copy_only=False)
    if (lengths[valid] > 16).any() or (lengths[valid] == 0).any():
        raise ValueError(f"not the bytes of a number of {kind.precision} digits")
    source = np.frombuffer(data, np.uint8) if data is not None and data.size else np.zeros(1, np.uint8)
    last = len(source) - 1
    negative = valid & (source[np.clip(bounds[:-1], 0, last)] >= 128)
    words = np.empty((count, 16), np.uint8)
    for place in range(16):  # from the lowest byte on
        inside = place < lengths
        words[:, place] = np.where(inside, source[np.clip(bounds[1:] - 1 - place, 0, last)], np.where(negative, 255, 0))
    mask = pa.array(valid).buffers()[1] if not valid.all() else None
    found = pa.Array.from_buffers(kind, count, [mask, pa.py_buffer(words.tobytes())])
    try:
        found.validate(full=True)
    except pa.ArrowInvalid as error:
        raise ValueError(f"a number of more than {kind.precision} digits") from error
    return found


def json_fields(schema: Any) -> Sequence[ConnectSchema]:
    """Return the fields of an object that a JSON Schema of Connect's converter describes, as Connect's own schema has them."""
    properties = schema.get("properties") if isinstance(schema, dict) else None
    fields = [
        {
            "field": name,
            "type": said.get("connect.type") or _JSON.get(said.get("type")),
            "name": said.get("title"),
            "parameters": said.get("connect.parameters"),
        }
        for name, said in ((name, _present(said)) for name, said in (properties or {}).items())
    ]
    return [field for field in fields if field["type"] in _PLAIN]


def json_image(schema: Any) -> Any:
    """Return what a JSON Schema of change events says about the rows in them, None where it does not."""
    properties = schema.get("properties") if isinstance(schema, dict) else None
    image = _present((properties or {}).get("after") or {})
    if "$ref" in image:
        name = str(image["$ref"]).rpartition("/")[2]
        image = {**(schema.get("definitions") or {}), **(schema.get("$defs") or {})}.get(name)
    return image


_JSON: Final = {"integer": "int64", "number": "double", "boolean": "boolean", "string": "string"}


def _present(said: Any) -> Any:
    """Return what is said of a value that may be null."""
    choices = said.get("oneOf") or said.get("anyOf") if isinstance(said, dict) else None
    present = [one for one in choices or () if isinstance(one, dict) and one.get("type") != "null"]
    return present[0] if len(present) == 1 else said
