"""Values that occur once only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from dataplat.validation._unique import find_repeats
from dataplat.validation.report import CheckOutcome, Severity
from dataplat.validation.rules._asked import Asked, require, some

if TYPE_CHECKING:
    from dataplat.validation.rules._rule import Context
    from dataplat.validation.subject import Subject


@dataclass(frozen=True)
class Unique(Asked):
    """No two rows have the same values in `columns`."""

    word: ClassVar[str] = "unique"

    columns: tuple[str, ...]

    @property
    def name(self) -> str:
        """`unique`, with the columns where they are several."""
        return self.word if len(self.columns) == 1 else f"{self.word}({', '.join(self.columns)})"

    @property
    def column(self) -> str | None:
        """The column, if it is one."""
        return self.columns[0] if len(self.columns) == 1 else None

    def check(self, subject: Subject, context: Context) -> CheckOutcome:
        """Return the outcome, with every row whose values occur elsewhere, too."""
        require(subject, self.columns)
        key = [name for name in subject.key if name in subject.schema.names]
        found = find_repeats(subject, self.columns, context.memory, key)
        return self.outcome(
            subject,
            ok=not found.failing,
            failing=found.failing,
            examples=found.examples,
            settled=found.settled,
        )


def unique(*columns: str, severity: Severity | None = None, environment: str | None = None) -> Unique:
    """No two rows have the same values in these columns.

    Rows, count and verdict are those of pandera's `unique=True`: each row whose values occur elsewhere fails, a null
    equals a null, NaN equals NaN. The key of a dataset is unique by the way it is kept; parts whose exact bounds do
    not overlap share no value; of others eight bytes per row are remembered, and rows are compared where those meet.

    Args:
        columns: the columns whose values together are unique.
        severity: `error` or `warn`; None: the contract's.
        environment: where it is asked; None: wherever the contract is.

    Raises:
        ContractError: no column, or the same one twice.
    """
    return Unique(some(columns, "unique"), severity=severity, environment=environment)
