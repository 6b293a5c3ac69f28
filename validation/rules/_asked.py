"""What all rules have in common."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from dataplat.errors import ContractError, SchemaError
from dataplat.lake.schema import did_you_mean
from dataplat.validation.report import CheckOutcome, Example, How, Severity

if TYPE_CHECKING:
    from dataplat.validation.subject import Subject

Settled: TypeAlias = tuple[tuple[How, int], ...]


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A rule: `word` names it, its fields are its parameters."""

    word: ClassVar[str]
    reads_parts: ClassVar[bool] = True
    """Whether it looks at parts each by itself; else an engine gives all of them to one task."""

    severity: Severity | None = None
    environment: str | None = None

    def __post_init__(self) -> None:
        if self.severity not in {None, "error", "warn"}:
            raise ContractError(f"{self.word}: severity is error or warn, not {self.severity!r}")

    def describe(self) -> dict[str, Any]:
        """Return what it asks as plain values."""
        given = {field.name: getattr(self, field.name) for field in fields(self)}
        return {"rule": self.word, **{name: _plain(value) for name, value in given.items() if value is not None}}

    def remembers(self) -> bool:
        """Whether its answer for a version never changes."""
        return True

    def outcome(
        self,
        subject: Subject,
        *,
        ok: bool,
        settled: Settled,
        detail: str = "",
        failing: int | None = None,
        examples: tuple[Example, ...] = (),
    ) -> CheckOutcome:
        """Return what became of it; `failing` rows are counted where single rows fail."""
        return CheckOutcome(
            name=self.name,  # type: ignore[attr-defined]
            level="dataset",
            status="passed" if ok else "failed",
            column=self.column,  # type: ignore[attr-defined]
            failing=0 if ok else failing,
            rows=subject.rows,
            examples=examples,
            detail=detail,
            settled=settled,
        )


def proven(subject: Subject) -> Settled:
    """Say that nothing had to be read."""
    return (("proven", subject.rows),)


def remembered(subject: Subject) -> Settled:
    """Say that all of it was known."""
    return (("remembered", subject.rows),)


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    return value if isinstance(value, str | int | bool) else repr(value)


def require(subject: Subject, columns: Iterable[str]) -> None:
    """Raise `SchemaError` for a column that is not there."""
    names = subject.schema.names
    for name in columns:
        if name not in names:
            raise SchemaError(f"no column {name!r}{did_you_mean(name, names)}")


def some(columns: Iterable[Any], word: str) -> tuple[str, ...]:
    """Return names of columns, at least one, each once; raise `ContractError` for anything else."""
    names = tuple(columns)
    if not names or not all(isinstance(name, str) and name for name in names) or len(set(names)) < len(names):
        raise ContractError(f"{word} takes names of columns, each once, not {', '.join(map(repr, names)) or 'none'}")
    return names
