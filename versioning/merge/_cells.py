"""Cells as JSON, for people who settle conflicts, and back."""

from __future__ import annotations

import base64
import json
import math
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
    """Return a column's values as what JSON has: times and decimals as texts, bytes as base64, durations as integers."""
    kind = column.type
    if family(kind) in _AS_TEXT:
        return list(column.cast(pa.string()).to_pylist())
    if types.is_duration(kind):
        return list(column.cast(pa.int64()).to_pylist())
    return [_plain(value) for value in column.to_pylist()]


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, dict):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return str(value)


def texts(column: pa.ChunkedArray | pa.Array) -> list[str]:
    """Return a column's values as JSON texts."""
    return [json_text(value) for value in cells(column)]


def row_texts(table: pa.Table) -> list[str]:
    """Return rows as JSON objects."""
    columns = [cells(column) for column in table.columns]
    return [json_text(dict(zip(table.column_names, row, strict=True))) for row in zip(*columns, strict=True)]


def parsed(values: Sequence[str], field: pa.Field, what: Sequence[str]) -> pa.Array:
    """Return the cells that people wrote as JSON; `what` says of each where, for messages.

    Raises:
        ConfigError: One is no JSON, or does not fit the column's type.
    """
    return pa.array([_parsed(*one, field) for one in zip(values, what, strict=True)], field.type)


def _parsed(text: str, what: str, field: pa.Field) -> Any:
    try:
        value = json.loads(text)
        kind = field.type
        if value is None:
            array = pa.nulls(1, kind)
        elif isinstance(value, str) and family(kind) in _AS_TEXT:
            array = pa.array([value]).cast(kind)
        elif types.is_duration(kind):
            array = pa.array([value], pa.int64()).cast(kind)
        elif isinstance(value, str) and family(kind) == "binary":
            array = pa.array([base64.b64decode(value, validate=True)], kind)
        elif isinstance(value, str) and family(kind) == "float":
            array = pa.array([float(value)], kind)
        else:
            array = pa.array([value])
        return conform(pa.table({field.name: array}), pa.schema([field])).column(0)[0]
    except (ValueError, pa.ArrowException, SchemaMismatch, TypeError) as error:
        raise ConfigError(
            f"{what}: the resolution value:{text} does not fit {field.name} ({field.type}): {error}"
        ) from error
