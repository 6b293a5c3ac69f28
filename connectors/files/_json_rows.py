"""JSON records one by one: what does not fit is a reject, or widens its column."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from dataplat.connectors.files import _types as t
from dataplat.connectors.files._json_cells import column
from dataplat.connectors.files._json_shape import DuplicateKey, Shape, decode_record
from dataplat.connectors.files._options import Typing
from dataplat.connectors.files._rejects import NEVER_NULL
from dataplat.connectors.source import SchemaWidened


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
            wrong[i] = (None, what_is_wrong(error))
    wider = _new_fields(records, typing)
    arrays = []
    for field in typing.schema:
        values = [record.get(field.name) for _, record in records]
        free = field.name not in typing.fixed
        cells, misfits = column(values, field.type, strict=free)
        if not field.nullable:
            misfits = dict.fromkeys((i for i, value in enumerate(values) if value is None), NEVER_NULL) | misfits
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


def what_is_wrong(error: Exception) -> str:
    """Return what is wrong with a record, as its reject says it."""
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
