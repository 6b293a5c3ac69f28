"""How many of the values differ."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, ClassVar

from dataplat.validation._digests import Array, DigestReader
from dataplat.validation._distinct import Distinct
from dataplat.validation.report import CheckOutcome, Severity
from dataplat.validation.rules._asked import Asked, Settled, proven, remembered, require
from dataplat.validation.rules._profiled import profiled
from dataplat.validation.rules._range import Range, a_range

if TYPE_CHECKING:
    from dataplat.validation.rules._rule import Context
    from dataplat.validation.subject import Subject


@dataclass(frozen=True)
class DistinctShare(Asked):
    """The number of distinct values, divided by that of all values, lies in a range."""

    word: ClassVar[str] = "distinct_share"

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
        """Return the outcome, from the distinct digests of each part."""
        require(subject, [self.column])
        if (self.column,) in subject.unique:
            return self._judged(subject, (subject.rows, subject.rows), subject.rows, proven(subject))
        known = self._known(subject)
        if known is not None:
            return known
        looked = Distinct(subject, DigestReader(subject, [self.column]), context.memory)
        distinct = sum(looked.by_share(_count, _as_it_is))
        return self._judged(subject, (distinct, distinct), looked.rows, looked.how)

    def _known(self, subject: Subject) -> CheckOutcome | None:
        """Return the outcome where a profile is sure of it."""
        known = profiled(subject, self.column)
        if known is None or known.values is None:
            return None
        rows = known.there + known.nans
        least, most = [known.values.distinct] * 2 if known.values.exact else known.values.within
        between = (least + (known.nans > 0), most + (known.nans > 0))
        low, high = self._shares(between, rows)
        wanted = Range(self.min, self.max)
        sure = wanted.misses(low, high) or (low in wanted and high in wanted)
        return self._judged(subject, between, rows, remembered(subject)) if sure else None

    def _shares(self, between: tuple[int, int], rows: int) -> tuple[Fraction, Fraction]:
        least, most = (Fraction(each, rows) if rows else Fraction(0) for each in between)
        return least, most

    def _judged(self, subject: Subject, between: tuple[int, int], rows: int, settled: Settled) -> CheckOutcome:
        """Return the outcome for so many distinct values among so many, of which the bounds agree."""
        least, most = between
        ok = self._shares(between, rows)[0] in Range(self.min, self.max)
        about = f"{least:,}" if least == most else f"{least:,} to {most:,}"
        return self.outcome(subject, ok=ok, detail=f"{about} of {rows:,} values are distinct", settled=settled)


def _count(_number: int, _shares: int, digests: Array) -> int:
    return len(digests)


def _as_it_is(count: int, _most: int) -> int:
    return count


def distinct_share(
    column: str,
    min: float | None = None,  # noqa: A002
    max: float | None = None,  # noqa: A002
    *,
    severity: Severity | None = None,
    environment: str | None = None,
) -> DistinctShare:
    """The number of distinct values of a column, divided by that of its values, lies between `min` and `max`.

    1 says that no value repeats, a small share that few values come again and again. Nulls are left out, all NaN are one
    value. Of no value the share is 0. Values are told apart by 64 bits, which are the value itself for integers and times; of
    `n` other values two differ unseen with a chance of n² / 2**65 (10 million: 1 to 370,000).

    Args:
        column: the column.
        min: the least share, 0 to 1.
        max: the greatest share, 0 to 1.
        severity: `error` or `warn`; None: the contract's.
        environment: where it is asked; None: wherever the contract is.

    Raises:
        ContractError: no bound, or none that can be met.
    """
    return DistinctShare(column, min, max, severity=severity, environment=environment)
