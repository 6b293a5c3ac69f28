"""One column of one side of a comparison: numbers by their distribution function, categories by their counts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Final, TypeAlias

import numpy as np
import polars as pl
import pyarrow as pa

from dataplat.errors import SchemaError

Array: TypeAlias = np.ndarray[Any, Any]


@dataclass(frozen=True, kw_only=True)
class Numbers:
    """Numbers, or times as integers of their unit, in order.

    Args:
        rows: all rows, of which `nulls` are null and `nans` are NaN: both lie beyond every number.
        knots: the numbers themselves, or those of them that a profile keeps.
        sums: how many numbers are up to each knot, about; None where knots are the numbers themselves.
        ends: the least and the greatest number, where knots are not all of them.
        error: the most that a share of the numbers may be off by.
        spread: the standard deviation of the finite numbers, where it is known.
        kind: what the numbers are: `number`, or `instant`, `date`, `time`, `duration` as integers (days, microseconds).
    """

    rows: int
    nulls: int
    nans: int
    knots: Array = field(repr=False)
    sums: Array | None = field(default=None, repr=False)
    ends: tuple[float, float] | None = None
    error: float = 0.0
    spread: float | None = None
    kind: str = "number"

    @property
    def exact(self) -> bool:
        """Whether knots are all the numbers."""
        return self.sums is None

    @property
    def numbers(self) -> int:
        """Rows that hold a number."""
        return self.rows - self.nulls - self.nans

    @property
    def there(self) -> float:
        """The share of rows that hold a number."""
        return self.numbers / self.rows if self.rows else 0.0

    @property
    def low(self) -> float:
        """The least number."""
        return float(self.knots[0] if self.ends is None else self.ends[0])

    @property
    def high(self) -> float:
        """The greatest number."""
        return float(self.knots[-1] if self.ends is None else self.ends[1])

    def upto(self, points: Array) -> Array:
        """Return the share of rows that are at most each point."""
        return self._shares(points, "right")

    def below(self, points: Array) -> Array:
        """Return the share of rows that are less than each point."""
        return self._shares(points, "left")

    def quantiles(self, shares: Array) -> Array:
        """Return the numbers up to which these shares of the numbers lie; those of 0 and 1 are the ends."""
        wanted = np.ceil(shares * self.numbers - 1e-9)
        at = wanted.astype(np.int64) - 1 if self.sums is None else np.searchsorted(self.sums, wanted, "left")
        found = self.knots[np.clip(at, 0, len(self.knots) - 1)]
        return np.where(shares <= 0, self.low, np.where(shares >= 1, self.high, found))

    @property
    def finite(self) -> Array:
        """The knots that are no infinities."""
        if self.knots.dtype.kind != "f":
            return self.knots
        first, last = np.searchsorted(self.knots, -np.inf, "right"), np.searchsorted(self.knots, np.inf, "left")
        return self.knots[first:last]

    @cached_property
    def deviation(self) -> float:
        """The standard deviation of the finite numbers."""
        if self.spread is not None:
            return self.spread
        return float(np.std(self.finite.astype(np.float64, copy=False))) if len(self.finite) else 0.0

    def _shares(self, points: Array, side: Any) -> Array:
        if not len(self.knots):
            return np.zeros(len(points))
        at = np.searchsorted(self.knots, points, side)
        if self.sums is None:
            return at / self.rows
        found = np.concatenate((np.zeros(1, np.int64), self.sums))[at]
        over, under = (
            (points > self.high, points <= self.low) if side == "left" else (points >= self.high, points < self.low)
        )
        return np.where(over, self.numbers, np.where(under, 0, found)) / self.rows


@dataclass(frozen=True, kw_only=True)
class Categories:
    """Values without an order that matters.

    Args:
        rows: all rows, of which `nulls` are null.
        counts: a frame of the values as text (`value`) and how often each is there (`count`).
        unlisted: the most rows that a value can have beyond its count, or that is not there; 0: all are counted.
        cut: the characters up to which values are told apart, None for all.
        kind: `text`, `boolean`, `bytes` or `null`.
    """

    rows: int
    nulls: int
    counts: pl.DataFrame = field(repr=False)
    unlisted: int = 0
    cut: int | None = None
    kind: str = "text"


Column: TypeAlias = Numbers | Categories

CATEGORIES: Final = frozenset({"text", "boolean", "bytes", "null"})
"""Kinds without an order that matters; `null` is a column of which nobody knows what it would hold."""

_DAY: Final = 86_400_000_000  # microseconds


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
    (pa.types.is_null, "null"),
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
    if kind in CATEGORIES:
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


def texts_of(values: pa.ChunkedArray, kind: str) -> pl.Series:
    """Return the values of a column of categories as texts."""
    if kind in {"boolean", "null"} or (
        kind == "text" and pa.types.is_dictionary(values.type) and not _is_text(values.type.value_type)
    ):
        values = values.cast(pa.string())
    series = pl.Series("value", pl.from_arrow(values))
    if kind == "bytes":
        series = series.bin.encode("hex")
    return series


def _categories(values: pa.ChunkedArray, kind: str) -> Categories:
    counted = texts_of(values, kind).value_counts(name="count").drop_nulls("value")
    counted = counted.with_columns(pl.col("value").cast(pl.String))
    return Categories(rows=len(values), nulls=values.null_count, counts=counted, kind=kind)


def alike(before: Column, after: Column) -> tuple[Column, Column] | None:
    """Return two columns as one kind, None where they are of two: a date is the instant it begins, nulls are anything."""
    if before.kind == after.kind:
        return before, after
    if before.kind == "null":
        return _nulls_as(before, after), after
    if after.kind == "null":
        return before, _nulls_as(after, before)
    if {before.kind, after.kind} != {"date", "instant"}:
        return None
    assert isinstance(before, Numbers)
    assert isinstance(after, Numbers)
    return _as_instants(before), _as_instants(after)


def _nulls_as(column: Column, other: Column) -> Column:
    if isinstance(other, Numbers):
        return Numbers(rows=column.rows, nulls=column.rows, nans=0, knots=np.empty(0), kind=other.kind)
    assert isinstance(column, Categories)
    return replace(column, kind=other.kind)


def _as_instants(column: Numbers) -> Numbers:
    if column.kind == "instant":
        return column
    ends = None if column.ends is None else (column.ends[0] * _DAY, column.ends[1] * _DAY)
    spread = None if column.spread is None else column.spread * _DAY
    return replace(column, knots=column.knots.astype(np.int64) * _DAY, ends=ends, spread=spread, kind="instant")
