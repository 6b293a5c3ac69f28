"""Columns as profiles have them: nothing is read, and how far off that may be is known."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from dataplat.validation.drift._column import Categories, Column, Numbers

if TYPE_CHECKING:
    from dataplat.validation.profile import ColumnProfile

_KINDS: Final = {
    "int": "number",
    "float": "number",
    "decimal": "number",
    "date": "date",
    "time": "time",
    "timestamp": "instant",
    "timestamp_tz": "instant",
    "duration": "duration",
    "bool": "boolean",
    "string": "text",
    "binary": "bytes",
    "null": "null",
}
_CUT: Final = 256  # characters of a text that a profile keeps


class ProfileColumns(Mapping[str, Column]):
    """The columns of a profile; nested ones are left out."""

    def __init__(self, columns: Mapping[str, ColumnProfile]) -> None:
        self._columns = {name: column for name, column in columns.items() if column.family in _KINDS}

    def __getitem__(self, name: str) -> Column:
        column = self._columns[name]
        return _numbers(column) if column.numeric else _categories(column)

    def __contains__(self, name: object) -> bool:
        return name in self._columns

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)


def _numbers(column: ColumnProfile) -> Numbers:
    kind, points = _KINDS[column.family], column.points
    rows, nulls, nans = column.rows, column.nulls, column.nans
    if points is None or not points.count or column.low is None or column.high is None:
        return Numbers(rows=rows, nulls=nulls, nans=nans, knots=np.empty(0), kind=kind)
    values, sums = points.ordered
    finite = points.count - sum(column.infinite)
    deviation = None if column.deviation is None else column.deviation * math.sqrt(1 - 1 / finite)
    return Numbers(
        rows=rows,
        nulls=nulls,
        nans=nans,
        knots=values,
        sums=None if points.exact else sums,
        ends=(float(column.low), float(column.high)),
        error=column.likely_rank_error,
        spread=deviation,
        kind=kind,
    )


def _categories(column: ColumnProfile) -> Categories:
    kind = _KINDS[column.family]
    values = [_text(value) for value, _ in column.frequent()]
    counts = pl.DataFrame(
        {"value": values, "count": [count for _, count in column.frequent()]},
        schema={"value": pl.String, "count": pl.Int64},
    )
    return Categories(
        rows=column.rows, nulls=column.nulls, counts=counts, unlisted=column.frequent_error, cut=_CUT, kind=kind
    )


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
