"""JSON of typed values, there and back: what JSON has no numbers or words for is a string, and nothing is lost.

| type | in JSON |
| --- | --- |
| float | a number; "NaN", "Infinity", "-Infinity" |
| timestamp, date, time | RFC 3339: "2013-01-01T05:00:00Z" |
| duration | seconds, a number |
| decimal | a string: "12.50" |
| binary | base64 |
| list | an array |
"""

from __future__ import annotations

import datetime as dt
import decimal
import math
from base64 import b64decode, b64encode
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, TypeAlias

import msgspec

if TYPE_CHECKING:
    import pyarrow as pa

Convert: TypeAlias = "Callable[[Any], Any]"

WORDS: Final = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_Word: TypeAlias = Literal["NaN", "Infinity", "-Infinity"]
_UNITS: Final = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


# ------------------------------------------------------------------------------------------ what a server is asked


def json_type(kind: pa.DataType) -> Any:
    """Return the Python type in which msgspec decodes values of an Arrow type."""
    import pyarrow as pa

    types = pa.types
    if types.is_floating(kind):
        return float | _Word
    if types.is_integer(kind):
        return _integer(kind)
    if types.is_timestamp(kind):
        return Annotated[dt.datetime, msgspec.Meta(tz=kind.tz is not None)]
    if _is_list(kind):
        return list[json_type(kind.value_type) | None]  # type: ignore[misc]
    for holds, found in (
        (types.is_boolean, bool),
        (types.is_date, dt.date),
        (types.is_time, dt.time),
        (types.is_duration, float),
        (types.is_decimal, decimal.Decimal),
        (types.is_binary, bytes),
        (types.is_large_binary, bytes),
        (types.is_fixed_size_binary, bytes),
    ):
        if holds(kind):
            return found
    return str


def _integer(kind: pa.DataType) -> Any:
    """Return the type of integers that fit; of 64 bits without a sign, the upper half is left to Arrow."""
    import pyarrow as pa

    if pa.types.is_unsigned_integer(kind):
        top = 2**kind.bit_width - 1
        return Annotated[int, msgspec.Meta(ge=0, le=top)] if kind.bit_width < 64 else Annotated[int, msgspec.Meta(ge=0)]
    half = 2 ** (kind.bit_width - 1)
    return Annotated[int, msgspec.Meta(ge=-half, le=half - 1)]


def reader(kind: pa.DataType) -> Convert | None:
    """Return what makes values of a column of what msgspec decoded; None where they are it."""
    import pyarrow as pa

    if pa.types.is_floating(kind):
        return _floats
    if pa.types.is_duration(kind):
        return lambda values: [None if value is None else dt.timedelta(seconds=value) for value in values]
    if pa.types.is_decimal(kind):
        return _decimals
    if _is_list(kind):
        inner = reader(kind.value_type)
        return None if inner is None else lambda values: [None if each is None else inner(each) for each in values]
    return None


def _floats(values: list[Any]) -> list[Any]:
    words = WORDS
    return [words[value] if value.__class__ is str else value for value in values]


def _decimals(values: list[Any]) -> list[Any]:
    for at, value in enumerate(values):
        if value is not None and not value.is_finite():
            raise ValueError(f"value {at} is no decimal: {value}")
    return values


def schema(kind: pa.DataType) -> dict[str, Any]:
    """Return the JSON Schema of a value of an Arrow type."""
    import pyarrow as pa

    types = pa.types
    if types.is_dictionary(kind):
        return schema(kind.value_type)
    if types.is_integer(kind):
        least = 0 if types.is_unsigned_integer(kind) else -(2 ** (kind.bit_width - 1))
        most = 2**kind.bit_width - 1 if types.is_unsigned_integer(kind) else 2 ** (kind.bit_width - 1) - 1
        return {"type": "integer", "minimum": least, "maximum": most}
    if types.is_floating(kind):
        return {"anyOf": [{"type": "number"}, {"type": "string", "enum": list(WORDS)}]}
    if _is_list(kind):
        return {"type": "array", "items": {"anyOf": [schema(kind.value_type), {"type": "null"}]}}
    for holds, found in (
        (types.is_boolean, {"type": "boolean"}),
        (
            types.is_timestamp,
            {"type": "string", "format": "date-time"} if getattr(kind, "tz", None) else {"type": "string"},
        ),
        (types.is_date, {"type": "string", "format": "date"}),
        (types.is_duration, {"type": "number"}),
        (types.is_decimal, {"type": "string", "pattern": r"^-?[0-9]+(\.[0-9]+)?$"}),
        (types.is_struct, {"type": "object"}),
    ):
        if holds(kind):
            return found
    return {"type": "string"}


# -------------------------------------------------------------------------------------- what a server answers with


