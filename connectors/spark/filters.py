"""Filters that Spark pushes down, as an expression of Polars: what a scan prunes and filters by."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import reduce
from operator import and_
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from dataplat.errors import PredicateError

if TYPE_CHECKING:
    import polars as pl
    from pyspark.sql.datasource import Filter

    from dataplat.lake.where import Where


def pushed(filters: Iterable[Filter], schema: pa.Schema) -> tuple[Where | None, list[Filter]]:
    """Return what all filters that are understood ask for together, and those that Spark has to ask itself.

    Args:
        filters: all of which must hold.
        schema: the columns, as the lake has them.
    """
    from dataplat.lake.where import parse_where

    asked: list[pl.Expr] = []
    left: list[Filter] = []
    for each in filters:
        expr = _expression(each, schema)
        if expr is None or not _is_readable(expr, schema):
            left.append(each)
        else:
            asked.append(expr)
    return parse_where(reduce(and_, asked), schema) if asked else None, left


def _is_readable(expr: pl.Expr, schema: pa.Schema) -> bool:
    """Say whether a scan takes the expression: what it does not, Spark asks."""
    from dataplat.lake.where import parse_where

    try:
        parse_where(expr, schema)
    except PredicateError:
        return False
    return True


def _expression(given: Filter, schema: pa.Schema) -> pl.Expr | None:
    from pyspark.sql import datasource as ds

    if isinstance(given, ds.Not):
        inner = _expression(given.child, schema)
        return None if inner is None else ~inner  # of what is neither true nor false it is neither, too, as in Spark
    path: Sequence[str] = getattr(given, "attribute", ())
    if len(path) != 1 or path[0] not in schema.names or not _compares(schema.field(path[0]).type):
        return None
    return _asked(given, path[0])


def _asked(given: Any, name: str) -> pl.Expr | None:
    import polars as pl

    ask = _ASKED.get(type(given).__name__)
    return None if ask is None else ask(pl.col(name), getattr(given, "value", None))


def _is(column: pl.Expr, value: Any) -> pl.Expr:
    """Compare as `<=>` does: null is null, and nothing else is."""
    return column.is_null() if value is None else (column == value).fill_null(value=False)


_ASKED: Mapping[str, Callable[[pl.Expr, Any], pl.Expr | None]] = {
    "EqualTo": lambda column, value: column == value,
    "EqualNullSafe": _is,
    "GreaterThan": lambda column, value: column > value,
    "GreaterThanOrEqual": lambda column, value: column >= value,
    "LessThan": lambda column, value: column < value,
    "LessThanOrEqual": lambda column, value: column <= value,
    "In": lambda column, values: None if None in values else column.is_in(list(values)),
    "IsNull": lambda column, _: column.is_null(),
    "IsNotNull": lambda column, _: column.is_not_null(),
    "StringStartsWith": lambda column, value: column.str.starts_with(value),
    "StringEndsWith": lambda column, value: column.str.ends_with(value),
    "StringContains": lambda column, value: column.str.contains(value, literal=True),
}
"""What a filter asks of a column, by the name of its class."""


def _compares(kind: pa.DataType) -> bool:
    """Say whether values of a type are compared by Spark and Polars alike, and come as they are."""
    return bool(
        pa.types.is_boolean(kind)
        or pa.types.is_signed_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_string(kind)
        or pa.types.is_date32(kind)
        or (pa.types.is_timestamp(kind) and kind.unit != "ns")
    )
