"""Brings a literal that is compared with a column of dates or times to the type of that column, exactly.

Users write `ts >= '2024-01-01'`. Left to itself Polars refuses strings, and of two units takes the coarser one,
which cuts the finer column; so the literal becomes the column's type, or the predicate is refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from fractions import Fraction
from typing import Any, Final, TypeAlias
from zoneinfo import ZoneInfo

import polars as pl

from dataplat.errors import PredicateError

TimeType: TypeAlias = pl.Date | pl.Datetime | pl.Time | pl.Duration
TEMPORAL: Final = (pl.Date, pl.Datetime, pl.Time, pl.Duration)

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_UNITS: Final = {"ms": 10**6, "us": 10**3, "ns": 1}
_DAY: Final = 86_400 * 10**9
_FRACTION: Final = re.compile(r"(?<=:\d\d)\.(\d+)")


@dataclass(frozen=True, slots=True)
class Moment:
    """A value of a type of dates or times: a count of its days or units since the epoch."""

    physical: int
    dtype: TimeType

    @property
    def nanoseconds(self) -> int:
        """The same in nanoseconds."""
        return self.physical * unit_of(self.dtype)

    def __str__(self) -> str:
        return str(pl.Series([self.physical], dtype=pl.Int64).cast(self.dtype)[0])


def unit_of(dtype: TimeType) -> int:
    """Return how many nanoseconds one physical step of a type is."""
    if isinstance(dtype, pl.Date):
        return _DAY
    return 1 if isinstance(dtype, pl.Time) else _UNITS[dtype.time_unit]


@dataclass(frozen=True, slots=True)
class TimeColumn:
    """A column (or an expression over it) of dates or times that a literal is compared with."""

    name: str
    dtype: TimeType

    def fitted(self, value: str | Moment | None) -> int | None:
        """Return the physical value of the column's type that equals `value`.

        Raises:
            PredicateError: The value cannot be read, or the type cannot hold it exactly.
        """
        if value is None:
            return None
        nanoseconds = self._from_text(value) if isinstance(value, str) else self._from_moment(value)
        physical, rest = divmod(nanoseconds, unit_of(self.dtype))
        if rest:
            raise PredicateError(f"'{value}' is finer than {self._words}; write a coarser value")
        if not -(2**63) <= physical < 2**63:
            raise PredicateError(f"'{value}' is out of the range of {self._words}")
        return physical

    @property
    def _words(self) -> str:
        match self.dtype:
            case pl.Datetime(time_unit=unit, time_zone=zone):
                kind = f"timestamp[{unit}, {zone}]" if zone else f"timestamp[{unit}]"
            case pl.Duration(time_unit=unit):
                kind = f"duration[{unit}]"
            case _:
                kind = str(self.dtype).lower()
        return f"column {self.name!r} of type {kind}"

    def _from_text(self, text: str) -> int:
        bare, fraction = _without_fraction(text.strip())
        try:
            return self._parsed(bare) + fraction
        except PredicateError:
            raise
        except (ValueError, KeyError, OverflowError) as error:
            example = _EXAMPLES.get(type(self.dtype), "'2024-12-31' or '2024-12-31 23:59:58.25'")
            raise PredicateError(f"{text!r} cannot be compared with {self._words}; write {example}") from error

    def _parsed(self, text: str) -> int:
        if isinstance(self.dtype, pl.Time):
            clock = time.fromisoformat(text)
            if clock.tzinfo is not None:
                raise ValueError(text)
            return ((clock.hour * 60 + clock.minute) * 60 + clock.second) * 10**9
        if isinstance(self.dtype, pl.Duration):
            raise ValueError(text)  # noqa: TRY004  (text cannot be read as a span of time)
        return self._in_zone(datetime.fromisoformat(text))

    def _in_zone(self, moment: datetime) -> int:
        """Return an instant; without a zone it is local time of the column's zone."""
        zone = self.dtype.time_zone if isinstance(self.dtype, pl.Datetime) else None
        if zone is None:
            if moment.tzinfo is not None:
                raise PredicateError(f"{self._words} has no zone; leave the zone out of '{moment}'")
            return _since_epoch(moment.replace(tzinfo=UTC))
        if moment.tzinfo is None:
            local = moment.replace(tzinfo=ZoneInfo(zone))
            if local.utcoffset() != local.replace(fold=1).utcoffset():
                raise PredicateError(
                    f"'{moment}' happens twice or never in {zone}; write the offset, such as '{moment}+01:00'"
                )
            moment = local
        return _since_epoch(moment)

    def _from_moment(self, value: Moment) -> int:
        given, mine = value.dtype, self.dtype
        match given, mine:
            case pl.Datetime(time_zone=str()), pl.Datetime(time_zone=None):
                raise PredicateError(f"{self._words} has no zone, but the value has zone {given.time_zone}")
            case ((pl.Datetime(time_zone=None) | pl.Date()), pl.Datetime(time_zone=str())):
                return self._in_zone(_local(value.nanoseconds)) + value.nanoseconds % 1000
            case (pl.Date(), pl.Datetime()) | (pl.Datetime(time_zone=None), pl.Date()):
                return value.nanoseconds
            case _ if type(given) is type(mine):
                return value.nanoseconds
        raise PredicateError(f"a {str(given).lower()} cannot be compared with {self._words}")


_EXAMPLES: Final[dict[Any, str]] = {pl.Date: "'2024-12-31'", pl.Time: "'23:59:58'", pl.Duration: "INTERVAL '1 day'"}


def _without_fraction(text: str) -> tuple[str, int]:
    """Take the fraction of a second out of a text; return it in nanoseconds (Python reads microseconds only)."""
    match = _FRACTION.search(text)
    if match is None:
        return text, 0
    nanoseconds = Fraction(int(match[1]), 10 ** len(match[1])) * 10**9
    if nanoseconds.denominator != 1:
        raise PredicateError(f"{text!r} is finer than nanoseconds")
    return text[: match.start()] + text[match.end() :], int(nanoseconds)


def _since_epoch(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1000


def _local(nanoseconds: int) -> datetime:
    try:
        return datetime(1970, 1, 1) + timedelta(microseconds=nanoseconds // 1000)  # noqa: DTZ001  (local, no zone yet)
    except OverflowError as error:
        raise PredicateError("a date beyond the year 9999 needs an explicit zone") from error
