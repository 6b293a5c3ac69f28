"""Columns, three-way: by stored name, so that a rename is no drop and no addition.

A column that one side changed is as that side has it. Types that both widened become one that holds both. What
both changed otherwise is a conflict of kind `column`, and so is a drop against a rename, another type, or cells that
the other side changed. Order is taken from the side that changed it, else from ours with the new columns of theirs
behind their neighbours.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, count
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from dataplat.lake.schema import stored_in, type_text
from dataplat.versioning.merge._conflicts import Conflict, Settlement, json_text
from dataplat.versioning.merge._types import reads_as, wider

if TYPE_CHECKING:
    from dataplat.versioning.manifest import Manifest

Column: TypeAlias = Mapping[str, Any]
Changed: TypeAlias = Callable[[str, str], int]
"""Given a stored name and the side that dropped it: how many cells of it the other side changed."""

OTHER: Final = {"ours": "theirs", "theirs": "ours"}


@dataclass(frozen=True, slots=True)
class MergedSchema:
    """What the columns become.

    `kept` are stored names of columns that stay though a side dropped them, with that side; `recast` those whose new
    type may not hold the values of a side, with that side; `gone` stored names that parts of theirs may hold.
    """

    columns: list[dict[str, Any]]
    key: tuple[str, ...]
    sort: tuple[str, ...]
    kept: Mapping[str, str]
    recast: tuple[tuple[str, str], ...]
    gone: tuple[str, ...]


class SchemaMerge:
    """Merges the columns of one dataset."""

    def __init__(
        self,
        dataset: str,
        manifests: Mapping[str, Manifest],
        settlement: Settlement,
        newest: Callable[[], str],
        changed_cells: Changed,
    ) -> None:
        self._dataset = dataset
        self._manifests = manifests
        self._columns = {side: by_stored(manifest.schema_json) for side, manifest in manifests.items()}
        self._settlement = settlement
        self._newest = newest
        self._changed_cells = changed_cells
        self._kept: dict[str, str] = {}
        self._recast: list[tuple[str, str]] = []

    def merge(self) -> MergedSchema:
        """Return the merged columns; conflicts that nothing settles are as ours has them, and are in the settlement."""
        columns = {}
        for stored in dict.fromkeys(name for side in self._columns.values() for name in side):
            merged = self._column(stored)
            if merged is not None:
                columns[stored] = merged
        self._settle_names(columns)
        ordered = [columns[stored] for stored in self._order(columns) if stored in columns]
        return MergedSchema(
            columns=ordered,
            key=self._named("key", columns),
            sort=self._named("sort", columns),
            kept=self._kept,
            recast=tuple(self._recast),
            gone=self._foreign(columns),
        )

    # -------------------------------------------------------------------------------------------------- one column

    def _column(self, stored: str) -> dict[str, Any] | None:
        base, ours, theirs = (self._columns[side].get(stored) for side in ("base", "ours", "theirs"))
        if ours is None and theirs is None:
            return None
        if ours is None or theirs is None:
            there = ours or theirs
            assert there is not None
            return dict(there) if base is None else self._dropped(stored, base, ours, theirs)
        if ours == theirs:
            return dict(ours)
        return self._both(stored, base, ours, theirs)

    def _dropped(self, stored: str, base: Column, ours: Column | None, theirs: Column | None) -> dict[str, Any] | None:
        """Decide of a column that one side dropped: None, or as the other side has it."""
        dropper = "ours" if ours is None else "theirs"
        kept = ours or theirs
        assert kept is not None
        cells = self._changed_cells(stored, dropper)
        if not cells and kept["name"] == base["name"] and kept["type"] == base["type"]:
            return None
        shown = json_text({**_shown(kept), **({"changed_cells": cells} if cells else {})})
        choice = self._settle(
            base["name"],
            base,
            **{OTHER[dropper]: shown, dropper: None},
        )
        if choice == dropper or (choice is None and dropper == "ours"):
            return None
        self._kept[stored] = dropper
        return {**kept, "nullable": True}

    def _both(self, stored: str, base: Column | None, ours: Column, theirs: Column) -> dict[str, Any]:
        """Merge a column that both sides have, each in its way."""
        name, names_clash = _three_way(None if base is None else base["name"], ours["name"], theirs["name"])
        kind, types_clash = _types(None if base is None else base["type"], ours["type"], theirs["type"])
        if names_clash or types_clash:
            what = (base or ours)["name"]
            choice = self._settle(what, base, json_text(_shown(ours)), json_text(_shown(theirs)))
            chosen = theirs if choice == "theirs" else ours
            old = base if choice == "base" and base is not None else chosen
            name = old["name"] if names_clash else name
            kind = chosen["type"] if types_clash else kind
        self._recast += [
            (stored, side)
            for side, column in (("ours", ours), ("theirs", theirs))
            if not reads_as(kind, column["type"])
        ]
        merged = {"name": name, "type": kind, "nullable": _nullable(base, ours, theirs)}
        return merged if stored == name else {**merged, "stored": stored}

    def _settle(self, name: str, base: Column | None, ours: str | None, theirs: str | None) -> str | None:
        conflict = Conflict(
            dataset=self._dataset,
            kind="column",
            column=name,
            base=None if base is None else json_text(_shown(base)),
            ours=ours,
            theirs=theirs,
        )
        return self._settlement.settle(conflict, self._newest)

    # ------------------------------------------------------------------------------------------- names, order, key

    def _settle_names(self, columns: dict[str, dict[str, Any]]) -> None:
        """Two columns may have come to one name: one of them keeps it, the other its old one, or goes if it is new."""
        taken: dict[str, str] = {}
        for stored in list(columns):
            name = columns[stored]["name"]
            if name not in taken:
                taken[name] = stored
                continue
            sides = {self._came_from(other, name): other for other in (taken[name], stored)}
            shown = {side: json_text(_shown(columns[other])) for side, other in sides.items()}
            choice = self._settle(name, None, shown.get("ours"), shown.get("theirs"))
            winner = sides.get(choice or "ours", stored)
            loser = taken[name] if winner == stored else stored
            taken[name] = winner
            self._give_back(columns, loser, taken)

    def _came_from(self, stored: str, name: str) -> str:
        """Return the side that gave the column this name."""
        ours = self._columns["ours"].get(stored)
        return "ours" if ours is not None and ours["name"] == name else "theirs"

    def _give_back(self, columns: dict[str, dict[str, Any]], stored: str, taken: dict[str, str]) -> None:
        old = self._columns["base"].get(stored)
        if old is None:
            del columns[stored]
            return
        names = {column["name"] for column in columns.values()}
        back = chain([old["name"]], (f"{old['name']}_{n}" for n in count(2)))
        name = next(name for name in back if name not in names)
        columns[stored] = _renamed(columns[stored], name, stored)
        taken[name] = stored

    def _order(self, columns: Mapping[str, Any]) -> list[str]:
        base, ours, theirs = (list(self._columns[side]) for side in ("base", "ours", "theirs"))
        common = [stored for stored in base if stored in ours and stored in theirs]
        moved = [stored for stored in ours if stored in common] != common
        first, second = (ours, theirs) if moved or [s for s in theirs if s in common] == common else (theirs, ours)
        order = [stored for stored in first if stored in columns]
        for at, stored in enumerate(second):
            if stored in columns and stored not in order:
                before = next((other for other in reversed(second[:at]) if other in order), None)
                order.insert(0 if before is None else order.index(before) + 1, stored)
        return order

    def _named(self, what: str, columns: Mapping[str, Mapping[str, Any]]) -> tuple[str, ...]:
        """Return the key (or sort) columns under their merged names."""
        stored = {side: stored_names(manifest, what) for side, manifest in self._manifests.items()}
        chosen, _ = _three_way(stored["base"], stored["ours"], stored["theirs"])
        return tuple(columns[name]["name"] for name in chosen if name in columns)

    def _foreign(self, columns: Mapping[str, Any]) -> tuple[str, ...]:
        """Return what parts of theirs may hold; with ours, for its columns are forgotten where all of its parts go."""
        there = {*self._columns["theirs"], *self._manifests["theirs"].root.gone, *self._columns["base"]}
        return tuple(sorted(there - columns.keys()))


def by_stored(columns: Sequence[Column]) -> dict[str, Column]:
    """Return columns by stored name."""
    return {stored_in(column): column for column in columns}


def stored_names(manifest: Manifest, what: str) -> tuple[str, ...]:
    """Return the stored names of the `key` (or `sort`) columns."""
    stored = {column["name"]: stored_in(column) for column in manifest.schema_json}
    return tuple(stored[name] for name in getattr(manifest, what))


def column_changes(before: Sequence[Column], after: Sequence[Column]) -> list[str]:
    """Say what differs between two schemas, a line for each change."""
    old, new = by_stored(before), by_stored(after)
    lines = [f"column {old[stored]['name']} dropped" for stored in old if stored not in new]
    for stored, column in new.items():
        was = old.get(stored)
        if was is None:
            lines.append(f"column {column['name']} added ({type_text(column['type'])})")
            continue
        if was["name"] != column["name"]:
            lines.append(f"column {was['name']} renamed to {column['name']}")
        if was["type"] != column["type"]:
            lines.append(f"column {column['name']}: {type_text(was['type'])} -> {type_text(column['type'])}")
        if was.get("nullable", True) != column.get("nullable", True):
            lines.append(f"column {column['name']} {'may' if column.get('nullable', True) else 'may not'} be null")
    common = [stored for stored in old if stored in new]
    if [stored for stored in new if stored in old] != common:
        lines.append("columns reordered")
    return lines


def _three_way(base: Any, ours: Any, theirs: Any) -> tuple[Any, bool]:
    """Return the merged value (ours, where both changed it), and whether both changed it otherwise."""
    if theirs in (ours, base):
        return ours, False
    return (theirs, False) if ours == base else (ours, True)


def _types(base: Any, ours: Any, theirs: Any) -> tuple[Any, bool]:
    kind, clash = _three_way(base, ours, theirs)
    if not clash:
        if ours == theirs or reads_as(kind, base):
            return kind, False
        return kind, True  # another kind of type, which does not hold what the other side wrote
    common = wider(ours, theirs)
    return (ours, True) if common is None else (common, False)


def _nullable(base: Column | None, ours: Column, theirs: Column) -> bool:
    mine, other = ours.get("nullable", True), theirs.get("nullable", True)
    if base is None or mine == other:
        return bool(mine or other)
    return bool(other if mine == base.get("nullable", True) else mine)


def _renamed(column: Column, name: str, stored: str) -> dict[str, Any]:
    plain = {key: value for key, value in column.items() if key != "stored"} | {"name": name}
    return plain if name == stored else {**plain, "stored": stored}


def _shown(column: Column) -> dict[str, Any]:
    return {"name": column["name"], "type": column["type"], "nullable": column.get("nullable", True)}
