"""A quantile of a column."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, ClassVar, Final

import polars as pl

from dataplat.errors import ContractError
from dataplat.validation.report import CheckOutcome, Severity
from dataplat.validation.rules._asked import Asked, remembered, require
from dataplat.validation.rules._mean import numeric
from dataplat.validation.rules._parts import Parts, Value
from dataplat.validation.rules._profiled import profiled
from dataplat.validation.rules._range import Number, Range, a_range

if TYPE_CHECKING:
    from dataplat.lake.part import ColumnStats, Scalar
    from dataplat.validation._digests import Piece
    from dataplat.validation.profile import ColumnProfile
    from dataplat.validation.rules._rule import Context
    from dataplat.validation.subject import Subject

_WHOLE: Final = 2**53  # beyond, a float does not hold every integer


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
        if parts.open:
            known = profiled(subject, self.column)
            about = None if known is None else _about(known, low, high)
            if about is not None:
                sure = {self._holds(counts) for counts in about[1:]}
                if len(sure) == 1:
                    detail = f"about: {_said(about[0], low, high)}"
                    return self.outcome(subject, ok=sure.pop(), detail=detail, settled=remembered(subject))
        parts.settle(lambda values: _counts(values, low, high))
        counts = parts.total() or [0, 0, 0]
        detail = _said(counts, low, high)
        return self.outcome(subject, ok=self._holds(counts), detail=detail, settled=parts.settled)

    def _holds(self, counts: Value) -> bool:
        """Whether it holds for so many values, so many of them below `min`, so many up to `max`."""
        count, below, upto = counts
        rank = max(1, math.ceil(Fraction(str(self.share)) * count))
        return count > 0 and (self.min is None or below < rank) and (self.max is None or upto >= rank)


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


def _about(known: ColumnProfile, low: Number | None, high: Number | None) -> list[Value] | None:
    """Return what `_counts` would, as a profile has it, and twice more: as far off as that may be, either way."""
    given = [bound for bound in (low, high) if bound is not None]
    if known.points is None or known.family not in {"int", "float"} or any(float(each) != each for each in given):
        return None
    reach = [abs(each) for each in (*given, known.low, known.high) if isinstance(each, int | float)]
    if known.family == "int" and max(reach, default=0) >= _WHOLE:
        return None
    count, off = known.points.count, math.ceil(known.rank_error * known.points.count)
    below = 0 if low is None else round(known.cdf(float(low), below=True) * count)
    upto = 0 if high is None else round(known.cdf(float(high)) * count)
    values = count + known.nans
    return [
        [values, below, upto],
        [values, max(0, below - off), min(count, upto + off)],
        [values, min(count, below + off), max(0, upto - off)],
    ]


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


def _said(counts: Value, low: Number | None, high: Number | None) -> str:
    count, below, upto = counts
    if not count:
        return "there is no value"
    said = [f"{100 * below / count:.4g} % lie below {low}"] if low is not None else []
    said += [f"{100 * (count - upto) / count:.4g} % lie above {high}"] if high is not None else []
    return f"of {count:,} values {' and '.join(said)}"
