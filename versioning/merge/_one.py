"""The merge of one dataset: its name, whether it is there at all, its content, its positions, its description."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from msgspec import structs

from dataplat.errors import CommitConflict
from dataplat.versioning.commit import DatasetState, Input
from dataplat.versioning.content import content_id_of
from dataplat.versioning.manifest import Manifest, load_manifest
from dataplat.versioning.merge._conflicts import Conflict, Settlement, json_text
from dataplat.versioning.merge._content import ContentMerge
from dataplat.versioning.merge._counts import counted
from dataplat.versioning.merge._newest import touch_times
from dataplat.versioning.merge._positions import merge_positions
from dataplat.versioning.merge._schema import MergedSchema, column_changes, stored_names
from dataplat.versioning.rebase import PlannedChange

if TYPE_CHECKING:
    from dataplat.lake.objects import Objects, Stage
    from dataplat.versioning.commit import Commit
    from dataplat.versioning.merge._datasets import Point, Trio
    from dataplat.versioning.merge._selection import Digests


@dataclass(frozen=True, slots=True, kw_only=True)
class MergedDataset:
    """What a merge does to one dataset of the branch.

    `action` is `created`, `taken` (as the other branch has it), `merged`, `dropped`, `renamed` or `kept` (only
    positions or words change). Rows are counted against the branch as it was; `rows_merged` of the changed ones were
    put together from both. `columns` has a line for each change of the schema.
    """

    dataset: str
    action: str
    rows_added: int = 0
    rows_removed: int = 0
    rows_changed: int = 0
    rows_merged: int = 0
    columns: tuple[str, ...] = ()
    renamed_from: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {
            "dataset": self.dataset,
            "action": self.action,
            "rows_added": self.rows_added,
            "rows_removed": self.rows_removed,
            "rows_changed": self.rows_changed,
            "rows_merged": self.rows_merged,
            "columns": list(self.columns),
            "renamed_from": self.renamed_from,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class OneMerge:
    """Merges the datasets of two commits, one at a time.

    `kind` is merge, cherry-pick or revert; `alone` says of a merge that the other commit will be no parent, so that
    each dataset has to remember it.
    """

    objects: Objects
    stage: Stage
    ours: Commit
    theirs: Commit
    kind: str
    settlement: Settlement
    alone: bool = False
    done: list[MergedDataset] = field(default_factory=list)

    def plan(self, trio: Trio) -> PlannedChange | None:
        """Return what to commit, None where nothing changes; what it does is added to `done`."""
        if trio.theirs is None:
            return self._dropped_there(trio)
        if trio.ours is None:
            return self._absent_here(trio)
        return self._both(trio, trio.ours, trio.theirs)

    # ------------------------------------------------------------------------------------------- there or not

    def _dropped_there(self, trio: Trio) -> PlannedChange | None:
        if trio.base is None or trio.ours is None:
            return None
        if not self.same_rows(trio.base, trio.ours) and self._settle_whole(trio) != "theirs":
            return None
        ours = trio.ours
        self.done.append(MergedDataset(dataset=ours.name, action="dropped", rows_removed=ours.state.rows))
        return PlannedChange(dataset=ours.name, mode="drop", base_version=ours.version, lineage=self._lineage(trio))

    def _absent_here(self, trio: Trio) -> PlannedChange | None:
        assert trio.theirs is not None
        if trio.base is not None and (self.same_rows(trio.base, trio.theirs) or self._settle_whole(trio) != "theirs"):
            return None
        theirs = trio.theirs
        self._refuse_taken_name(theirs.name)
        self.done.append(MergedDataset(dataset=theirs.name, action="created", rows_added=theirs.state.rows))
        restore = structs.replace(theirs.state, commit="")
        return self._change(trio, theirs.name, None, restore)

    def _settle_whole(self, trio: Trio, *, what: str = "") -> str | None:
        """Settle a dataset that is one thing on one side and another on the other."""
        base, ours, theirs = (self._shown(point) for point in (trio.base, trio.ours, trio.theirs))
        conflict = Conflict(dataset=trio.name, kind="dataset", column=what, base=base, ours=ours, theirs=theirs)
        return self.settlement.settle(conflict, lambda: self._newest(trio))

    def _shown(self, point: Point | None) -> str | None:
        if point is None:
            return None
        return json_text({"name": point.name, "version": point.told[:12], "rows": point.state.rows})

    def same_rows(self, one: Point, other: Point) -> bool:
        """Return whether two versions hold the same."""
        if one.version == other.version:
            return True
        left, right = (load_manifest(self.objects, point.version) for point in (one, other))
        return left.rows == right.rows and content_id_of(self.objects, left) == content_id_of(self.objects, right)

    def _refuse_taken_name(self, name: str) -> None:
        state = self.ours.dataset(name, self.objects.read)
        if state is not None and state.version is not None:
            raise CommitConflict(
                f"dataset {name!r} of the other branch cannot come here: this branch has another of that name. "
                "Nothing moved; rename one of them, or merge the others with --dataset."
            )

    # ---------------------------------------------------------------------------------------------- on both sides

    def _both(self, trio: Trio, ours: Point, theirs: Point) -> PlannedChange | None:
        name = self._name(trio, ours, theirs)
        manifest, result = self._content(trio, ours, theirs)
        before = trio.base.state if trio.base is not None else DatasetState()
        positions = merge_positions(
            ours.name,
            (before, ours.state, theirs.state),
            self.objects.read,
            self.settlement,
            lambda: self._newest(trio),
            keyed=bool(manifest.key) if manifest is not None else True,
            reverting=self.kind == "revert",
        )
        description = ours.state.description
        if description == before.description:
            description = theirs.state.description
        version = ours.version if manifest is None else manifest.id
        words = description != ours.state.description
        if version == ours.version and not (positions or words or name != ours.name):
            return self._noted(trio, ours, theirs)
        renamed = ours.name if name != ours.name else ""
        action = result.action if version != ours.version else "renamed" if renamed else "kept"
        self.done.append(replace(result, dataset=name, action=action, renamed_from=renamed))
        here = manifest or load_manifest(self.objects, ours.version)
        restore = structs.replace(
            ours.state, version=version, commit="", rows=here.rows, bytes=here.nbytes, description=description
        )
        change = self._change(trio, ours.name, ours.version, restore)
        brought = result.rows_added + result.rows_changed
        return replace(change, positions=positions, rows_added=brought, **_rename(ours, name))

    def _noted(self, trio: Trio, ours: Point, theirs: Point) -> PlannedChange | None:
        """Return a change that says no more than that theirs was looked at, where no parent will say so."""
        seen = trio.base is not None and trio.base.version == theirs.version
        if not self.alone or seen or ours.version == theirs.version:
            return None
        return self._change(trio, ours.name, ours.version, structs.replace(ours.state, commit=""))

    def _name(self, trio: Trio, ours: Point, theirs: Point) -> str:
        old = None if trio.base is None else trio.base.name
        if theirs.name in {ours.name, old} or self.kind == "revert":
            return ours.name
        if ours.name != old and self._settle_whole(trio, what="name") != "theirs":
            return ours.name
        self._refuse_taken_name(theirs.name)
        return theirs.name

    def _content(self, trio: Trio, ours: Point, theirs: Point) -> tuple[Manifest | None, MergedDataset]:
        """Return the manifest to be (None: as ours has it), and what that does to ours."""
        same = MergedDataset(dataset=ours.name, action="kept")
        base = trio.base
        if theirs.version == ours.version or (base is not None and theirs.version == base.version):
            return None, same
        mine, other = (load_manifest(self.objects, point.version) for point in (ours, theirs))
        if base is not None and ours.version == base.version:
            return other, self._taken(ours, mine, other)
        if base is None:
            if self.same_rows(ours, theirs):
                return None, same
            alike = mine.key and mine.key == other.key and mine.schema_json == other.schema_json
            if not alike:
                return self._whole(trio, mine, other) if self._settle_whole(trio) == "theirs" else (None, same)
            start = Manifest.empty(mine.schema_json, mine.key, mine.sort)
        else:
            start = load_manifest(self.objects, base.version)
            keys = [stored_names(manifest, "key") for manifest in (start, mine, other)]
            if len(set(keys)) > 1:
                return self._other_key(trio, start, mine, other)
        return self._merged(trio, start, mine, other)

    def _other_key(
        self, trio: Trio, start: Manifest, mine: Manifest, other: Manifest
    ) -> tuple[Manifest | None, MergedDataset]:
        base, ours, theirs = (json_text(list(manifest.key)) for manifest in (start, mine, other))
        conflict = Conflict(dataset=trio.name, kind="key", base=base, ours=ours, theirs=theirs)
        if self.settlement.settle(conflict, lambda: self._newest(trio)) == "theirs":
            return self._whole(trio, mine, other)
        return None, MergedDataset(dataset=trio.name, action="kept")

    def _whole(self, trio: Trio, mine: Manifest, other: Manifest) -> tuple[Manifest, MergedDataset]:
        assert trio.ours is not None
        return other, self._taken(trio.ours, mine, other)

    def _taken(self, ours: Point, mine: Manifest, other: Manifest) -> MergedDataset:
        added, removed, changed = counted(self.objects, mine, other)
        columns = tuple(column_changes(mine.schema_json, other.schema_json))
        return MergedDataset(
            dataset=ours.name,
            action="taken",
            rows_added=added,
            rows_removed=removed,
            rows_changed=changed,
            columns=columns,
        )

    def _merged(
        self, trio: Trio, start: Manifest, mine: Manifest, other: Manifest
    ) -> tuple[Manifest | None, MergedDataset]:
        merge = ContentMerge(
            dataset=trio.name,
            base=start,
            ours=mine,
            theirs=other,
            objects=self.objects,
            stage=self.stage,
            settlement=self.settlement,
            newest=lambda: self._newest(trio),
            newest_rows=lambda merged, keys: self._newest_rows(trio, merged, keys),
        )
        found = merge.merge()
        if found is None:
            return None, MergedDataset(dataset=trio.name, action="kept")
        manifest, rows = found
        return manifest, MergedDataset(
            dataset=trio.name,
            action="merged",
            rows_added=rows.added,
            rows_removed=rows.removed,
            rows_changed=rows.changed,
            rows_merged=rows.merged,
            columns=tuple(column_changes(mine.schema_json, manifest.schema_json)),
        )

    # ----------------------------------------------------------------------------------------------- which is newer

    def _newest(self, trio: Trio) -> str:
        """Return the side that changed the dataset last (a drop is a change, too)."""
        times = []
        for commit, point in ((self.ours, trio.ours), (self.theirs, trio.theirs)):
            name = point.name if point is not None else (trio.base.name if trio.base is not None else trio.name)
            state = commit.dataset(name, self.objects.read)
            times.append(0 if state is None else state.time)
        return "theirs" if times[1] > times[0] else "ours"

    def _newest_rows(self, trio: Trio, merged: MergedSchema, keys: Digests) -> list[str]:
        from dataplat.lake.schema import schema_from_json

        assert trio.ours is not None
        assert trio.theirs is not None
        base = None if trio.base is None else trio.base.version
        schema = schema_from_json(merged.columns)
        ours, theirs = (
            touch_times(self.objects, commit, point.name, base, schema, merged.key, keys)
            for commit, point in ((self.ours, trio.ours), (self.theirs, trio.theirs))
        )
        return ["theirs" if newer else "ours" for newer in (theirs > ours).tolist()]

    # ----------------------------------------------------------------------------------------------- what is committed

    def _change(self, trio: Trio, name: str, version: str | None, restore: DatasetState) -> PlannedChange:
        return PlannedChange(
            dataset=name, mode="merge", base_version=version, restore=restore, lineage=self._lineage(trio)
        )

    def _lineage(self, trio: Trio) -> tuple[Input, ...]:
        point = trio.theirs
        base = "" if trio.base is None else trio.base.told
        return (
            Input(
                name=trio.name if point is None else point.name,
                kind=self.kind,
                version="" if point is None else point.version,
                detail={"commit": self.theirs.id, "base": base},
            ),
        )


def _rename(ours: Point, name: str) -> dict[str, Any]:
    return {} if name == ours.name else {"rename_to": name}
