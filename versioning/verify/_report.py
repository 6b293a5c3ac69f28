"""What a verification found: per damaged key what is wrong with it, and all that it touches."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

Kind: TypeAlias = Literal["missing", "truncated", "changed", "swapped", "unreadable", "inconsistent", "stray"]
"""What is wrong: not there, cut short, other bytes, the bytes of another object, an error of the store, bytes that are
what was written but do not agree with others, or (a warning) something that nothing here accounts for."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One key that is damaged, with the versions (`dataset@id:…`), commits, and branches and tags that it touches."""

    key: str
    kind: Kind
    what: str
    versions: tuple[str, ...] = ()
    commits: tuple[str, ...] = ()
    refs: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        touched = {"versions": list(self.versions), "commits": list(self.commits), "refs": list(self.refs)}
        return {"key": self.key, "kind": self.kind, "what": self.what, **touched}

    def __str__(self) -> str:
        said = f"{self.key}: {self.kind}, {self.what}"
        if self.versions:
            said += f"; touches {_some(self.versions)}"
        elif self.commits:
            said += f"; touches commit {_some([commit[:12] for commit in self.commits])}"
        return said + (f" (on {_some(self.refs)})" if self.refs else "")


@dataclass(frozen=True, slots=True)
class Repair:
    """One key that was put right, and where the bytes came from."""

    key: str
    source: str

    def to_dict(self) -> dict[str, str]:
        """Return it as plain values."""
        return {"key": self.key, "from": self.source}


@dataclass(slots=True)
class VerifyReport:
    """What was looked at, and what is wrong.

    `problems` touch what branches and tags name; `warnings` do not (damaged objects that nothing refers to, memos that
    will be computed again). `repaired` was put right and is no problem any more. `orphans` counts stored objects that
    nothing refers to, which is no damage.
    """

    objects: int = 0
    nbytes: int = 0
    versions: int = 0
    rows: int = 0
    orphans: int = 0
    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)
    repaired: list[Repair] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain values."""
        return {
            "ok": self.ok,
            "objects": self.objects,
            "bytes": self.nbytes,
            "versions": self.versions,
            "rows": self.rows,
            "orphans": self.orphans,
            "problems": [problem.to_dict() for problem in self.problems],
            "warnings": [problem.to_dict() for problem in self.warnings],
            "repaired": [repair.to_dict() for repair in self.repaired],
        }


def _some(names: tuple[str, ...] | list[str]) -> str:
    more = len(names) - 5
    return ", ".join(names[:5]) + (f" and {more} more" if more > 0 else "")
