"""How many of the values differ."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, ClassVar

from dataplat.validation._digests import DigestReader
from dataplat.validation._distinct import Distinct
from dataplat.validation.report import CheckOutcome, Severity
from dataplat.validation.rules._asked import Asked, proven, require
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
        del context
        require(subject, [self.column])
        if (self.column,) in subject.unique:
            distinct, rows, settled = subject.rows, subject.rows, proven(subject)
        else:
            looked = Distinct(subject, DigestReader(subject, [self.column]))
            distinct = sum(len(digests) for _, _, digests in looked.by_share())
            rows, settled = looked.rows, looked.how
        found = Fraction(distinct, rows) if rows else Fraction(0)
        detail = f"{distinct:,} of {rows:,} values are distinct"
        return self.outcome(subject, ok=found in Range(self.min, self.max), detail=detail, settled=settled)


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
