"""Rows in slices of a column that have grown since a reference, in the bins by which drift is measured."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dataplat.errors import BadColumn
from dataplat.labeling.order._context import Context, Rows
from dataplat.labeling.order._policies import DriftSlice
from dataplat.labeling.order._tasks import by_task, read
from dataplat.lake.schema import did_you_mean
from dataplat.validation.drift import Question, TableColumns, drift_between, kind_of, slices_of

Array: TypeAlias = np.ndarray[Any, Any]


def grown(order: DriftSlice, context: Context) -> Array:
    """Return for each task the share of its slice's rows that the reference does not account for, from 0 to 1.

    A slice of a fifth of the rows that was a tenth of them before has 0.5; one that was never there 1; one that has
    become smaller 0.
    """
    reference = context.version(order.against)
    name = order.column or _most_drifted(order, context)
    if name not in reference.schema.names:
        raise BadColumn(f"no column {name!r} in {order.against}{did_you_mean(name, reference.schema.names)}")
    ids, table = read(context, context.source, [name], "the source")
    values = table.column(name)
    before = reference.to_arrow(columns=[name]).column(name)
    return by_task(context, ids, excess(before, values))


def excess(before: pa.ChunkedArray, after: pa.ChunkedArray) -> Array:
    """Return of each value of `after` by how much its slice has grown."""
    slices = slices_of(before, after)
    one, two = (np.maximum(each, 0) / max(each.sum(), 1) for each in (slices.before, slices.after))
    grew = np.divide(two - one, two, out=np.zeros(len(two)), where=two > 0)
    found: Array = np.clip(grew, 0, 1)[slices.of]
    return found


def _most_drifted(order: DriftSlice, context: Context) -> str:
    """Return the column that drifts most, in units of what counts; times do always, and numbers that never repeat are ids."""
    reference = context.version(order.against)
    names = [
        field.name
        for field in context.source.schema
        if field.name in reference.schema.names and kind_of(field.type) in {"number", "text", "boolean"}
    ]
    before, after = (TableColumns(rows.schema, _reader(rows)) for rows in (reference, context.source))
    report = drift_between(before, after, Question(columns=names))
    ranked = sorted(
        (column for column in report.columns if not np.isnan(column.effect)),
        key=lambda column: -column.effect / (column.min_effect or 1),
    )
    for column in ranked:
        if not _is_id(context.source, column.column):
            return column.column
    raise BadColumn(
        f"no column of the source can be compared with {order.against}: say which, drift_slice(…, column=…)"
    )


def _is_id(rows: Rows, name: str) -> bool:
    values = rows.to_arrow(columns=[name]).column(name)
    whole = pa.types.is_integer(values.type)
    return bool(whole and len(values) > 1 and pc.count_distinct(values).as_py() == len(values))


def _reader(rows: Rows) -> Any:
    return lambda name: rows.to_arrow(columns=[name]).column(name)
