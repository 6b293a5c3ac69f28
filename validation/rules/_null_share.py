"""How much is missing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, ClassVar

from dataplat.validation.report import CheckOutcome, Severity
from dataplat.validation.rules._asked import Asked, proven, require
from dataplat.validation.rules._parts import Parts, Value
from dataplat.validation.rules._range import Range, a_range

if TYPE_CHECKING:
    import polars as pl

    from dataplat.lake.part import ColumnStats
    from dataplat.validation._digests import Piece
    from dataplat.validation.rules._rule import Context
    from dataplat.validation.subject import Subject


@dataclass(frozen=True)
class NullShare(Asked):
    """The share of rows without a value lies in a range."""

    word: ClassVar[str] = "null_share"

    column: str
    min: float | None
    max: float | None

    def __post_init__(self) -> None:
        super().__post_init__()
        a_range(self.word, self.min, self.max, 0, 1)

    @property
    def name(self) -> str:
        """The rule as it was written."""
        return f"{self.word}({Range(self.min, self.max)})"

    def check(self, subject: Subject, context: Context) -> CheckOutcome:
        """Return the outcome, from exact counts; parts with deletes are read only where those leave it open."""
        require(subject, [self.column])
        wanted = Range(self.min, self.max)
        parts = Parts(subject, self.column, context.memory, self.word)
        least, most = _between(parts)
        if wanted.misses(least, most) or (least in wanted and most in wanted):
            ok, settled = least in wanted, proven(subject)
        else:
            parts.prove(_counted)
            parts.settle(_count)
            least = most = _share(sum(parts.total()), subject.rows)
            ok, settled = least in wanted, parts.settled
        about = f"{float(least):.4g}" if least == most else f"{float(least):.4g} to {float(most):.4g}"
        detail = f"{about} of {subject.rows:,} rows hold no value"
        return self.outcome(subject, ok=ok, detail=detail, settled=settled)


def null_share(
    column: str,
    max: float | None = None,  # noqa: A002
    *,
    min: float | None = None,  # noqa: A002
    severity: Severity | None = None,
    environment: str | None = None,
) -> NullShare:
    """At most the share `max` of the rows have no value in a column: null, or NaN, as under `nullable=False`.

    Of no rows the share is 0. Statistics of parts count nulls exactly; rows are read where deletes leave it open.

    Args:
        column: the column.
        max: the greatest share, 0 to 1.
        min: the least share, 0 to 1.
        severity: `error` or `warn`; None: the contract's.
        environment: where it is asked; None: wherever the contract is.

    Raises:
        ContractError: no bound, or none that can be met.
    """
    return NullShare(column, min, max, severity=severity, environment=environment)


def _share(count: int, rows: int) -> Fraction:
    return Fraction(count, rows) if rows else Fraction(0)


def _between(parts: Parts) -> tuple[Fraction, Fraction]:
    """Return the least and the greatest share that statistics allow."""
    least = most = rows = 0
    for piece in parts.pieces:
        stats = piece.stats.get(parts.column)
        missing = piece.written if stats is None else stats.nulls + stats.nans
        least += 0 if stats is None else max(0, missing - (piece.written - piece.rows))
        most += min(piece.rows, missing)
        rows += piece.rows
    return _share(least, rows), _share(most, rows)


def _counted(piece: Piece, stats: ColumnStats) -> Value | None:
    return [stats.nulls + stats.nans] if piece.written == piece.rows else None


def _count(values: Iterator[pl.Series]) -> Value:
    count = 0
    for series in values:
        count += series.null_count()
        if series.dtype.is_float():
            count += int(series.is_nan().sum())
    return [count]
