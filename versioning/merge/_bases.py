"""What both branches of one dataset began with: its version at their lowest common ancestor.

After merges in both directions there may be several lowest ones (a criss-cross), and any of them alone would bring back
what was deleted, or an older value. Where they hold different versions, the base is their merge, as in git's recursive
strategy. It is made for the plan only: its parts are staged beside the merge's own, never stored and never referred to.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import structs

from dataplat.errors import CommitConflict
from dataplat.lake.objects import Objects
from dataplat.versioning.merge._ancestor import lowest_common
from dataplat.versioning.merge._conflicts import Conflict, Settlement
from dataplat.versioning.merge._datasets import Line, Point, Trio, points

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dataplat.lake.objects import Stage
    from dataplat.versioning.commit import Commit
    from dataplat.versioning.merge._one import OneMerge


class Bases:
    """Finds the bases of datasets; `objects` sees what is staged for them in `shadow`."""

    def __init__(
        self,
        objects: Objects,
        shadow: Stage,
        merges: type[OneMerge],
        sides: tuple[Commit, Commit],
        lowest: Sequence[Commit],
    ) -> None:
        self.objects = Beside(objects, shadow)
        self._shadow = shadow
        self._merges = merges
        self._sides = sides
        self._lowest = lowest

    def of(self, trio: Trio) -> Point | None:
        """Return where the dataset stood, `trio.base` where one commit is the common ancestor and tells it all."""
        if len(self._lowest) == 1 and not _both_moved(trio):
            return trio.base
        heads = [(self._lowest[0], trio.base), *zip(self._sides, (trio.ours, trio.theirs), strict=True)]
        found = Line(self.objects)
        for head, point in heads:
            if point is not None:
                found.start(head, point.name, behind=point is trio.base)
        if len(self._lowest) == 1 and not found.took_aside():
            return trio.base
        ours, theirs = self._sides
        return self._base(trio, found, [ours], [theirs])

    def _base(self, trio: Trio, found: Line, ours: Sequence[Commit], theirs: Sequence[Commit]) -> Point | None:
        first, *others = lowest_common(self.objects, ours, theirs, found.further)
        base = self._at(first, trio, found)
        heads = [first]
        for other in others:
            point = self._at(other, trio, found)
            if not _alike(base, point):
                before = self._base(trio, found, heads, [other])
                base = self._merged(Trio(before, base, point), first, other)
            heads.append(other)
        return base

    def _at(self, commit: Commit, trio: Trio, found: Line) -> Point | None:
        there = points(self.objects, commit)
        for name, point in there.items():
            if (point.state.commit, name) in found.spots:
                return point
        return next((there[name] for name in sorted(trio.names) if name in there), None)

    def _merged(self, trio: Trio, ours: Commit, theirs: Commit) -> Point | None:
        """Return the merge of two versions; what both changed is as it was before, else as in ours."""
        base, mine, other = trio.base, trio.ours, trio.theirs
        settlement = _AsBefore()
        one = self._merges(
            objects=self.objects, stage=self._shadow, ours=ours, theirs=theirs, kind="merge", settlement=settlement
        )
        if mine is None or other is None:
            there = mine or other
            return (
                base
                if base is not None and there is not None and not one.same_rows(base, there)
                else _gone(base, there)
            )
        try:
            change = one.plan(trio)
        except CommitConflict:  # a name that is taken, a type that does not fit: nobody is asked here
            return mine
        if change is None or change.restore is None:
            return mine
        name = change.rename_to or change.dataset
        if base is not None and any(conflict.column == "name" for conflict in settlement.of_kind("dataset")):
            name = base.name
        positions = mine.state.advanced(change.positions, self._shadow, self.objects.read)
        state = structs.replace(change.restore, positions=positions)
        return replace(mine, name=name, state=state, known=mine.told)


class _AsBefore(Settlement):
    """Settles conflicts of a base: to what the older base had, where it had something, so that they are met again."""

    def settle(self, conflict: Conflict, newest: Callable[[], str]) -> str | None:
        del newest
        self.conflicts.append(conflict)
        return "base" if conflict.base is not None and conflict.kind in {"cell", "row", "column"} else "ours"

    def of_kind(self, kind: str) -> list[Conflict]:
        """Return the conflicts of a kind."""
        return [conflict for conflict in self.conflicts if conflict.kind == kind]


class Beside(Objects):
    """Objects, with those of a further stage, which is not flushed."""

    def __init__(self, objects: Objects, shadow: Stage) -> None:
        super().__init__(objects.store, objects.stage)
        self._objects = objects
        self._shadow = shadow

    def read(self, object_id: str, suffix: str, *, verify: bool = True) -> bytes:
        if self._shadow.holds(object_id, suffix):
            return self._shadow.read(object_id, suffix)
        return self._objects.read(object_id, suffix, verify=verify)

    def holds(self, object_id: str, suffix: str) -> bool:
        return self._shadow.holds(object_id, suffix) or self._objects.holds(object_id, suffix)

    def exists(self, object_id: str, suffix: str) -> bool:
        return self._shadow.holds(object_id, suffix) or self._objects.exists(object_id, suffix)

    def local_path(self, object_id: str, suffix: str) -> Path | None:
        if self._shadow.holds(object_id, suffix):
            return self._shadow.local_path(object_id, suffix)
        return self._objects.local_path(object_id, suffix)


def _gone(base: Point | None, there: Point | None) -> Point | None:
    """Return a dataset that one side has not: it came, or it was dropped and nobody misses it."""
    return there if base is None else None


def _alike(one: Point | None, other: Point | None) -> bool:
    if one is None or other is None:
        return one is other
    return (one.name, one.version, one.state.positions) == (other.name, other.version, other.state.positions)


def _both_moved(trio: Trio) -> bool:
    if trio.ours is None or trio.theirs is None:
        return False
    return trio.ours.version != trio.theirs.version and trio.base not in (trio.ours, trio.theirs)
