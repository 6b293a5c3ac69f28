"""Whether a change that was planned on one version still holds on a later one, and what it is there.

Pure: it looks at manifests, and asks the planner's callables where rows have to be read. Rules:

- Two appends to a dataset without key never conflict.
- Where there is a key, the keys of incoming rows must be disjoint from those of rows that came since.
- A delete's condition must match none of the rows that came since.
- Deletes of one part by two writers are united. That both delete a row is fine if ours is a delete; if ours is an
  upsert, the row was changed by both.
- Columns that came since, were renamed or reordered are fine, any other change of schema or key is a conflict.
- A compaction follows deletes of others exactly; where others rewrote or replaced its parts, theirs holds.
- A replace, a rollback and a drop hold only on the very version that they were planned on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, Protocol

from dataplat.errors import CommitConflict, KeyConflict, PositionConflict
from dataplat.lake.digest import Digest
from dataplat.lake.part import Part
from dataplat.lake.schema import stored_in
from dataplat.versioning._difference import PartsDifference, difference
from dataplat.versioning._lsm import Read
from dataplat.versioning._table import named
from dataplat.versioning.commit import Check, DatasetState, Input, Mode, Position, StateOf
from dataplat.versioning.compact import DeletesCodec, Rewrite, edit_of, rebased, used_places
from dataplat.versioning.manifest import Manifest, ManifestEdit

if TYPE_CHECKING:
    from dataplat.lake.objects import Objects

_REBASED: Final = frozenset({"append", "upsert", "delete", "evolve", "describe"})


@dataclass(frozen=True, slots=True)
class MergedDeletes:
    """The union of two sets of deletes of a part: object id, cardinality, and rows that both deleted since the base."""

    id: str
    count: int
    overlap: int


class MergesDeletes(Protocol):
    """Unites what two writers deleted of one part (where a change has none, `publish` does it with Roaring bitmaps)."""

    def __call__(self, part: Part, ours: str, theirs: str) -> MergedDeletes:
        """Stage the union of the bitmaps `ours` and `theirs`; `part` is as it was before either."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedChange:
    """What a writer wants to commit to one dataset, and how to tell whether it still holds when the branch moved.

    `base_version` is the version that it was planned on (None: there was no such dataset; then `edit` has a schema).
    `starts` are the positions that were assumed (None: source not read before), `positions` where it is now read to.

    `keys_overlap`: given parts that came since the base, return some keys that are also among the incoming rows.
    `where_matches`: given such parts, whether the condition matches any of their rows.
    `merge_deletes`: see `MergesDeletes`. `recheck`: given the manifest as it would be, return the checks' outcomes,
    or raise; `ask`: the same, asked of whatever is committed, rebased or not, with where other datasets would stand. `replan`: given the head's manifest (None: no dataset), plan anew where the change does not hold.
    `rename_to` is the new name of a rename, `restore` the state that a rollback goes back to; `rows_added` are rows that
    it brings, where that is known: else more or fewer of them are counted. `rewrites` is what a compaction did, `codec` how deletes are read and staged where they are no Roaring bitmaps.
    """

    dataset: str
    mode: Mode
    base_version: str | None = None
    edit: ManifestEdit = field(default_factory=ManifestEdit)
    where: str | None = None
    starts: Mapping[str, Position | None] = field(default_factory=dict)
    positions: Mapping[str, Position] = field(default_factory=dict)
    checks: Sequence[Check] = ()
    lineage: Sequence[Input] = ()
    description: str | None = None
    rename_to: str = ""
    restore: DatasetState | None = None
    rows_added: int = 0
    keys_overlap: Callable[[Sequence[Part]], Sequence[object]] | None = None
    where_matches: Callable[[Sequence[Part]], bool] | None = None
    merge_deletes: MergesDeletes | None = None
    recheck: Callable[[Manifest], Sequence[Check]] | None = None
    ask: Callable[[Manifest, Objects, StateOf], Sequence[Check]] | None = None
    replan: Callable[[Manifest | None], PlannedChange] | None = None
    rewrites: Sequence[Rewrite] = ()
    codec: DeletesCodec | None = None


