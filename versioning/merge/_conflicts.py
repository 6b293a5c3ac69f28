"""Conflicts as rows of a table, and what settles them: a policy, or the table handed back with resolutions."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from dataplat.errors import ConfigError

if TYPE_CHECKING:
    import pyarrow as pa

Kind: TypeAlias = Literal["cell", "row", "column", "key", "source", "dataset"]
Policy: TypeAlias = Literal["ours", "theirs", "newest"]
Place: TypeAlias = tuple[str, str, str, str]
"""What names a conflict: dataset, kind, key, column."""

COLUMNS: Final = ("dataset", "kind", "key", "column", "base", "ours", "theirs", "resolution")
_WORDS: Final[Mapping[str, tuple[str, ...]]] = {
    "cell": ("ours", "theirs", "base"),
    "row": ("ours", "theirs", "base"),
}
_SIDES: Final = ("ours", "theirs")


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflict:
    """One thing that both branches changed, each otherwise.

    `key` (JSON of the key columns) and `column` are "" where they do not apply. `base`, `ours` and `theirs` are JSON
    texts, None where there is nothing. `resolution` is what settles it: ours, theirs, base or value:<JSON>. Of two that
    would have one place (a column that was dropped and added again on one side, and changed on the other) the second
    has the key {"again":2}.
    """

    dataset: str
    kind: Kind
    key: str = ""
    column: str = ""
    base: str | None = None
    ours: str | None = None
    theirs: str | None = None
    resolution: str | None = None

    @property
    def place(self) -> Place:
        """What names it."""
        return self.dataset, self.kind, self.key, self.column

    def __str__(self) -> str:
        where = " ".join(text for text in (self.dataset, self.key, self.column) if text)
        base, ours, theirs = (text or "nothing" for text in in_short(self.kind, self.base, self.ours, self.theirs))
        return f"{self.kind} {where}: {base} became {ours} and {theirs}"


@dataclass(slots=True)
class Settlement:
    """Decides conflicts, and remembers each with its decision."""

    policy: Policy | None = None
    resolutions: Mapping[Place, str] = field(default_factory=dict)
    conflicts: list[Conflict] = field(default_factory=list)

    def settle(self, conflict: Conflict, newest: Callable[[], str]) -> str | None:
        """Return ours, theirs, base or value:<JSON>; None where nothing settles it. `newest` says the newer side."""
        if conflict.kind not in {"cell", "row"}:  # those have a key of their own
            conflict = self._apart(conflict)
        choice = self.resolutions.get(conflict.place)
        if choice is None and self.policy is not None:
            choice = newest() if self.policy == "newest" else self.policy
        if choice is not None:
            _check(conflict, choice)
        self.conflicts.append(replace(conflict, resolution=choice))
        return choice

    def _apart(self, conflict: Conflict) -> Conflict:
        """Return it under a place that no other has."""
        taken = sum(
            known.place[:2] == conflict.place[:2] and known.column == conflict.column for known in self.conflicts
        )
        return replace(conflict, key=json_text({"again": taken + 1})) if taken else conflict

    @property
    def open(self) -> list[Conflict]:
        """Conflicts that nothing settles."""
        return [conflict for conflict in self.conflicts if conflict.resolution is None]

    def unknown(self) -> list[Place]:
        """Return what was resolved and is no conflict."""
        there = {conflict.place for conflict in self.conflicts}
        return [place for place in self.resolutions if place not in there]


def _check(conflict: Conflict, choice: str) -> None:
    words = _WORDS.get(conflict.kind, _SIDES)
    if choice in words or (conflict.kind == "cell" and choice.startswith("value:")):
        return
    allowed = ", ".join(words) + (" or value:<JSON>" if conflict.kind == "cell" else "")
    raise ConfigError(f"conflict {conflict}: its resolution {choice!r} is none of {allowed}")


def conflict_table(conflicts: Iterable[Conflict]) -> pa.Table:
    """Return conflicts as an Arrow table of text columns, `resolution` last; of a dataset rows follow, in order of keys."""
    import pyarrow as pa

    rows = [[getattr(conflict, name) for name in COLUMNS] for conflict in sorted(conflicts, key=_in_order)]
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(COLUMNS)
    return pa.table({name: pa.array(column, pa.string()) for name, column in zip(COLUMNS, columns, strict=True)})


def _in_order(conflict: Conflict) -> tuple[Any, ...]:
    cells = json.loads(conflict.key).values() if conflict.kind in {"cell", "row"} else ()
    return conflict.dataset, [_comparable(cell) for cell in cells]


def _comparable(cell: Any) -> tuple[str, Any]:
    return (type(cell).__name__, cell) if isinstance(cell, int | float | str) else ("", str(cell))


def resolutions_of(rows: Iterable[Mapping[str, Any]]) -> dict[Place, str]:
    """Read a table of conflicts handed back; rows whose resolution is empty are left out.

    Raises:
        ConfigError: A column is missing, or one conflict is there twice with different resolutions.
    """
    found: dict[Place, str] = {}
    for number, row in enumerate(rows, 1):
        if not isinstance(row, Mapping):
            raise ConfigError(f"row {number} of the resolutions is {row!r}; each is a row of the table of conflicts")
        missing = [name for name in ("dataset", "kind", "key", "column", "resolution") if name not in row]
        if missing:
            raise ConfigError(f"resolutions have no column {missing[0]!r}; hand back the table of conflicts")
        choice = str(row["resolution"] or "").strip()
        if not choice:
            continue
        dataset, kind, key, column = (str(row[name] or "") for name in ("dataset", "kind", "key", "column"))
        place: Place = (dataset, kind, key, column)
        if found.setdefault(place, choice) != choice:
            raise ConfigError(f"row {number} of the resolutions settles {' '.join(place)} otherwise than a row before")
    return found


def in_short(kind: str, base: str | None, ours: str | None, theirs: str | None) -> tuple[str | None, ...]:
    """Return what people need to see of the three sides: of whole rows the columns that differ, wide rows hide them."""
    sides = (base, ours, theirs)
    if kind != "row":
        return sides
    rows = [json.loads(side) for side in sides if side is not None]
    same = (
        {name for name in rows[0] if all(name in row and row[name] == rows[0][name] for row in rows)}
        if rows[1:]
        else ()
    )
    return tuple(
        side and json_text({name: cell for name, cell in json.loads(side).items() if name not in same}, in_order=True)
        for side in sides
    )


def json_text(value: Any, *, in_order: bool = False) -> str:
    """Return a plain value as JSON on one line, names sorted, or in the order that they have."""
    return json.dumps(value, ensure_ascii=False, sort_keys=not in_order, separators=(",", ":"), allow_nan=False)
