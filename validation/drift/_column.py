"""One column of one side of a comparison: numbers by their distribution function, categories by their counts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import polars as pl
import pyarrow as pa

from dataplat.errors import SchemaError

Array: TypeAlias = np.ndarray[Any, Any]


@dataclass(frozen=True, kw_only=True)
class Numbers:
    """Numbers, or times as integers of their unit, sorted.

    Args:
        rows: all rows, of which `nulls` are null and `nans` are NaN: both lie beyond every number.
        knots: where the distribution function is known: all numbers in order, or quantiles at even steps.
        exact: whether knots are the numbers themselves.
        error: the most that a share of the numbers may be off by, where they are quantiles.
        kind: what the numbers are: `number`, or `instant`, `date`, `time`, `duration` as integers (days, microseconds).
    """

    rows: int
    nulls: int
    nans: int
    knots: Array = field(repr=False)
    exact: bool = True
    error: float = 0.0
    kind: str = "number"

    @property
    def numbers(self) -> int:
        """Rows that hold a number."""
        return self.rows - self.nulls - self.nans

    @property
    def there(self) -> float:
        """The share of rows that hold a number."""
        return self.numbers / self.rows if self.rows else 0.0

    def upto(self, points: Array) -> Array:
        """Return the share of rows that are at most each point."""
        return self._shares(points, "right")

    def below(self, points: Array) -> Array:
        """Return the share of rows that are less than each point."""
        return self._shares(points, "left")

    def quantiles(self, shares: Array) -> Array:
        """Return the numbers below which these shares of the numbers lie."""
        at = np.clip(np.ceil(shares * (len(self.knots) - 1) - 1e-9).astype(np.int64), 0, len(self.knots) - 1)
        return self.knots[at]

    @cached_property
    def deviation(self) -> float:
        """The standard deviation of the numbers."""
        return float(np.std(self.knots.astype(np.float64))) if len(self.knots) else 0.0

    def _shares(self, points: Array, side: Any) -> Array:
        at = np.searchsorted(self.knots, points, side)
        if not len(self.knots):
            return np.zeros(len(points))
        if self.exact:
            return at / self.rows
        last = len(self.knots) - 1
        low, high = self.knots[np.clip(at - 1, 0, last)], self.knots[np.clip(at, 0, last)]
        with np.errstate(invalid="ignore"):
            part = np.where(high > low, (points - low) / np.where(high > low, high - low, 1), 0.0)
        part = np.nan_to_num(part)  # between infinities there is no middle
        return np.where(at == 0, 0.0, np.where(at > last, 1.0, (at - 1 + part) / last)) * self.there


@dataclass(frozen=True, kw_only=True)
class Categories:
    """Values without an order that matters.

    Args:
        rows: all rows, of which `nulls` are null.
        counts: a frame of the values as text (`value`) and how often each is there (`count`).
        others: rows whose values are not in it, where only frequent ones are known.
        kind: `text`, `boolean` or `bytes`.
    """

    rows: int
    nulls: int
    counts: pl.DataFrame = field(repr=False)
    others: int = 0
    kind: str = "text"


Column: TypeAlias = Numbers | Categories


def kind_of(type_: pa.DataType) -> str | None:
    """Return what values of a type are compared as, None for nested ones: these have no distribution here."""
    for is_kind, name in _KINDS:
        if is_kind(type_):
            return name
    return None


def _is_text(type_: pa.DataType) -> bool:
    return bool(pa.types.is_string(type_) or pa.types.is_large_string(type_) or pa.types.is_string_view(type_))


def _is_number(type_: pa.DataType) -> bool:
    return bool(pa.types.is_integer(type_) or pa.types.is_floating(type_) or pa.types.is_decimal(type_))


def _is_bytes(type_: pa.DataType) -> bool:
    kinds = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_fixed_size_binary, pa.types.is_binary_view)
    return any(is_kind(type_) for is_kind in kinds)


_KINDS: tuple[tuple[Callable[[pa.DataType], bool], str], ...] = (
    (_is_number, "number"),
    (_is_text, "text"),
    (pa.types.is_dictionary, "text"),
    (pa.types.is_boolean, "boolean"),
    (pa.types.is_timestamp, "instant"),
    (pa.types.is_date, "date"),
    (pa.types.is_time, "time"),
    (pa.types.is_duration, "duration"),
    (_is_bytes, "bytes"),
)
_UNITS = {"instant": pa.timestamp("us"), "time": pa.time64("us"), "duration": pa.duration("us")}


def column_of(values: pa.ChunkedArray) -> Column:
    """Summarise a column exactly.

    Raises:
        SchemaError: It is nested.
    """
    kind = kind_of(values.type)
    if kind is None:
        raise SchemaError(f"columns of type {values.type} have no distribution to compare")
    if kind in {"text", "boolean", "bytes"}:
        return _categories(values, kind)
    return _numbers(values, kind)


def _numbers(values: pa.ChunkedArray, kind: str) -> Numbers:
    rows, nulls = len(values), values.null_count
    if kind == "date":
        values = values.cast(pa.date32()).cast(pa.int32())
    elif kind in _UNITS:
        zone = values.type.tz if kind == "instant" else None
        values = values.cast(pa.timestamp("us", zone) if zone else _UNITS[kind], safe=False).cast(pa.int64())
    elif pa.types.is_decimal(values.type):
        values = values.cast(pa.float64())
    if nulls:
        values = values.drop_null()
    plain = np.sort(values.to_numpy())
    nans = 0
    if plain.dtype.kind == "f":
        nans = len(plain) - int(np.searchsorted(plain, np.nan, "left"))
        plain = plain[: len(plain) - nans]
    return Numbers(rows=rows, nulls=nulls, nans=nans, knots=plain, kind=kind)


def _categories(values: pa.ChunkedArray, kind: str) -> Categories:
    if kind == "boolean" or (
        kind == "text" and pa.types.is_dictionary(values.type) and not _is_text(values.type.value_type)
    ):
        values = values.cast(pa.string())
    series = pl.Series("value", pl.from_arrow(values))
    if kind == "bytes":
        series = series.bin.encode("hex")
    counted = series.value_counts(name="count").drop_nulls("value")
    counted = counted.with_columns(pl.col("value").cast(pl.String))
    return Categories(rows=len(values), nulls=values.null_count, counts=counted, kind=kind)