def check_positions(change: PlannedChange, state: DatasetState | None, read: Read) -> None:
    """Raise `PositionConflict` unless every source still stands where the change assumed it."""
    if not change.starts:
        return
    held = {} if state is None else state.load_positions(list(change.starts), read)
    for source, start in change.starts.items():
        if held.get(source) != start:
            raise PositionConflict(
                f"source {source!r} of dataset {change.dataset!r} was read by somebody else meanwhile: it stands at "
                f"{_short(held.get(source))}, not at {_short(start)}. Nothing was committed; plan again from there."
            )


def rebase(change: PlannedChange, base: Manifest, head: Manifest, *, restored: bool = False) -> ManifestEdit:
    """Return the edit that does to `head` what `change.edit` does to `base`.

    `restored` says that somebody may have undone deletes since (a rollback): then parts with other deletes count as
    come since, too.

    Raises:
        KeyConflict: Rows that came since have keys of ours, or a row of ours was changed by somebody else.
        CommitConflict: It does not hold on `head` for another reason, which the message says.
    """
    if change.mode == "compact":
        return _compacted(change, base, head, restored=restored)
    if change.mode not in _REBASED:
        raise _conflict(change, f"a {change.mode} holds only on the version that it was planned on")
    edit = _fitted(change, base, head)
    if only_adds(change, head):  # whatever parts came or went: they need not be read
        return replace(edit, digest=_digest(edit, base, head))
    theirs = difference(base, head)
    if restored and theirs.changed and (edit.deletes or edit.drop):
        raise _conflict(change, "deletes may have been undone")
    came = [named(part, base.root) for part in (*theirs.added, *(new for _, new in theirs.changed if restored))]
    _check_keys(change, head, came)
    _check_where(change, came)
    carried, exact = _carried(change, edit, base, theirs)
    return replace(carried, digest=_digest(edit, base, head) if exact else None)


def only_adds(change: PlannedChange, head: Manifest) -> bool:
    """Whether a change adds rows that nothing in `head` can be in the way of: an append where there is no key."""
    return change.mode == "append" and not (head.key or change.edit.deletes or change.edit.drop)


def _compacted(change: PlannedChange, base: Manifest, head: Manifest, *, restored: bool) -> ManifestEdit:
    """Return what of a compaction is left to do; raise if nothing is, which is no fault of anybody."""
    same = (base.schema_json, base.key, base.sort) == (head.schema_json, head.key, head.sort)
    if restored or not same or change.codec is None:
        raise _conflict(change, "parts cannot be compacted across that")
    left = rebased(change.rewrites, difference(base, head), change.codec)
    left = [rewrite for rewrite in left if not _places_taken(rewrite, head)]
    if not left:
        raise _conflict(change, "somebody else was faster")
    return edit_of(left, head.digest)


def _places_taken(rewrite: Rewrite, head: Manifest) -> bool:
    """Whether `head` speaks of a place of an output: of a part that another compaction put there, and that went since.

    What segments say of a place is one part's story, so another part there would be dropped with it.
    """
    places = [part.place for part in rewrite.outputs if part.live]
    return bool(places) and not used_places(head, places[0], rewrite.end).isdisjoint(places)


def _fitted(change: PlannedChange, base: Manifest, head: Manifest) -> ManifestEdit:
    """Return the edit without a schema and key that the head has already; raise if its own are others."""
    edit = change.edit
    if change.base_version is None:  # somebody else created the dataset meanwhile
        edit = replace(edit, schema_json=None, key=None, sort=None)
    if _stored_key(head) != _stored_key(base):
        raise _conflict(change, f"its key became ({', '.join(head.key) or 'none'})")
    if edit.schema_json is not None or edit.key is not None:
        if head.schema_json != base.schema_json:
            raise _conflict(change, "both changed its schema")
    elif not _extends(base.schema_json, head.schema_json):
        raise _conflict(change, "its schema changed")
    return edit


def _stored_key(manifest: Manifest) -> tuple[str, ...]:
    return tuple(manifest.root.names.get(name, name) for name in manifest.key)


