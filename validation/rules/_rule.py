"""What a rule is: a question to a dataset as a whole, answered in the cheapest way that is certain."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

from dataplat.validation._memory import Memory
from dataplat.validation.report import CheckOutcome, Severity

if TYPE_CHECKING:
    from dataplat.validation.subject import Subject

MEMORY_LIMIT = 2 << 30


def _nowhere(ref: str) -> Subject:
    raise LookupError(f"{ref!r} cannot be looked up: the data that is judged lies in no lake")


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Context:
    """What a rule may use beside the data: other datasets by reference, the time, and how much memory."""

    resolve: Callable[[str], Subject] = _nowhere
    """Finds a dataset version by reference (`airlines`, `flights@production`, `@v3` of the dataset at hand)."""
    now: datetime = field(default_factory=_now)
    memory_limit: int = MEMORY_LIMIT
    memory: Memory = field(default_factory=lambda: Memory(None))
    """What is remembered of the data, and where to keep more."""


class Rule(Protocol):
    """A check of a dataset as a whole.

    `severity` and `environment` None: those of the contract. An error that `check` raises is a check that could not be
    evaluated, never a pass.
    """

    @property
    def name(self) -> str:
        """What reports call it, parameters included: equal names ask the same."""
        ...

    @property
    def column(self) -> str | None:
        """The column that it is about, if it is about one."""
        ...

    @property
    def severity(self) -> Severity | None:
        """What a failure is: an error or a warning."""
        ...

    @property
    def environment(self) -> str | None:
        """Where it is asked, if not everywhere."""
        ...

    def describe(self) -> dict[str, Any]:
        """Return what it asks as plain values: equal descriptions ask the same on every machine."""
        ...

    def remembers(self) -> bool:
        """Whether its answer for a version never changes (it looks neither at the clock nor at other data)."""
        ...

    def check(self, subject: Subject, context: Context) -> CheckOutcome:
        """Return the outcome, saying how it was settled."""
        ...
