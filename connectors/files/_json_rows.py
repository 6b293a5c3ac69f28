"""JSON records one by one: what does not fit is a reject, or widens its column."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from dataplat.connectors.files import _cells
from dataplat.connectors.files import _types as t
from dataplat.connectors.files._json_shape import DuplicateKey, Number, Shape, decode_record, number_type
from dataplat.connectors.files._options import Typing
from dataplat.connectors.files._rejects import shown
from dataplat.connectors.source import SchemaWidened


class Misfit(ValueError):
    """A value does not fit its column."""


@dataclass(frozen=True, slots=True)
class Rows:
    """The records that fit, and what is wrong with the others: by index, (column, error)."""

    batch: pa.RecordBatch
    wrong: dict[int, tuple[str | None, str]]


def parse_rows(raws: list[bytes], typing: Typing, where: str) -> Rows:
    """Parse records; raise `SchemaWidened` where a column that may widen has to, or a field is new."""
    records: list[tuple[int, dict[str, Any]]] = []
    wrong: dict[int, tuple[str | None, str]] = {}
    for i, raw in enumerate(raws):
        try:
            records.append((i, decode_record(raw)))
        except (ValueError, RecursionError) as error:
            wrong[i] = (None, _said(error))
    wider = _new_fields(records, typing)
    arrays = []
    for field in typing.schema:
        values = [record.get(field.name) for _, record in records]
        free = field.name not in typing.fixed
        cells, misfits = _column(values, field.type, strict=free)
        if misfits and free:
            kind = _wider(field.type, values)
            if kind is not None and not kind.equals(field.type):
                wider[field.name] = kind
                continue
        for row, said in misfits.items():
            wrong.setdefault(records[row][0], (field.name, said))
        arrays.append(cells)
    if wider:
        raise widening(typing.schema, wider, where)
    batch = pa.RecordBatch.from_arrays(arrays, schema=typing.schema)
    good = np.array([i not in wrong for i, _ in records], dtype=np.bool_)
    return Rows(batch if good.all() else batch.filter(pa.array(good)), wrong)


def _said(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"no JSON: {error.msg} at character {error.pos + 1} of the record"
    if isinstance(error, RecursionError):
        return "nested too deeply"
    return str(error) if isinstance(error, DuplicateKey) else f"no record: {error}"


def _new_fields(records: list[tuple[int, dict[str, Any]]], typing: Typing) -> dict[str, pa.DataType]:
    known = set(typing.schema.names)
    shapes: dict[str, Shape] = {}
    for _, record in records:
        for key in record.keys() - known:
            shapes.setdefault(key, Shape()).add(record[key])
    order = {key: None for _, record in records for key in record}
    return {key: shapes[key].type(temporal=True) for key in order if key in shapes}


def _wider(kind: pa.DataType, values: list[Any]) -> pa.DataType | None:
    shape = Shape()
    for value in values:
        shape.add(value)
    joined = t.join(kind, shape.type(temporal=True))
    return t.STRING if joined is not None and joined.equals(t.FLOAT64) and shape.big else joined


def widening(schema: pa.Schema, wider: dict[str, pa.DataType], where: str) -> SchemaWidened:
    """Return the signal that columns need other types, or are new."""
    changes = []
    for name, kind in wider.items():
        at = schema.get_field_index(name)
        if at < 0:
            changes.append(f"{name!r} is new ({kind})")
            schema = schema.append(pa.field(name, kind))
        else:
            changes.append(f"{name!r} {schema.field(at).type} → {kind}")
            schema = schema.set(at, pa.field(name, kind))
    return SchemaWidened(schema, f"{where}: {', '.join(changes)}")


def _column(values: list[Any], kind: pa.DataType, *, strict: bool) -> tuple[pa.Array, dict[int, str]]:
    if pa.types.is_nested(kind):
        return _nested(values, kind)
    misfits: dict[int, str] = {}
    texts: list[str | None] = []
    for i, value in enumerate(values):
        try:
            texts.append(_text(value, kind))
        except Misfit as error:
            misfits[i] = str(error)
            texts.append(None)
    strings = pa.array(texts, pa.string())
    cells, failed = _cells.parse(strings, kind, strict=strict)
    misfits |= {i: f"{shown(texts[i])} is not {kind}" for i in np.flatnonzero(failed).tolist()}
    if strict and kind.equals(t.FLOAT64) and not t.floats_hold(strings):
        misfits |= {i: f"{text} is no float64 exactly" for i, text in enumerate(texts) if text and _inexact(text)}
    return cells, misfits


def _inexact(text: str) -> bool:
    return not t.floats_hold(pa.array([text]))


def _text(value: Any, kind: pa.DataType) -> str | None:
    """Return a scalar as the text that `kind` is parsed from; raise `Misfit` for a value of another sort."""
    if value is None:
        return None
    if isinstance(value, dict | list):
        if pa.types.is_string(kind) and value == {}:
            return "{}"
        raise Misfit(f"{'an object' if isinstance(value, dict) else 'an array'} is not {kind}")
    numeric = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    if isinstance(value, bool):
        if pa.types.is_boolean(kind) or pa.types.is_string(kind):
            return "true" if value else "false"
    elif isinstance(value, Number):
        if numeric or pa.types.is_string(kind):
            return value
    elif not numeric and not pa.types.is_boolean(kind):
        return str(value)
    raise Misfit(f"{shown(str(value))} is not {kind}")


def _nested(values: list[Any], kind: pa.DataType) -> tuple[pa.Array, dict[int, str]]:
    misfits: dict[int, str] = {}
    natives = []
    for i, value in enumerate(values):
        try:
            natives.append(_native(value, kind))
        except (Misfit, ValueError, OverflowError, pa.ArrowException) as error:
            misfits[i] = str(error)
            natives.append(None)
    return pa.array(natives, kind), misfits


def _native(value: Any, kind: pa.DataType) -> Any:
    """Return a value as `pa.array` takes it for `kind`, exactly; raise `Misfit` where it does not fit."""
    if value is None:
        return None
    if pa.types.is_struct(kind):
        if not isinstance(value, dict):
            raise Misfit(f"{shown(str(value))} is not an object")
        unknown = value.keys() - {field.name for field in kind}
        if unknown:
            raise Misfit(f"field {min(unknown)!r} is not in {kind}")
        return {field.name: _native(value.get(field.name), field.type) for field in kind}
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        if not isinstance(value, list):
            raise Misfit(f"{shown(str(value))} is not an array")
        return [_native(item, kind.value_type) for item in value]
    text = _text(value, kind)
    if isinstance(value, Number) and kind.equals(t.INT64) and not number_type(value).equals(t.INT64):
        raise Misfit(f"{value} is not {kind}")
    cells, failed = _cells.parse(pa.array([text], pa.string()), kind, strict=False)
    if failed[0] or (kind.equals(t.FLOAT64) and _inexact(text or "")):
        raise Misfit(f"{shown(text)} is not {kind}")
    return cells[0].as_py()
