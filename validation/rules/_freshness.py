"""How old the newest row is."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, ClassVar, Final

import polars as pl

from dataplat.errors import ContractError, SchemaError
from dataplat.lake.canonical import family
from dataplat.validation.report import CheckOutcome, Severity
from dataplat.validation.rules._asked import Asked, require
from dataplat.validation.rules._parts import Parts, Value

if TYPE_CHECKING:
    from dataplat.lake.part import ColumnStats
    from dataplat.validation._digests import Piece
    from dataplat.validation.rules._rule import Context
    from dataplat.validation.subject import Subject

_UNITS: Final[Mapping[str, timedelta]] = {
    "w": timedelta(weeks=1),
    "d": timedelta(days=1),
    "h": timedelta(hours=1),
    "min": timedelta(minutes=1),
    "s": timedelta(seconds=1),
}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DAY: Final = 86_400 * 10**9
_NANOSECONDS: Final = {"ms": 10**6, "us": 10**3, "ns": 1}


@dataclass(frozen=True)
class Freshness(Asked):
    """The newest time of a column is no older than `within`."""

    word: ClassVar[str] = "freshness"

    column: str
    within: str

    def __post_init__(self) -> None:
        super().__post_init__()
        _span(self.within)

    @property
    def name(self) -> str:
        """The rule as it was written."""
        return f"{self.word}({self.within})"

    def remembers(self) -> bool:
        """It grows old."""
        return False

    def check(self, subject: Subject, context: Context) -> CheckOutcome:
        """Return the outcome; the newest time is proven by statistics, or read where those are of deleted rows."""
        require(subject, [self.column])
        kind = family(subject.schema.field(self.column).type)
        if kind not in {"date", "timestamp", "timestamp_tz"}:
            raise SchemaError(f"freshness is of dates and timestamps, and column {self.column!r} holds {kind} values")
        parts = Parts(subject, self.column, context.memory, self.word)
        newest = _newest(parts)
        if newest is None:
            return self.outcome(subject, ok=False, detail="there is no time in it", settled=parts.settled)
        age = _nanoseconds(context.now - _EPOCH) - newest
        ok = age <= _nanoseconds(_span(self.within))
        detail = f"the newest is {_text(newest)}, {_age(age)}"
        return self.outcome(subject, ok=ok, detail=detail, settled=parts.settled)


def freshness(
    column: str, within: str | timedelta, *, severity: Severity | None = None, environment: str | None = None
) -> Freshness:
    """The newest time in a column is at most `within` old, by the clock of the machine that asks.

    Times without a zone are taken as UTC, a date as its first moment. Where there is no time at all, it fails; a time in the
    future passes, and the report says so. The answer is never remembered, the newest time of each part is.

    Args:
        column: a column of dates or timestamps.
        within: a number with `w`, `d`, `h`, `min` or `s` (`"2d"`, `"36h"`), or a `timedelta`.
        severity: `error` or `warn`; None: the contract's.
        environment: where it is asked; None: wherever the contract is.

    Raises:
        ContractError: `within` is no such span, or not positive.
    """
    text = f"{within.total_seconds():g}s" if isinstance(within, timedelta) else str(within)
    return Freshness(column, text, severity=severity, environment=environment)


def _span(text: str) -> timedelta:
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?(?:e[+-]?\d+)?)\s*(w|d|h|min|s)\s*", text)
    try:
        span = float(found[1]) * _UNITS[found[2]] if found else timedelta(0)
    except OverflowError:
        span = timedelta(0)
    if span <= timedelta(0):
        raise ContractError(f"freshness: a span is a number with w, d, h, min or s, such as 2d or 36h, not {text!r}")
    return span


def _newest(parts: Parts) -> int | None:
    """Return the newest time in nanoseconds since 1970; parts that cannot hold a newer one are not read."""
    parts.prove(_stated)
    known = max((value[0] for value in parts.values if value), default=None)
    if known is not None:
        parts.prove(lambda _, stats: [] if isinstance(stats.high, int) and stats.high <= known else None)
    parts.settle(_latest)
    return max((value[0] for value in parts.values if value), default=None)


def _stated(piece: Piece, stats: ColumnStats) -> Value | None:
    if stats.nulls == piece.written:
        return []
    return [stats.high] if isinstance(stats.high, int) and piece.written == piece.rows else None


def _latest(values: Iterator[pl.Series]) -> Value:
    found: list[int] = []
    for series in values:
        newest = series.to_physical().max()
        if isinstance(newest, int):
            unit = _DAY if series.dtype == pl.Date else _NANOSECONDS[series.dtype.time_unit]  # type: ignore[attr-defined]
            found.append(newest * unit)
    return [max(found)] if found else []


def _nanoseconds(span: timedelta) -> int:
    return (span.days * 86_400 + span.seconds) * 10**9 + span.microseconds * 1_000


def _text(nanoseconds: int) -> str:
    try:
        return (_EPOCH + timedelta(microseconds=nanoseconds // 1_000)).isoformat(sep=" ", timespec="seconds")
    except OverflowError:
        return f"{nanoseconds / _DAY:+,.0f} days from 1970"


def _age(nanoseconds: int) -> str:
    size = abs(nanoseconds)
    for name, unit in _UNITS.items():
        if size >= 2 * _nanoseconds(unit) or name == "s":
            text = f"{size / _nanoseconds(unit):,.1f} {name}"
            return f"{text} in the future" if nanoseconds < 0 else f"{text} old"
    raise AssertionError
