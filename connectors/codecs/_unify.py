"""Schemas that alternate within a stream, brought under one by promotion; and rows that do not go with it set aside."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dataplat.connectors.codecs._codec import Decoded, Reject
from dataplat.lake.canonical import family
from dataplat.versioning.modes import holds

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Apart(ValueError):
    """Two types of a column that no promotion brings together."""

    def __init__(self, column: str, ours: pa.DataType, theirs: pa.DataType) -> None:
        super().__init__(f"column {column!r} is {ours} so far, and {theirs} here")
        self.column = column
        self.ours = ours
        self.theirs = theirs


def together(ours: pa.Schema, theirs: pa.Schema) -> pa.Schema:
    """Return the columns of both, `ours` first, each with a type that takes the values of both.

    Only those that are never null in either are never null.
    Integers become wider ones, or float64 beside floats (where a value is not exact in that, `fit` sets it aside); null
    becomes anything; lists and structs are joined within.

    Raises:
        Apart: A column has types of different kinds.
    """
    fields = [_joined(field, theirs) for field in ours]
    fields += [field.with_nullable(True) for field in theirs if field.name not in ours.names]
    return pa.schema(fields)


def _joined(field: pa.Field, theirs: pa.Schema) -> pa.Field:
    index = theirs.get_field_index(field.name)
    if index < 0:
        return field.with_nullable(True)
    other = theirs.field(index)
    kind = wider(field.type, other.type)
    if kind is None:
        raise Apart(field.name, field.type, other.type)
    return pa.field(field.name, kind, field.nullable or other.nullable)


def wider(ours: pa.DataType, theirs: pa.DataType) -> pa.DataType | None:
    """Return the type that takes the values of both, or None where they are of different kinds."""
    for kind in (ours, theirs):
        if holds(kind, ours) and holds(kind, theirs):
            return kind
    if pa.types.is_list(ours) and pa.types.is_list(theirs):
        value = wider(ours.value_type, theirs.value_type)
        return None if value is None else pa.list_(value)
    if pa.types.is_struct(ours) and pa.types.is_struct(theirs):
        try:
            return pa.struct(list(together(pa.schema(list(ours)), pa.schema(list(theirs)))))
        except Apart:
            return None
    kinds = {family(ours), family(theirs)}
    if kinds == {"int"} and all(holds(pa.int64(), kind) for kind in (ours, theirs)):
        return pa.int64()
    return pa.float64() if kinds == {"int", "float"} else None


def fitted(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """Return the rows with exactly the columns of `schema`, which is `together` with theirs."""
    if batch.schema.equals(schema):
        return batch
    columns = []
    for wanted in schema:
        index = batch.schema.get_field_index(wanted.name)
        if index < 0:
            columns.append(pa.nulls(batch.num_rows, wanted.type))
        else:
            column = batch.column(index)
            columns.append(column if column.type.equals(wanted.type) else pc.cast(column, wanted.type))
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def grown(held: pa.Schema, batch: pa.RecordBatch, may_grow: Callable[[str], bool]) -> pa.Schema:
    """Return the columns of a dataset, those integers of it as float64 that have other numbers here, where they may."""
    for index, field in enumerate(held):
        place = batch.schema.get_field_index(field.name)
        if place < 0 or not pa.types.is_integer(field.type) or not pa.types.is_floating(batch.column(place).type):
            continue
        if _cast(batch.column(place), field.type)[1].true_count and may_grow(field.name):
            held = held.set(index, field.with_type(pa.float64()))
    return held


def fit(decoded: Decoded, held: pa.Schema | None, like: pa.Schema | None = None) -> Decoded:
    """Return what was decoded with the kinds that columns have so far; rows with others become rejects.

    What a dataset holds (`held`) keeps its kind: 1.0 is a row where the column is an integer, 1.5 is none, but for what
    `grown` makes of it. Of columns that are only in `like`, integers may still become floats.
    """
    for field in held or ():
        index = decoded.batch.schema.get_field_index(field.name)
        if index >= 0:
            decoded = _fit_column(decoded, index, field)
        elif not field.nullable and decoded.batch.num_rows:
            everyone = pa.repeat(pa.scalar(value=True), decoded.batch.num_rows)
            decoded = _aside(decoded, everyone, field.name, lambda _: "it is missing, and is never null in the dataset")
    for field in like or ():
        index = decoded.batch.schema.get_field_index(field.name)
        if index >= 0 and (held is None or field.name not in held.names):
            kind = decoded.batch.schema.field(index).type
            decoded = decoded if wider(field.type, kind) is not None else _fit_column(decoded, index, field)
    return decoded


def _fit_column(decoded: Decoded, index: int, field: pa.Field) -> Decoded:
    column = decoded.batch.column(index)
    if column.null_count and not field.nullable:
        decoded = _aside(decoded, column.is_null(), field.name, lambda _: "null, but the column is never null")
        column = decoded.batch.column(index)
    if column.type == field.type or pa.types.is_null(column.type) or _stays(field.type, column.type):
        return decoded
    cast, wrong = _cast(column, field.type)
    found = replace(decoded, batch=decoded.batch.set_column(index, field.name, cast))
    return _aside(
        found,
        wrong,
        field.name,
        lambda row: f"{_shown(column[row])} ({column.type}) is no {field.type}, which it is so far",
    )


def _stays(held: pa.DataType, kind: pa.DataType) -> bool:
    """Whether a column of `kind` may come on top of one of `held`, which becomes wider where need be."""
    if pa.types.is_nested(held) or pa.types.is_nested(kind):
        return False
    return holds(held, kind) or (family(held) == family(kind) and wider(held, kind) is not None)


def _cast(column: pa.Array, kind: pa.DataType) -> tuple[pa.Array, pa.Array]:
    """Return the column as `kind`, and where that is not possible without changing a value."""
    if {family(column.type), family(kind)} <= {"int", "float"}:
        cast = pc.cast(column, kind, safe=False)
        same = pc.equal(pc.cast(cast, column.type, safe=False), column)
        return cast, pc.and_(pc.invert(pc.fill_null(same, fill_value=False)), column.is_valid())
    if pa.types.is_nested(kind) and wider(kind, column.type) == kind:
        return pc.cast(column, kind), pa.repeat(pa.scalar(value=False), len(column))
    return pa.nulls(len(column), kind), column.is_valid()


def _aside(decoded: Decoded, wrong: pa.Array, column: str, error: Callable[[int], str]) -> Decoded:
    """Return it without the rows that are `wrong`, which become rejects."""
    mask: NDArray[np.bool_] = wrong.to_numpy(zero_copy_only=False)
    if not mask.any():
        return decoded
    ids = decoded.schema_ids
    rejects = [
        Reject(index, error(row), column, None if ids is None else int(ids[index]))
        for row, index in zip(np.flatnonzero(mask).tolist(), decoded.rows[mask].tolist(), strict=True)
    ]
    return replace(
        decoded,
        batch=decoded.batch.filter(pa.array(~mask)),
        rows=decoded.rows[~mask],
        rejects=sorted([*decoded.rejects, *rejects], key=lambda reject: reject.index),
    )


def _shown(value: pa.Scalar) -> str:
    text = repr(value.as_py())
    return text if len(text) <= 60 else text[:59] + "…"
