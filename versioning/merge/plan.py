"""Plan a merge: from two commits and their common ancestor to changes that one commit makes, or to conflicts.

Pure but for what it reads and stages: the branch does not move, and the stage may be thrown away.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from dataplat.errors import ConfigError
from dataplat.lake.objects import Stage
from dataplat.versioning.commit import load_commit
from dataplat.versioning.merge._ancestor import lowest_common
from dataplat.versioning.merge._bases import Bases, Beside
from dataplat.versioning.merge._conflicts import Conflict, Settlement
from dataplat.versioning.merge._datasets import Trio, chosen, trios
from dataplat.versioning.merge._one import MergedDataset, OneMerge

if TYPE_CHECKING:
    from dataplat.lake.objects import Objects
    from dataplat.versioning.commit import Commit
    from dataplat.versioning.rebase import PlannedChange

_SHOWN: Final = 3


@dataclass(frozen=True, slots=True)
class MergePlan:
    """What a merge would commit.

    `parents` are the commit's further parents; `is_needed` is False where there is nothing to commit. `looked_at` are
    the names of datasets that it depends on: it holds as long as nobody changes them.
    """

    kind: str
    base: Commit
    ours: Commit
    theirs: Commit
    changes: tuple[PlannedChange, ...] = ()
    datasets: tuple[MergedDataset, ...] = ()
    conflicts: tuple[Conflict, ...] = ()
    parents: tuple[str, ...] = ()
    is_needed: bool = True
    looked_at: frozenset[str] = frozenset()

    @property
    def open(self) -> list[Conflict]:
        """Conflicts that nothing settles."""
        return [conflict for conflict in self.conflicts if conflict.resolution is None]


@dataclass(frozen=True, slots=True)
class Planner:
    """Plans merges over the objects of a lake; what is new is put into `stage`, which `objects` sees.

    `merges` merges one dataset after the other; the simulator, whose rows are no Parquet, gives one that reads its own.
    """

    objects: Objects
    stage: Stage
    settlement: Settlement = field(default_factory=Settlement)
    merges: type[OneMerge] = OneMerge

    def merge(self, ours: Commit, theirs: Commit, datasets: Collection[str] | None = None) -> MergePlan:
        """Plan to bring what `theirs` has since the common ancestor into `ours`.

        With `datasets` only these are merged, and `theirs` does not become a parent.
        """
        lowest = lowest_common(self.objects, [ours], [theirs])
        if lowest[0].id == theirs.id:
            return MergePlan("merge", theirs, ours, theirs, is_needed=False)
        parents = (theirs.id,) if datasets is None else ()
        with Stage(self.objects.store) as shadow:
            bases = Bases(self.objects, shadow, self.merges, (ours, theirs), lowest)
            wanted = chosen(trios(self.objects, lowest, ours, theirs), datasets)
            found = [Trio(bases.of(trio), trio.ours, trio.theirs) for trio in wanted]
            return self._plan("merge", lowest[0], ours, theirs, found, parents, bases.objects)

    def cherry_pick(self, commit: Commit, onto: Commit) -> MergePlan:
        """Plan to do on `onto` what `commit` did to its datasets."""
        parent = self._parent(commit)
        found = self._touched(commit, trios(self.objects, [parent], onto, commit))
        return self._plan("cherry-pick", parent, onto, commit, found, ())

    def revert(self, commit: Commit, on: Commit) -> MergePlan:
        """Plan to undo on `on` what `commit` did to its datasets."""
        parent = self._parent(commit)
        found = self._touched(commit, trios(self.objects, [commit], on, parent))
        return self._plan("revert", commit, on, parent, found, ())

    def _parent(self, commit: Commit) -> Commit:
        if not commit.parents:
            raise ConfigError(f"commit {commit.id[:12]} is the first of its lake and did nothing")
        return load_commit(self.objects, commit.parents[0])

    def _touched(self, commit: Commit, found: list[Trio]) -> list[Trio]:
        return [trio for trio in found if trio.names & commit.changes.keys()]

    def _plan(
        self,
        kind: str,
        base: Commit,
        ours: Commit,
        theirs: Commit,
        found: list[Trio],
        parents: tuple[str, ...],
        objects: Objects | None = None,
    ) -> MergePlan:
        one = self.merges(
            objects=objects or self.objects,
            stage=self.stage,
            ours=ours,
            theirs=theirs,
            kind=kind,
            settlement=self.settlement,
            alone=kind == "merge" and not parents,
        )
        changes = [change for change in map(one.plan, found) if change is not None]
        self._refuse_unknown(one, found)
        return MergePlan(
            kind,
            base,
            ours,
            theirs,
            tuple(changes),
            tuple(one.done),
            tuple(self.settlement.conflicts),
            parents,
            is_needed=bool(changes or parents or self.settlement.open),
            looked_at=frozenset().union(*(trio.names for trio in found if trio.base != trio.theirs)),
        )

    def _refuse_unknown(self, one: OneMerge, found: list[Trio]) -> None:
        """Raise where something is resolved that neither is a conflict nor was shown as one before any was resolved."""
        unknown = self.settlement.unknown()
        if not unknown:
            return
        with Stage(self.objects.store) as shadow:
            unresolved = Settlement(self.settlement.policy)
            again = replace(one, objects=Beside(one.objects, shadow), stage=shadow, settlement=unresolved, done=[])
            for trio in found:
                again.plan(trio)
        shown_once = {conflict.place for conflict in unresolved.conflicts}
        unknown = [place for place in unknown if place not in shown_once]
        if unknown:
            shown = "; ".join(" ".join(part for part in place if part) for place in unknown[:_SHOWN])
            raise ConfigError(
                f"{len(unknown)} of the resolutions settle what is no conflict of this {one.kind}: {shown}. "
                "Nothing moved; make the table of conflicts anew."
            )
