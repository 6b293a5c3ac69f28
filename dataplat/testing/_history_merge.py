"""Merges of simulated histories: the real planner, over rows that are pairs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, cast

from dataplat.errors import CommitConflict, MergeConflict
from dataplat.lake.objects import Objects, Stage
from dataplat.testing._history_plans import Planner
from dataplat.testing._history_rows import Row, content, schema_of
from dataplat.versioning import publish
from dataplat.versioning.manifest import ManifestEdit, load_manifest
from dataplat.versioning.merge import Conflict, MergedDataset, MergePlan, Policy, Settlement
from dataplat.versioning.merge import Planner as MergePlanner
from dataplat.versioning.merge._one import OneMerge

if TYPE_CHECKING:
    from dataplat.lake.stores import Store
    from dataplat.testing._history_plans import Operation
    from dataplat.versioning.commit import Commit
    from dataplat.versioning.manifest import Manifest
    from dataplat.versioning.merge._datasets import Point, Trio
    from dataplat.versioning.publish import LakeIO
    from dataplat.versioning.refs import Record

Columns: TypeAlias = tuple[tuple[str, str], ...]
T = TypeVar("T")
Sides: TypeAlias = tuple[T, T, T]
"""Something in base, ours and theirs."""

Settle: TypeAlias = "Callable[[str], str | None]"
"""Decides a conflict, named by what is contested: ours, theirs, or None."""


_PLANS = 3
"""How often a merge is planned."""


class Unsettled(Exception):
    """Nothing settles a conflict."""


def three_way(name: str, sides: Sides[T], settle: Settle) -> T:
    """Return what one side made of a value, where only one did, or what settles it; raise `Unsettled`."""
    base, ours, theirs = sides
    if theirs in (ours, base):
        return ours
    if ours == base:
        return theirs
    choice = settle(name)
    if choice is None:
        raise Unsettled(name)
    return ours if choice == "ours" else theirs


def merge_rows(sides: Sides[Counter[Row]], settle: Settle, *, keyed: bool) -> Counter[Row]:
    """Return the rows merged, by key or as multisets; raise `Unsettled`, once all conflicts were told."""
    base, ours, theirs = sides
    if not keyed:
        return +Counter({row: _count(base[row], ours[row], theirs[row]) for row in base | ours | theirs})
    one, two, three = (dict(side.keys()) for side in sides)
    merged: Counter[Row] = Counter()
    contested: list[str] = []
    for key in sorted(one.keys() | two.keys() | three.keys()):
        try:
            value = three_way(f"row {key}", (one.get(key), two.get(key), three.get(key)), settle)
        except Unsettled as error:
            contested.append(str(error))
            continue
        if value is not None:
            merged[key, value] += 1
    if contested:
        raise Unsettled(", ".join(contested))
    return merged


def _count(base: int, ours: int, theirs: int) -> int:
    if ours < base and theirs < base:
        return min(ours, theirs)
    return ours + theirs - base


def columns_of(manifest: Manifest) -> Columns:
    """Return the columns of a version as (name, stored name)."""
    return tuple((column["name"], column.get("stored", column["name"])) for column in manifest.schema_json)


@dataclass(frozen=True, slots=True, kw_only=True)
class PairMerge(OneMerge):
    """Merges datasets whose rows are pairs of key and value."""

    def same_rows(self, one: Point, other: Point) -> bool:
        if one.version == other.version:
            return True
        left, right = (load_manifest(self.objects, point.version) for point in (one, other))
        read = self.objects.read
        return columns_of(left) == columns_of(right) and content(read, left) == content(read, right)

    def _taken(self, ours: Point, mine: Manifest, other: Manifest) -> MergedDataset:
        return MergedDataset(dataset=ours.name, action="taken")

    def _merged(
        self, trio: Trio, start: Manifest, mine: Manifest, other: Manifest
    ) -> tuple[Manifest | None, MergedDataset]:
        kept = MergedDataset(dataset=trio.name, action="kept")
        read = self.objects.read

        def settle(what: str) -> str | None:
            kind: Any = what.partition(" ")[0]
            conflict = Conflict(dataset=trio.name, kind=kind, key=what)
            return self.settlement.settle(conflict, lambda: self._newest(trio))

        try:
            columns = three_way("column", (columns_of(start), columns_of(mine), columns_of(other)), settle)
            rows = (content(read, start), content(read, mine), content(read, other))
            merged = merge_rows(rows, settle, keyed=bool(mine.key))
        except Unsettled:
            return None, kept
        edit = _edit(Planner(self.stage, read), mine, merged)
        if columns != columns_of(mine):
            edit = ManifestEdit(edit.add, edit.deletes, edit.drop, schema_json=schema_of(columns), digest=edit.digest)
        after = mine if edit.is_empty else mine.apply(edit, self.stage)
        return after, MergedDataset(dataset=trio.name, action="merged")


def _edit(planner: Planner, mine: Manifest, rows: Mapping[Row, int]) -> ManifestEdit:
    """Return the edit that makes the rows of `mine` these: what is too many goes, what is missing comes."""
    held = planner.held(mine)
    there = Counter(row for _, _, found in held for _, row in found)
    more = Counter(rows) - there
    over = there - Counter(rows)

    def gone(row: Row) -> bool:
        over[row] -= 1
        return over[row] >= 0

    return planner.taking(held, gone, sorted(more.elements()), mine)


class _MovedError(CommitConflict):
    """The branch moved between plan and commit of a merge."""


@dataclass(frozen=True, slots=True)
class Merging:
    """Merges, cherry-picks and reverts, as `dataplat._merge` does: planned anew where the branch moves."""

    lake: LakeIO
    store: Store
    rest: Callable[[], object]
    """Called between plan and commit."""

    def run(self, operation: Operation, branch: str, theirs: Commit) -> str:
        """Return the id of the commit that brings `theirs` into a branch, or what it did, or undoes that.

        Raises:
            MergeConflict: There is nothing to do, or a conflict that the operation's policy does not settle.
            CommitConflict: The branch moved all the time.
        """
        for _ in range(_PLANS):
            head = self.lake.refs.head(branch)
            with suppress(_MovedError):
                return self._once(operation, head, theirs)
        raise CommitConflict(f"{branch} moved all the time")

    def _once(self, operation: Operation, head: Record, theirs: Commit) -> str:
        def admit(now: Record) -> None:
            if now.commit_id != head.commit_id:
                raise _MovedError

        with Stage(self.store) as stage:
            settlement = Settlement(cast("Policy | None", operation.policy or None))
            plan = _plan(
                operation, MergePlanner(Objects(self.store, stage), stage, settlement, PairMerge), head, theirs
            )
            if plan.open or not plan.is_needed:
                raise MergeConflict(str(plan.open[0]) if plan.open else "there is nothing to do")
            self.rest()
            return publish.commit(
                self.lake, head.branch, plan.changes, stage, message=operation.text, merged=plan.parents, admit=admit
            ).id


def _plan(operation: Operation, planner: MergePlanner, head: Record, theirs: Commit) -> MergePlan:
    if operation.kind == "merge":
        return planner.merge(head.commit, theirs)
    if not theirs.parents:
        raise MergeConflict("the first commit did nothing")
    do = planner.cherry_pick if operation.kind == "pick" else planner.revert
    return do(theirs, head.commit)
