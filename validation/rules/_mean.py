"""The mean of a column."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, ClassVar, Final

import numpy as np
import polars as pl

from dataplat.errors import SchemaError
from dataplat.lake.canonical import family
from dataplat.validation.profile._sums import SCALE, float_sums
from dataplat.validation.report import CheckOutcome, Severity
from dataplat.validation.rules._asked import Asked, proven, remembered, require
from dataplat.validation.rules._parts import Parts, Value
from dataplat.validation.rules._profiled import profiled
from dataplat.validation.rules._range import Number, Range, a_range

if TYPE_CHECKING:
    import pyarrow as pa

    from dataplat.validation._digests import Piece
    from dataplat.validation.profile import ColumnProfile
    from dataplat.validation.rules._rule import Context
    from dataplat.validation.subject import Subject

_NUMBERS: Final = frozenset({"int", "float", "decimal", "bool"})
_HALF: Final = 32


@dataclass(frozen=True)
class Mean(Asked):
    """The mean of the values lies in a range."""

    word: ClassVar[str] = "mean"

    column: str
    min: Number | None
    max: Number | None

    def __post_init__(self) -> None:
        super().__post_init__()
        a_range(self.word, self.min, self.max, -math.inf, math.inf)

    @property
    def name(self) -> str:
        """The rule as it was written."""
        return f"{self.word}({Range(self.min, self.max)})"

    def check(self, subject: Subject, context: Context) -> CheckOutcome:
        """Return the outcome, from an exact sum, which is the same in any order."""
        require(subject, [self.column])
        kind = numeric(subject, self.column, self.word)
        wanted = Range(self.min, self.max)
        parts = Parts(subject, self.column, context.memory, self.word)
        if parts.pieces and all(_inside(piece, self.column, wanted) for piece in parts.pieces):
            return self.outcome(subject, ok=True, detail="all values lie in the range", settled=proven(subject))
        known = profiled(subject, self.column)
        if known is None:
            parts.settle(_sum)
        mean = _mean(parts.total() if known is None else _known_sum(known), kind)
        detail = "there is no value" if mean is None else f"the mean is {float(mean):.6g}"
        settled = parts.settled if known is None else remembered(subject)
        return self.outcome(subject, ok=mean in wanted, detail=detail, settled=settled)


def mean(
    column: str,
    min: Number | None = None,  # noqa: A002
    max: Number | None = None,  # noqa: A002
    *,
    severity: Severity | None = None,
    environment: str | None = None,
) -> Mean:
    """The mean of a column of numbers, or of booleans (true is 1), lies between `min` and `max`, both included.

    Nulls are left out. One NaN makes the mean NaN, which lies in no range; so do −inf and +inf together, and one of them
    makes it infinite. Of no value there is no mean, which fails. The sum is exact, so the verdict does not depend on the
    order of rows or on how they are cut into parts.

    Args:
        column: the column.
        min: the least mean; None: any.
        max: the greatest mean; None: any.
        severity: `error` or `warn`; None: the contract's.
        environment: where it is asked; None: wherever the contract is.

    Raises:
        ContractError: no bound, or none that can be met.
    """
    return Mean(column, min, max, severity=severity, environment=environment)


def numeric(subject: Subject, column: str, word: str) -> pa.DataType:
    """Return the type of a column of numbers; raise `SchemaError` for another."""
    kind = subject.schema.field(column).type
    if family(kind) not in _NUMBERS:
        raise SchemaError(f"{word} is of numbers, and column {column!r} holds {family(kind)} values")
    return kind


def _inside(piece: Piece, column: str, wanted: Range) -> bool:
    """Whether statistics prove that there are values, all of them in the range, so that the mean is, too."""
    stats = piece.stats.get(column)
    if stats is None or stats.nans or stats.low is None or stats.high is None or isinstance(stats.low, str):
        return False
    some = piece.written - stats.nulls > piece.written - piece.rows
    return some and stats.low in wanted and stats.high in wanted and not math.isinf(stats.low - stats.high)  # type: ignore[operator]


def _sum(values: Iterator[pl.Series]) -> Value:
    """Return how many values there are, how many NaN, −inf and +inf among them, and the exact sum of the others.

    The sum is in units of 2**-1074 for floats, and of the last digit for decimals.
    """
    found = [0, 0, 0, 0, 0]
    for series in values:
        there = series.drop_nulls()
        found[0] += len(there)
        if there.dtype.is_float():
            numbers = there.cast(pl.Float64).to_numpy()
            finite = np.isfinite(numbers)
            if not finite.all():
                found[1] += int(np.isnan(numbers).sum())
                found[2] += int((numbers == -math.inf).sum())
                found[3] += int((numbers == math.inf).sum())
                numbers = numbers[finite]
            found[4] += float_sums(numbers)[0]
        else:
            found[4] += _whole_sum(there)
    return found


def _known_sum(known: ColumnProfile) -> Value:
    """Return what `_sum` would."""
    total = known.there - known.zeros if known.family == "bool" else known.total
    return [known.there + known.nans, known.nans, *known.infinite, total]


def _whole_sum(series: pl.Series) -> int:
    """Return the exact sum of integers, of any width."""
    if series.dtype == pl.Boolean:
        return int(series.sum())
    whole = series.to_physical()
    if whole.dtype == pl.Int128:
        half = pl.lit(1 << 64, pl.Int128)
        value = pl.col(whole.name)
        above, rest = whole.to_frame().select(high=(value // half).sum(), low=(value % half).sum()).row(0)
        return (int(above) << 64) + int(rest)
    numbers = whole.cast(pl.UInt64 if whole.dtype == pl.UInt64 else pl.Int64).to_numpy()
    high, low = numbers >> numbers.dtype.type(_HALF), numbers & numbers.dtype.type((1 << _HALF) - 1)
    return (int(high.sum()) << _HALF) + int(low.sum())


def _mean(total: Value, kind: pa.DataType) -> Fraction | float | None:
    if not total or not total[0]:
        return None
    count, nans, under, over, units = total
    if nans or (under and over):
        return math.nan
    if under or over:
        return -math.inf if under else math.inf
    name = family(kind)
    one = Fraction(1, 1 << SCALE) if name == "float" else Fraction(1, 10**kind.scale) if name == "decimal" else 1
    return Fraction(units, count) * one
