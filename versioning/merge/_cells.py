"""Cells as JSON, for people who settle conflicts, and back: what was shown can be handed back as it is."""

from __future__ import annotations

import base64
import json
import math
from itertools import islice
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pyarrow import types

from dataplat.errors import ConfigError, SchemaMismatch
from dataplat.lake.canonical import family
from dataplat.lake.schema import conform
from dataplat.versioning.merge._conflicts import json_text

if TYPE_CHECKING:
    from collections.abc import Sequence

_AS_TEXT = frozenset({"date", "time", "timestamp", "timestamp_tz", "decimal"})


def cells(column: pa.ChunkedArray | pa.Array) -> list[Any]:
    """Return a column's values as what JSON has: times and decimals as texts, bytes as base64, durations as integers.

    Maps are lists of pairs, so that keys need not be texts.
    """
    chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
    return [value for chunk in chunks for value in _shown(chunk)]


def _shown(array: pa.Array) -> list[Any]:
    kind = array.type
    if types.is_map(kind):
        return [None if row is None else [list(pair.values()) for pair in row] for row in _lists(array)]
    if _is_list(kind):
        return _lists(array)
    if types.is_struct(kind):
        columns = [_shown(child) for child in array.flatten()]
        names = [field.name for field in kind]
        rows = zip(*columns, strict=True) if columns else [()] * len(array)
        valid = array.is_valid().to_pylist()
        return [dict(zip(names, row, strict=True)) if there else None for there, row in zip(valid, rows, strict=True)]
    if family(kind) in _AS_TEXT:
        return list(array.cast(pa.string()).to_pylist())
    if types.is_duration(kind):
        return list(array.cast(pa.int64()).to_pylist())
    return [_plain(value) for value in array.to_pylist()]


def _lists(array: pa.Array) -> list[Any]:
    import pyarrow.compute as pc

    if types.is_map(array.type):
        array = array.cast(pa.list_(_pair_of(array.type)))
    values = iter(_shown(array.flatten()))
    lengths = pc.list_value_length(array).to_pylist()
    return [None if length is None else list(islice(values, length)) for length in lengths]


def _is_list(kind: pa.DataType) -> bool:
    return bool(types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind))


def _pair_of(kind: pa.MapType) -> pa.StructType:
    return pa.struct([pa.field("key", kind.key_type, nullable=False), pa.field("value", kind.item_type)])


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return str(value)


def texts(column: pa.ChunkedArray | pa.Array) -> list[str]:
    """Return a column's values as JSON texts."""
    return [json_text(value) for value in cells(column)]


def row_texts(table: pa.Table) -> list[str]:
    """Return rows as JSON objects, their columns in the order of the table."""
    columns = [cells(column) for column in table.columns]
    return [
        json_text(dict(zip(table.column_names, row, strict=True)), in_order=True) for row in zip(*columns, strict=True)
    ]


def parsed(values: Sequence[str], field: pa.Field, what: Sequence[str]) -> pa.Array:
    """Return the cells that people wrote as JSON; `what` says of each where, for messages.

    Raises:
        ConfigError: One is no JSON, or does not fit the column's type.
    """
    read = [_parsed(*one, field) for one in zip(values, what, strict=True)]
    return pa.concat_arrays(read) if read else pa.nulls(0, field.type)


def _parsed(text: str, what: str, field: pa.Field) -> pa.Array:
    try:
        array = _read([json.loads(text)], field.type)
        return conform(pa.table({field.name: array}), pa.schema([field])).column(0).combine_chunks()
    except (ValueError, pa.ArrowException, SchemaMismatch, TypeError, OverflowError) as error:
        raise ConfigError(
            f"{what}: the resolution value:{text} does not fit {field.name} ({field.type}): {error}"
        ) from error


def _read(values: list[Any], kind: pa.DataType) -> pa.Array:
    """Return the values that `_shown` gives for an array of this type as one."""
    if types.is_map(kind):
        pairs = [None if row is None else _pairs(row) for row in values]
        whole = _read_lists(pairs, pa.list_(_pair_of(kind)))
        mask = pa.array([row is None for row in pairs], pa.bool_())
        return pa.MapArray.from_arrays(whole.offsets, *whole.values.flatten(), type=kind, mask=mask)
    if _is_list(kind):
        return _read_lists(values, kind)
    if types.is_struct(kind):
        return _read_structs(values, kind)
    return _read_leaf(values, kind)


def _read_lists(values: list[Any], kind: pa.DataType) -> pa.Array:
    if not all(row is None or isinstance(row, list) for row in values):
        raise ValueError("a list is wanted")
    ends = [0]
    for row in values:
        ends.append(ends[-1] + len(row or ()))
    inner = _read([item for row in values if row is not None for item in row], kind.value_type)
    mask = pa.array([row is None for row in values], pa.bool_())
    return pa.ListArray.from_arrays(pa.array(ends, pa.int32()), inner, mask=mask).cast(kind)


def _pairs(row: Any) -> list[dict[str, Any]]:
    pairs = list(row.items()) if isinstance(row, dict) else row
    if not (isinstance(pairs, list) and all(isinstance(pair, list | tuple) and len(pair) == 2 for pair in pairs)):
        raise ValueError("a map is wanted: an object, or a list of pairs [key, value]")
    return [{"key": key, "value": value} for key, value in pairs]


def _read_structs(values: list[Any], kind: pa.DataType) -> pa.Array:
    names = [field.name for field in kind]
    for row in values:
        if not (row is None or (isinstance(row, dict) and row.keys() <= set(names))):
            raise ValueError(f"an object is wanted, with {', '.join(names)}")
    columns = [_read([None if row is None else row.get(field.name) for row in values], field.type) for field in kind]
    mask = pa.array([row is None for row in values], pa.bool_())
    return pa.StructArray.from_arrays(columns, fields=list(kind), mask=mask)


def _read_leaf(values: list[Any], kind: pa.DataType) -> pa.Array:
    if all(value is None for value in values):
        return pa.nulls(len(values), kind)
    what = family(kind)
    if what == "decimal":
        return pa.array([None if value is None else str(value) for value in values], pa.string()).cast(kind)
    if what in {"int", "duration"} and all(value is None or type(value) is int for value in values):
        return pa.array(values, kind)
    if not all(value is None or isinstance(value, str) for value in values):
        return _conformed(values, kind)
    return _of_texts(values, kind, what)


def _of_texts(values: list[Any], kind: pa.DataType, what: str) -> pa.Array:
    if what == "time":  # Arrow has no cast from text to a time of day
        moments = pa.array([None if value is None else f"1970-01-01 {value}" for value in values])
        return moments.cast(pa.timestamp(kind.unit)).cast(kind)
    if what in _AS_TEXT:
        return pa.array(values).cast(kind)
    if what == "binary":
        return pa.array([None if value is None else base64.b64decode(value, validate=True) for value in values], kind)
    if what == "float":
        return pa.array([None if value is None else float(value) for value in values], kind)
    return _conformed(values, kind)


def _conformed(values: list[Any], kind: pa.DataType) -> pa.Array:
    table = conform(pa.table({"value": pa.array(values)}), pa.schema([pa.field("value", kind)]))
    return table.column(0).combine_chunks()
