"""Brings a literal that is compared with a column of dates or times to the type of that column, exactly.

Users write `ts >= '2024-01-01'`. Left to itself Polars refuses strings, and of two units takes the coarser one,
which cuts the finer column; so the literal becomes the column's type, or the predicate is refused.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, time, timedelta
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

import polars as pl

from dataplat.errors import PredicateError

if TYPE_CHECKING:
    from collections.abc import Callable

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_UNITS: Final = {"ms": 10**6, "us": 10**3, "ns": 1}
_DAY: Final = 86_400 * 10**9
_FRACTION: Final = re.compile(r"(?<=:\d\d)\.(\d+)")
TEMPORAL: Final = (pl.Date, pl.Datetime, pl.Time, pl.Duration)


def fitted(value: object, dtype: pl.DataType, column: str) -> int | None:
    """Return the physical value of `dtype` (days, or counts of its unit) that equals `value`.

    Args:
        value: A string in ISO 8601, or a (physical value, dtype) pair of a temporal type, or None.
        dtype: The type of the column.
        column: Its name, for messages.

    Raises:
        PredicateError: The value cannot be read, or the type cannot hold it exactly.
    """
    if value is None:
        return None
    shown = repr(value) if isinstance(value, str) else str(_shown(value))
    nanoseconds = _from_text(value, dtype, column) if isinstance(value, str) else _from_temporal(value, dtype, column)
    unit = unit_of(dtype)
    if nanoseconds % unit:
        raise PredicateError(f"{shown} is not exact in column {column!r} of type {_name(dtype)}; write a coarser value")
    physical = nanoseconds // unit
    if not -(2**63) <= physical < 2**63:
        raise PredicateError(f"{shown} is out of the range of column {column!r} of type {_name(dtype)}")
    return physical


def unit_of(dtype: pl.DataType) -> int:
    """Return how many nanoseconds one physical step of a temporal type is."""
    if isinstance(dtype, pl.Date):
        return _DAY
    return 1 if isinstance(dtype, pl.Time) else _UNITS[dtype.time_unit]  # type: ignore[attr-defined]


def _name(dtype: pl.DataType) -> str:
    match dtype:
        case pl.Datetime():
            return f"timestamp[{dtype.time_unit}{f', {dtype.time_zone}' if dtype.time_zone else ''}]"
        case pl.Duration():
            return f"duration[{dtype.time_unit}]"
    return str(dtype).lower()


def _shown(value: object) -> object:
    physical, dtype = value  # type: ignore[misc]
    return pl.Series([physical], dtype=pl.Int64).cast(dtype)[0]


def _from_text(text: str, dtype: pl.DataType, column: str) -> int:
    fraction = 0
    bare = text.strip()
    if match := _FRACTION.search(bare):
        digits = Fraction(int(match[1]), 10 ** len(match[1])) * 10**9
        if digits.denominator != 1:
            raise PredicateError(f"{text!r} is finer than nanoseconds, which column {column!r} cannot hold")
        fraction, bare = int(digits), bare[: match.start()] + bare[match.end() :]
    try:
        return _PARSERS[type(dtype)](bare, dtype, column) + fraction
    except PredicateError:
        raise
    except (ValueError, KeyError, OverflowError) as error:
        like = {pl.Date: "'2024-12-31'", pl.Time: "'23:59:58'", pl.Duration: "INTERVAL '1 day'"}
        example = like.get(type(dtype), "'2024-12-31' or '2024-12-31 23:59:58.25'")
        raise PredicateError(
            f"{text!r} cannot be compared with column {column!r} of type {_name(dtype)}; write {example}"
        ) from error


def _date(text: str, dtype: pl.DataType, column: str) -> int:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is not None:
        raise PredicateError(f"column {column!r} holds dates, which have no zone; leave the zone out of {text!r}")
    return _since_epoch(moment.replace(tzinfo=UTC))


def _datetime(text: str, dtype: pl.DataType, column: str) -> int:
    return _in_zone(datetime.fromisoformat(text), dtype, column)


def _in_zone(moment: datetime, dtype: pl.DataType, column: str) -> int:
    """Return an instant; without a zone it is local time of the column's zone."""
    zone = dtype.time_zone  # type: ignore[attr-defined]
    if zone is None:
        if moment.tzinfo is not None:
            raise PredicateError(
                f"column {column!r} holds local times without a zone; leave the zone out of '{moment}'"
            )
        return _since_epoch(moment.replace(tzinfo=UTC))
    if moment.tzinfo is None:
        local = moment.replace(tzinfo=ZoneInfo(zone))
        if local.utcoffset() != local.replace(fold=1).utcoffset():
            raise PredicateError(
                f"'{moment}' happens twice or never in {zone}; write the offset, such as '{moment}+01:00'"
            )
        moment = local
    return _since_epoch(moment)


def _time(text: str, dtype: pl.DataType, column: str) -> int:
    moment = time.fromisoformat(text)
    if moment.tzinfo is not None:
        raise ValueError(text)
    return ((moment.hour * 60 + moment.minute) * 60 + moment.second) * 10**9


def _since_epoch(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1000


_PARSERS: Final[dict[type[pl.DataType], Callable[[str, pl.DataType, str], int]]] = {
    pl.Date: _date,
    pl.Datetime: _datetime,
    pl.Time: _time,
}


def _from_temporal(value: Any, dtype: pl.DataType, column: str) -> int:
    physical, given = value
    nanoseconds: int = physical * unit_of(given)
    if type(given) is type(dtype):
        if not isinstance(dtype, pl.Datetime) or (
            isinstance(given, pl.Datetime) and bool(given.time_zone) == bool(dtype.time_zone)
        ):
            return nanoseconds
        if given.time_zone:
            raise PredicateError(
                f"column {column!r} holds local times without a zone, but the value has zone {given.time_zone}"
            )
        return _in_zone(_moment(nanoseconds), dtype, column) + nanoseconds % 1000
    if isinstance(given, pl.Date) and isinstance(dtype, pl.Datetime):
        return _in_zone(_moment(nanoseconds), dtype, column)
    if isinstance(given, pl.Datetime) and isinstance(dtype, pl.Date) and not given.time_zone:
        return nanoseconds
    raise PredicateError(f"a {_name(given)} cannot be compared with column {column!r} of type {_name(dtype)}")


def _moment(nanoseconds: int) -> datetime:
    try:
        return datetime(1970, 1, 1) + timedelta(microseconds=nanoseconds // 1000)  # noqa: DTZ001  (local, no zone yet)
    except OverflowError as error:
        raise PredicateError("a date beyond the year 9999 needs an explicit zone") from error
