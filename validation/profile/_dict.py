"""A profile as plain values, for machines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from dataplat.validation.profile._column import ColumnProfile
from dataplat.validation.profile._format import plain
from dataplat.validation.profile._shape import shape_of

if TYPE_CHECKING:
    from dataplat.validation.profile._profile import Profile

QUANTILES: Final = (0.0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1.0)
_PATTERNS: Final = 10
_VALUES: Final = 20


def dict_of(profile: Profile) -> dict[str, Any]:
    """Return a profile as what JSON has."""
    return {
        "data": profile.title,
        "version": profile.version,
        "where": profile.where,
        "rows": profile.rows,
        "parts": profile.parts,
        "remembered": profile.remembered,
        "unread": profile.unread,
        "columns": {name: _column(column) for name, column in profile.columns.items()},
    }


def _column(column: ColumnProfile) -> dict[str, Any]:
    told: dict[str, Any] = {
        "family": column.family,
        "rows": column.rows,
        "nulls": column.nulls,
        "nans": column.nans,
        "distinct": column.distinct,
        "distinct_bounds": column.distinct_bounds,
        "low": plain(column, column.low),
        "high": plain(column, column.high),
    }
    if column.numeric:
        told |= _numbers(column)
    if column.values is not None:
        told["frequent"] = [[plain(column, value), count] for value, count in column.frequent(_VALUES)]
        told["frequent_error"] = column.frequent_error
    if column.lengths is not None:
        told["lengths"] = {
            "low": column.lengths.low,
            "high": column.lengths.high,
            "mean": column.lengths.mean,
        }
    if column.patterns is not None:
        told["patterns"] = column.patterns.frequent[:_PATTERNS]
    if column.times is not None:
        factor = 1 if column.unit == "us" else 86_400_000_000
        told["gaps"] = [[plain(column, start), plain(column, stop)] for start, stop in column.times.gaps()]
        lengths = column.times.gap_lengths()
        told["gaps_of_at_least_seconds"] = [[length * factor / 1e6, number] for length, number in lengths]
        told["gap_error_seconds"] = 2 * column.times.width * factor / 1e6
    return told


def _seconds(column: ColumnProfile, length: float | None) -> float | None:
    """Return a length of time in seconds, and other numbers as they are."""
    if length is None or column.unit is None:
        return length
    return length * 86_400 if column.unit == "d" else length / 1e6


def _numbers(column: ColumnProfile) -> dict[str, Any]:
    shape = shape_of(column)
    quantiles = column.quantile(QUANTILES).tolist() if column.there else [None] * len(QUANTILES)
    mean, deviation = column.mean, column.deviation
    return {
        "infinite": column.infinite,
        "zeros": column.zeros,
        "negative": column.negative,
        "mean": mean if column.unit is None or mean is None else plain(column, round(mean)),
        "deviation" if column.unit is None else "deviation_seconds": _seconds(column, deviation),
        "quantiles": {f"{at:g}": plain(column, each) for at, each in zip(QUANTILES, quantiles, strict=True)},
        "rank_error": column.rank_error,
        "likely_rank_error": column.likely_rank_error,
        "histogram": [[label, count] for label, count in zip(shape.labels, shape.counts, strict=True)],
    }
