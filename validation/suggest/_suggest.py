"""Rules that versions teach, tried on the history: each is learned from the versions before, and asked of the next."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from dataplat.validation.suggest._kinds import Learned, learn

if TYPE_CHECKING:
    import pyarrow as pa

    from dataplat.validation.profile import Profile

TOO_MANY: Final = 0.1
"""A rule that was wrong about more versions than this share of those it was asked of is not taken."""


@dataclass(frozen=True, slots=True)
class Suggested:
    """A rule, and of how many versions (`tried`) it would have raised a false alarm, learned from those before."""

    learned: Learned
    alarms: int = 0
    tried: int = 0

    @property
    def taken(self) -> bool:
        """Whether it belongs into the contract; else it is shown as a comment."""
        return self.alarms <= TOO_MANY * self.tried

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {
            "column": self.learned.column,
            "kind": self.learned.kind,
            "code": self.learned.field or self.learned.rule or "nullable=False",
            "alarms": self.alarms,
            "tried": self.tried,
            "taken": self.taken,
        }


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A contract inferred from versions of a dataset, the newest last."""

    title: str
    name: str
    schema: pa.Schema
    rules: tuple[Suggested, ...]
    versions: int
    rows: int

    @property
    def text(self) -> str:
        """The contract as a Python file, each rule with its false alarms."""
        from dataplat.validation.suggest._text import source_text

        return source_text(self)

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {
            "data": self.title,
            "name": self.name,
            "versions": self.versions,
            "rows": self.rows,
            "rules": [rule.to_dict() for rule in self.rules],
        }


def suggest(
    profiles: Sequence[Profile],
    schema: pa.Schema,
    *,
    title: str,
    name: str,
    unique: Callable[[str], bool],
) -> Suggestion:
    """Infer a contract for data of `schema`.

    Args:
        profiles: of versions that were good, oldest first; of one alone rules are learned, but none is tried.
        schema: of the newest version.
        title: what was looked at.
        name: what the contract is called.
        unique: whether the values of a column occur once only in the newest version, for certain.
    """
    found: list[Suggested] = []
    for column in schema.names:
        past = [profile.columns[column] for profile in profiles if column in profile.columns]
        told = _tried(past)
        rules = learn(past)
        if any(learned.kind == "unique" for learned in rules) and not unique(column):
            rules = learn(past, without=frozenset({"unique"}))
        for learned in rules:
            alarms, tried = told.get(learned.kind, (0, 0))
            found.append(Suggested(learned, alarms, tried))
    return Suggestion(title, name, schema, tuple(found), len(profiles), profiles[-1].rows if profiles else 0)


def _tried(past: Sequence[Any]) -> Mapping[str, tuple[int, int]]:
    """Return alarms and tries by kind of rule, walking forward through the versions of a column."""
    told: dict[str, tuple[int, int]] = {}
    for now in range(1, len(past)):
        if not past[now].rows:
            continue
        for learned in learn(past[:now]):
            alarms, tried = told.get(learned.kind, (0, 0))
            told[learned.kind] = alarms + (not learned.holds(past[now])), tried + 1
    return told
