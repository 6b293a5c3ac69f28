"""Filters that Spark pushes down, as an expression of Polars: what a scan prunes and filters by."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import reduce
from operator import and_
from typing import TYPE_CHECKING, Any

import pyarrow as pa

if TYPE_CHECKING:
    import polars as pl
    from pyspark.sql.datasource import Filter


def pushed(filters: Iterable[Filter], schema: pa.Schema) -> tuple[pl.Expr | None, list[Filter]]:
    """Return what all filters that are understood ask for together, and those that Spark has to ask itself.

    Args:
        filters: all of which must hold.
        schema: the columns, as the lake has them.
    """
    asked: list[pl.Expr] = []
    left: list[Filter] = []
    for each in filters:
        expr = _expression(each, schema)
        if expr is None:
            left.append(each)
        else:
            asked.append(expr)
    return reduce(and_, asked) if asked else None, left


def _expression(given: Filter, schema: pa.Schema) -> pl.Expr | None:
    from pyspark.sql import datasource as ds

    if isinstance(given, ds.Not):
        inner = _expression(given.child, schema)
        return None if inner is None else ~inner
    path: Sequence[str] = getattr(given, "attribute", ())
    if len(path) != 1 or path[0] not in schema.names or not _compares(schema.field(path[0]).type):
        return None
    return _asked(given, path[0])


def _asked(given: Any, name: str) -> pl.Expr | None:
    import polars as pl
    from pyspark.sql import datasource as ds

    column = pl.col(name)
    match given:
        case ds.EqualTo():
            return column == given.value
        case ds.EqualNullSafe():
            return column.is_null() if given.value is None else (column == given.value).fill_null(value=False)
        case ds.GreaterThan():
            return column > given.value
        case ds.GreaterThanOrEqual():
            return column >= given.value
        case ds.LessThan():
            return column < given.value
        case ds.LessThanOrEqual():
            return column <= given.value
        case ds.In():
            return None if None in given.value else column.is_in(list(given.value))
        case ds.IsNull():
            return column.is_null()
        case ds.IsNotNull():
            return column.is_not_null()
        case ds.StringStartsWith():
            return column.str.starts_with(given.value)
        case ds.StringEndsWith():
            return column.str.ends_with(given.value)
        case ds.StringContains():
            return column.str.contains(given.value, literal=True)
        case _:
            return None


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