def _extends(base: Sequence[Mapping[str, Any]], head: Sequence[Mapping[str, Any]]) -> bool:
    """Whether rows of the schema `base` are rows of `head` once missing columns are filled with nulls.

    Columns are told by their stored names, under which parts hold them: other names and another order do not matter.
    """
    columns = {stored_in(column): column for column in head}
    old = {stored_in(column): column for column in base}
    kept = all(stored in columns and _takes(columns[stored], column) for stored, column in old.items())
    return kept and all(_may_be_null(column) for stored, column in columns.items() if stored not in old)


def _takes(column: Mapping[str, Any], values: Mapping[str, Any]) -> bool:
    return column["type"] == values["type"] and (_may_be_null(column) or not _may_be_null(values))


def _may_be_null(column: Mapping[str, Any]) -> bool:
    return bool(column.get("nullable", True))


def _check_keys(change: PlannedChange, head: Manifest, came: Sequence[Part]) -> None:
    if not (head.key and came and change.edit.add):
        return
    if change.keys_overlap is None:
        raise _conflict(change, "rows were added, and this change cannot tell whether their keys are its own")
    examples = list(change.keys_overlap(came))
    if examples:
        shown = ", ".join(str(example) for example in examples[:3])
        raise KeyConflict(
            f"rows added to {change.dataset!r} since this {change.mode} was planned have keys of its own, such as "
            f"{shown}. Nothing was committed; plan again on the new version."
        )


def _check_where(change: PlannedChange, came: Sequence[Part]) -> None:
    if change.mode != "delete" or not came:
        return
    if change.where_matches is None or change.where_matches(came):
        raise _conflict(change, f"rows were added that `{change.where}` may match")


def _carried(
    change: PlannedChange, edit: ManifestEdit, base: Manifest, theirs: PartsDifference
) -> tuple[ManifestEdit, bool]:
    """Return the edit with its deletes and drops on the parts as they are now, and whether it deletes the same rows."""
    gone = {part.place for part in theirs.dropped}
    changed = {before.place: after for before, after in theirs.changed}
    touched = gone | changed.keys()
    strict = change.mode != "delete"
    exact = True
    deletes: dict[int, tuple[str | None, int]] = {}
    for key, (ours, count) in edit.deletes.items():
        for part in base.find(key):
            if part.place in changed:
                merged = _union(change, part, ours, changed[part.place].deletes)
                exact = exact and not merged.overlap
                deletes[part.place] = merged.id, merged.count
            elif part.place in gone:
                exact = False
            else:
                deletes[part.place] = ours, count
    drop = [part.place for key in edit.drop for part in base.find(key)]
    exact = exact and touched.isdisjoint(drop)
    if strict and not exact:
        raise _row_conflict(change)
    return replace(edit, deletes=deletes, drop=[place for place in drop if place not in gone]), exact


def _union(change: PlannedChange, part: Part, ours: str | None, theirs: str | None) -> MergedDeletes:
    if change.merge_deletes is None or ours is None or theirs is None:
        raise _conflict(change, f"rows of part {part.id[:12]} were deleted, and this change cannot unite deletes")
    return change.merge_deletes(part, ours, theirs)


def _digest(edit: ManifestEdit, base: Manifest, head: Manifest) -> Digest | None:
    if edit.digest is None or base.digest is None or head.digest is None:
        return None
    if any(head.root.names.get(name) != stored for name, stored in base.root.names.items()):
        return None  # a column has another name now, and its values another digest
    return head.digest + (edit.digest - base.digest)


def _row_conflict(change: PlannedChange) -> KeyConflict:
    return KeyConflict(
        f"a row of {change.dataset!r} that this {change.mode} replaces was changed by somebody else meanwhile. "
        "Nothing was committed; plan again on the new version."
    )


def _conflict(change: PlannedChange, reason: str) -> CommitConflict:
    return CommitConflict(
        f"dataset {change.dataset!r} changed since this {change.mode} was planned: {reason}. "
        "Nothing was committed; plan again on the new version."
    )


def _short(position: object) -> str:
    text = repr(position)
    return text if len(text) <= 80 else text[:77] + "..."
