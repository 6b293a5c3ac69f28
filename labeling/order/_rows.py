"""Scores of the source's own rows: how far out they lie, or what an expression says of them."""

from __future__ import annotations

from typing import Any, Final, TypeAlias

import numpy as np
import polars as pl
from polars.exceptions import PolarsError

from dataplat.errors import ConfigError
from dataplat.labeling.order._context import Context
from dataplat.labeling.order._policies import Outliers, Sql
from dataplat.labeling.order._tasks import by_task, read
from dataplat.validation.outliers import BOUNDS, find_outliers
from dataplat.validation.subject import TableSubject

Array: TypeAlias = np.ndarray[Any, Any]

_FARTHEST: Final = 100.0
"""A score of more bounds than that, an infinity for one, counts as that many: one row is not to be all of the queue."""


def far_out(order: Outliers, context: Context) -> Array:
    """Return by how many bounds the farthest value of each task lies out; 0 where all are usual."""
    schema = context.source.schema
    usable = [field.name for field in schema if _is_scalar(field.type)]
    ids, table = read(context, context.source, order.columns or usable, "the source")
    subject = TableSubject(table, "the source")
    limit = max(1, table.num_rows * table.num_columns)
    hits = find_outliers(subject, method=order.method, columns=order.columns, bound=order.bound, limit=limit)
    bound = BOUNDS[order.method] if order.bound is None else order.bound
    scores = np.zeros(table.num_rows)
    away = np.minimum(np.abs(np.asarray(hits.column("score"))) / bound, _FARTHEST)
    np.maximum.at(scores, np.asarray(hits.column("row")), away)
    return by_task(context, ids, scores)


def _is_scalar(kind: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def expressed(order: Sql, context: Context) -> Array:
    """Return what an expression says of each task, or of an `order by` how early it comes.

    Raises:
        ConfigError: It cannot be read, names no column, or gives no number.
    """
    names = context.source.schema.names
    mentioned = [name for name in names if name.casefold() in order.text.casefold()]
    ids, table = read(context, context.source, mentioned, "the source")
    frame = pl.DataFrame(table) if mentioned else pl.DataFrame(height=table.num_rows)
    try:
        values = _places(order.text, frame, len(ids)) if not order.samples else _values(order.text, frame, len(ids))
    except PolarsError as error:
        said = str(error).strip().partition("\n")[0]
        raise ConfigError(
            f"the order {order.text!r} cannot be evaluated: {said}; columns are {', '.join(names)}"
        ) from error
    return by_task(context, ids, values)


def _values(text: str, frame: pl.DataFrame, rows: int) -> Array:
    found = frame.select(pl.sql_expr(text).alias("score")).to_series()
    if not (found.dtype.is_numeric() or found.dtype in {pl.Boolean, pl.Null}):
        raise ConfigError(f"the order {text!r} gives {found.dtype}, not a number: write 'order by …' to fix the order")
    plain = found.cast(pl.Float64).fill_null(float("nan")).to_numpy()
    return np.full(rows, plain[0]) if len(plain) == 1 != rows else plain


def _places(text: str, frame: pl.DataFrame, rows: int) -> Array:
    """Return as many as there are rows for the first of an `order by`, 1 for the last."""
    place = "dataplat_place"
    numbered = frame.with_columns(pl.Series(place, range(rows), pl.Int64)) if frame.width else pl.DataFrame({place: range(rows)})  # fmt: skip
    ordered = pl.SQLContext(rows=numbered, eager=True).execute(f"select {place} from rows {text}")
    found = np.full(rows, np.nan)
    places = ordered[place].to_numpy()
    found[places] = np.arange(rows, rows - len(places), -1)
    return found
