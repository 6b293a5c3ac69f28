"""How many rows there are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from dataplat.validation.report import CheckOutcome, Severity
from dataplat.validation.rules._asked import Asked, proven
from dataplat.validation.rules._range import Range, a_range

if TYPE_CHECKING:
    from dataplat.validation.rules._rule import Context
    from dataplat.validation.subject import Subject


@dataclass(frozen=True)
class RowCount(Asked):
    """The number of rows lies in a range."""

    word: ClassVar[str] = "row_count"

    min: int | None
    max: int | None

    def __post_init__(self) -> None:
        super().__post_init__()
        a_range(self.word, self.min, self.max, 0, float("inf"))

    @property
    def name(self) -> str:
        """The rule as it was written."""
        return f"{self.word}({Range(self.min, self.max)})"

    @property
    def column(self) -> None:
        """It is about no column."""

    def remembers(self) -> bool:
        """Counting is cheaper than remembering."""
        return False

    def check(self, subject: Subject, context: Context) -> CheckOutcome:
        """Return the outcome, which the manifest or the file's footer proves."""
        del context
        ok = subject.rows in Range(self.min, self.max)
        detail = f"there are {subject.rows:,} rows"
        return self.outcome(subject, ok=ok, detail=detail, settled=proven(subject))


def row_count(
    min: int | None = None,  # noqa: A002
    max: int | None = None,  # noqa: A002
    *,
    severity: Severity | None = None,
    environment: str | None = None,
) -> RowCount:
    """The dataset has at least `min` and at most `max` rows.

    It reads nothing: a manifest and a footer say how many rows there are.

    Args:
        min: the fewest rows; None: any number.
        max: the most rows; None: any number.
        severity: `error` or `warn`; None: the contract's.
        environment: where it is asked; None: wherever the contract is.

    Raises:
        ContractError: no bound, or none that can be met.
    """
    return RowCount(min, max, severity=severity, environment=environment)
