"""Bases of simulated merges after a criss-cross: the merge of the lowest common ancestors, on plain rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dataplat.testing._history_model import Broken, Data, Model, OneModel, Trio
from dataplat.testing._history_plans import Operation

if TYPE_CHECKING:
    from dataplat.versioning.commit import Commit

Side = tuple[str, Data]


@dataclass(frozen=True, slots=True)
class BaseModels:
    """Finds what both sides of a merge began with; `load` and `of` read a commit and its model."""

    load: Callable[[str], Commit]
    of: Callable[[str], Model]

    def lowest(self, ours: Sequence[str], theirs: Sequence[str]) -> list[str]:
        """Return the lowest common ancestors, the newest first."""
        common = self._ancestors(ours) & self._ancestors(theirs)
        behind = {parent for id in common for parent in self._ancestors([id]) - {id}}
        return sorted(common - behind, key=lambda id: (-self.load(id).time, id))

    def _ancestors(self, ids: Sequence[str]) -> set[str]:
        found = set(ids)
        todo = list(ids)
        while todo:
            for parent in self.load(todo.pop()).parents:
                if parent not in found:
                    found.add(parent)
                    todo.append(parent)
        return found

    def base(self, trio: Trio, ours: str, theirs: str) -> Side | None:
        """Return the base of one dataset."""
        heads = ((self.lowest([ours], [theirs])[0], trio.base), (ours, trio.ours), (theirs, trio.theirs))
        spots: set[tuple[str, str]] = set()
        for head, side in heads:
            if side is not None:
                self._follow(head, side[0], spots)
        return self._base(trio, spots, [ours], [theirs])

    def _base(self, trio: Trio, spots: set[tuple[str, str]], ours: list[str], theirs: list[str]) -> Side | None:
        first, *others = self.lowest(ours, theirs)
        found, heads = self._at(first, trio, spots), [first]
        for other in others:
            there = self._at(other, trio, spots)
            if found != there:
                older = self._base(trio, spots, heads, [other])
                found = self._merged(Trio(older, found, there), first)
            heads.append(other)
        return found

    def _follow(self, head: str, name: str, spots: set[tuple[str, str]]) -> None:
        """Add (commit, name) of all that changed a dataset, also on lines that were merged."""
        for id, old, _ in reversed(self.of(head).logs.get(name, ())):
            if (id, old) in spots:
                return
            spots.add((id, old))
            for source in self.load(id).changes[old].lineage:
                if source.kind == "merge":
                    self._follow(source.detail["commit"], source.name, spots)

    def _at(self, id: str, trio: Trio, spots: set[tuple[str, str]]) -> Side | None:
        model = self.of(id)
        names = [name for name in sorted(model.datasets) if (model.logs[name][-1][0], name) in spots]
        names += [name for name in sorted(trio.names) if name in model.datasets]
        return next(((name, model.datasets[name]) for name in names), None)

    def _merged(self, trio: Trio, id: str) -> Side | None:
        base, ours, theirs = trio.base, trio.ours, trio.theirs
        if ours is None or theirs is None:
            there = ours or theirs
            if base is None or there is None:
                return there
            return None if base[1].same_rows(there[1]) else base
        datasets = {**self.of(id).datasets, ours[0]: ours[1]}
        before = set(datasets) - {ours[0]}
        try:
            OneModel(Operation("", "merge", "", policy="ours"), datasets, "").merge(trio)
        except Broken:
            return ours
        name = next(name for name in datasets if name not in before)
        data = _named(datasets[name], ours[1], theirs[1])
        if base is not None and base[0] not in {ours[0], theirs[0]} and ours[0] != theirs[0]:
            name = base[0]  # both renamed it, each otherwise
        return name, data


def _named(data: Data, ours: Data, theirs: Data) -> Data:
    """Return the data under the version of a side that has its rows, else under none that there is."""
    for side in (ours, theirs):
        if (side.rows, side.columns) == (data.rows, data.columns):
            return replace(data, version=side.version)
    return replace(data, version=f"{ours.version} and {theirs.version}")


def came_by(
    bases: Sequence[tuple[Model, int]], ours: Model, theirs: Model, new: tuple[set[str], set[str]], matched: Matched
) -> Iterator[tuple[str | None, str | None]]:
    """Yield names on both sides of what is new to both but known in one of the bases; they are taken from `new`."""
    for base, since in bases:
        known = [matched(base, side, since)[0] for side in (ours, theirs)]
        for name in sorted(base.datasets):
            names = (known[0].get(name), known[1].get(name))
            if any(names) and all(one is None or one in left for one, left in zip(names, new, strict=True)):
                for one, left in zip(names, new, strict=True):
                    left.discard(one or "")
                yield names


Matched = Callable[[Model, Model, int], tuple[dict[str, str], set[str]]]
