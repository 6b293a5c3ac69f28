"""A quantile of a column."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, ClassVar

import polars as pl

from dataplat.errors import ContractError
from dataplat.validation.report import CheckOutcome, Severity
from dataplat.validation.rules._asked import Asked, require
from dataplat.validation.rules._mean import numeric
from dataplat.validation.rules._parts import Parts, Value
from dataplat.validation.rules._range import Number, Range, a_range

if TYPE_CHECKING:
    from dataplat.lake.part import ColumnStats, Scalar
    from dataplat.validation._digests import Piece
    from dataplat.validation.rules._rule import Context
    from dataplat.validation.subject import Subject


@dataclass(frozen=True)
class Quantile(Asked):
    """The value up to which a share of the values lies, lies in a range.

    It is at least `min` if fewer than that share lie below `min`, and at most `max` if that share lies up to `max`: two
    counts, which are exact, decide, and nothing is sorted.
    """

    word: ClassVar[str] = "quantile"

    column: str
    share: float
    min: Number | None
    max: Number | None

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.share, bool) or not 0 <= self.share <= 1:
            raise ContractError(f"{self.word}: a share is from 0 to 1, not {self.share!r}")
        a_range(self.word, self.min, self.max, -math.inf, math.inf)

    @property
    def name(self) -> str:
        """The rule as it was written."""
        return f"{self.word}({self.share:g}, {Range(self.min, self.max)})"

    def check(self, subject: Subject, context: Context) -> CheckOutcome:
        """Return the outcome, from statistics of parts that lie to one side of the bounds, and counts in the others."""
        require(subject, [self.column])
        numeric(subject, self.column, self.word)
        low, high = self.min, self.max
        parts = Parts(subject, self.column, context.memory, [self.word, repr(low), repr(high)])
        parts.prove(lambda piece, stats: _stated(piece, stats, low, high))
        parts.settle(lambda values: _counts(values, low, high))
        count, below, upto = parts.total() or [0, 0, 0]
        rank = max(1, math.ceil(Fraction(str(self.share)) * count))
        ok = count > 0 and (low is None or below < rank) and (high is None or upto >= rank)
        detail = _said(count, below, upto, low, high)
        return self.outcome(subject, ok=ok, detail=detail, settled=parts.settled)


def quantile(
    column: str,
    share: float,
    min: Number | None = None,  # noqa: A002
    max: Number | None = None,  # noqa: A002
    *,
    severity: Severity | None = None,
    environment: str | None = None,
) -> Quantile:
    """The least value up to which `share` of the values of a column lie, lies between `min` and `max`, both included.

    With `share` 0.5 that is the (lower) median; 0 is the least value, 1 the greatest. Nulls are left out. NaN is greater
    than every number, +inf too: many of them fail a `max`. Of no value there is no quantile, which fails.

    Args:
        column: a column of numbers or booleans (true is 1).
        share: from 0 to 1.
        min: the least quantile; None: any.
        max: the greatest quantile; None: any.
        severity: `error` or `warn`; None: the contract's.
        environment: where it is asked; None: wherever the contract is.

    Raises:
        ContractError: no bound, none that can be met, or no such share.
    """
    return Quantile(column, share, min, max, severity=severity, environment=environment)


def _stated(piece: Piece, stats: ColumnStats, low: Number | None, high: Number | None) -> Value | None:
    """Return what `_counts` would, where bounds tell it."""
    if piece.written != piece.rows:
        return None
    numbers = piece.rows - stats.nulls - stats.nans
    if not numbers:
        return [stats.nans, 0, 0]
    if stats.low is None or stats.high is None:
        return None
    least, most = _exact(stats.low), _exact(stats.high)
    below = 0 if low is None or least >= low else numbers if most < low else None
    upto = 0 if high is None or least > high else numbers if most <= high else None
    return None if below is None or upto is None else [numbers + stats.nans, below, upto]


def _exact(bound: Scalar) -> Fraction | float:
    return bound if isinstance(bound, float) and math.isinf(bound) else Fraction(bound)


def _counts(values: Iterator[pl.Series], low: Number | None, high: Number | None) -> Value:
    """Return how many values there are, how many below `low` and how many up to `high`; NaN is neither."""
    found = [0, 0, 0]
    for series in values:
        there = series.drop_nulls()
        there = there.cast(pl.Int8) if there.dtype == pl.Boolean else there
        found[0] += len(there)
        numbers = there.filter(there.is_not_nan()) if there.dtype.is_float() else there
        found[1] += 0 if low is None else _under(numbers, low, equal=False)
        found[2] += 0 if high is None else _under(numbers, high, equal=True)
    return found


def _under(series: pl.Series, bound: Number, *, equal: bool) -> int:
    """Return how many numbers are below a bound, or up to it, as exact numbers compare."""
    if series.dtype.is_float():
        near = float(bound)
        upto = near < bound or (equal and near == bound)  # `bound` may lie between two floats
        wide = series.cast(pl.Float64)
        return int(((wide <= near) if upto else (wide < near)).sum())
    if math.isinf(bound):
        return len(series) if bound > 0 else 0
    scale = series.dtype.scale if isinstance(series.dtype, pl.Decimal) else 0
    exact = Fraction(bound) * 10**scale
    most = math.floor(exact) if equal else math.ceil(exact) - 1
    whole = series.to_physical()
    least, greatest = (0, 2**64) if whole.dtype == pl.UInt64 else (-(2**63), 2**63)
    if whole.dtype == pl.Int128:
        least, greatest = -(2**127), 2**127
    if not least <= most < greatest:
        return 0 if most < least else len(series)
    if whole.dtype == pl.Int128:
        return int(whole.to_frame("x").select((pl.col("x") <= pl.lit(most, pl.Int128)).sum()).item())
    numbers = whole.cast(pl.UInt64 if whole.dtype == pl.UInt64 else pl.Int64).to_numpy()
    return int((numbers <= most).sum())


def _said(count: int, below: int, upto: int, low: Number | None, high: Number | None) -> str:
    if not count:
        return "there is no value"
    said = [f"{100 * below / count:.4g} % lie below {low}"] if low is not None else []
    said += [f"{100 * (count - upto) / count:.4g} % lie above {high}"] if high is not None else []
    return f"of {count:,} values {' and '.join(said)}"