def writer(kind: pa.DataType, *, counted: bool = True) -> Convert | None:
    """Return what makes JSON's values of one value of an Arrow type; None where it is one. Floats: see `spelt`.

    Args:
        kind: the type.
        counted: times are counts, as records have them, and not Python's.
    """
    import pyarrow as pa

    types = pa.types
    if types.is_dictionary(kind):
        return writer(kind.value_type, counted=counted)
    if types.is_temporal(kind):
        return _counted(kind) if counted else _natural(kind)
    if types.is_decimal(kind):
        return lambda value: format(value, "f")
    if types.is_binary(kind) or types.is_large_binary(kind) or types.is_fixed_size_binary(kind):
        return lambda value: b64encode(value).decode("ascii")
    if _is_list(kind):
        inner = writer(kind.value_type, counted=counted)
        if inner is None:
            return None
        return lambda values: [None if value is None else inner(value) for value in values]
    if types.is_struct(kind):
        return _struct(kind)
    return None


def _struct(kind: pa.DataType) -> Convert:
    fields = [(kind.field(at).name, writer(kind.field(at).type, counted=False)) for at in range(kind.num_fields)]
    return lambda value: {
        name: value[name] if write is None or value[name] is None else write(value[name]) for name, write in fields
    }


def _counted(kind: pa.DataType) -> Convert:
    """Return what writes a time that is a count of its unit: of any year, to the last nanosecond."""
    import numpy as np
    import pyarrow as pa

    types = pa.types
    at = np.datetime64
    if types.is_date32(kind):
        return lambda value: str(at(value, "D"))
    if types.is_date64(kind):
        return lambda value: str(at(value // 86_400_000, "D"))
    unit = kind.unit
    if types.is_duration(kind):
        return lambda value: value / _UNITS[unit]
    if types.is_time(kind):
        return lambda value: str(at(value, unit)).partition("T")[2]
    zone = "" if kind.tz is None else "Z"
    return lambda value: str(at(value, unit)) + zone


def _natural(kind: pa.DataType) -> Convert:
    """Return what writes a time that is one of Python's."""
    import pyarrow as pa

    if pa.types.is_duration(kind):
        return lambda value: value / dt.timedelta(seconds=1)
    if pa.types.is_timestamp(kind) and kind.tz is not None:
        return lambda value: value.astimezone(dt.UTC).isoformat().replace("+00:00", "Z")
    return lambda value: value.isoformat()


def spelt(value: Any) -> Any:
    """Return a value with NaN and infinities as words, at any depth."""
    if value.__class__ is float:
        if math.isfinite(value):
            return value
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, list | tuple):
        return [spelt(each) for each in value]
    if isinstance(value, dict):
        return {name: spelt(each) for name, each in value.items()}
    return value


# ----------------------------------------------------------------------------------------- what a client says and reads


def said(value: Any) -> Any:
    """Return a value of Python as JSON has it, at any depth; msgspec writes times, decimals and bytes by itself."""
    if isinstance(value, dt.timedelta):
        return value / dt.timedelta(seconds=1)
    if isinstance(value, list | tuple):
        return [said(each) for each in value]
    if isinstance(value, dict):
        return {name: said(each) for name, each in value.items()}
    return spelt(value)


def column_of(values: list[Any], kind: pa.DataType) -> pa.Array:
    """Return a column of its type, of what JSON has of it."""
    import pyarrow as pa

    read = _read(kind)
    if read is not None:
        values = [None if value is None else read(value) for value in values]
    if pa.types.is_temporal(kind):
        return pa.array(values, pa.int32() if kind.bit_width == 32 else pa.int64()).cast(kind)
    if _is_list(kind) and pa.types.is_temporal(kind.value_type):
        inner = kind.value_type
        return pa.array(values, pa.list_(pa.int32() if inner.bit_width == 32 else pa.int64())).cast(kind)
    return pa.array(values, kind)


def _read(kind: pa.DataType) -> Convert | None:
    """Return what reads one value; times become counts. None: it is what it is."""
    import pyarrow as pa

    types = pa.types
    if types.is_dictionary(kind):
        return _read(kind.value_type)
    if types.is_floating(kind):
        return lambda value: WORDS[value] if value.__class__ is str else value
    if types.is_temporal(kind):
        return _count(kind)
    if types.is_decimal(kind):
        return decimal.Decimal
    if types.is_binary(kind) or types.is_large_binary(kind) or types.is_fixed_size_binary(kind):
        return b64decode
    if _is_list(kind):
        inner = _read(kind.value_type)
        return None if inner is None else lambda values: [None if each is None else inner(each) for each in values]
    return None


def _count(kind: pa.DataType) -> Convert:
    import numpy as np
    import pyarrow as pa

    types = pa.types
    at = np.datetime64
    if types.is_date32(kind):
        return lambda value: int(at(value, "D").astype(np.int64))
    if types.is_date64(kind):
        return lambda value: int(at(value, "D").astype(np.int64)) * 86_400_000
    unit = kind.unit
    if types.is_duration(kind):
        return lambda value: round(value * _UNITS[unit])
    if types.is_time(kind):
        return lambda value: int(at(f"1970-01-01T{value}", unit).astype(np.int64))
    return lambda value: int(at(value.removesuffix("Z"), unit).astype(np.int64))


def _is_list(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))
