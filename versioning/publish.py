"""Commit: bring planned changes onto the head of a branch, all of them at once or none."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from msgspec import structs

from dataplat.errors import AlreadyExists, CommitConflict, DatasetNotFound, ObjectExists, PositionConflict
from dataplat.lake.objects import Objects
from dataplat.lake.stores import SupportsFiles
from dataplat.versioning._protection import Gate, contracts_of, pass_gate, refuse_protected
from dataplat.versioning._queue import Turn, turn
from dataplat.versioning._record import Record
from dataplat.versioning._unite import RoaringCodec, unites_deletes
from dataplat.versioning.commit import (
    Check,
    Commit,
    DatasetChange,
    DatasetState,
    StateOf,
    load_commit,
    next_state,
    with_bulk,
)
from dataplat.versioning.compact import across, moved_by
from dataplat.versioning.gc.guard import Guard
from dataplat.versioning.manifest import Manifest, ManifestEdit, load_manifest
from dataplat.versioning.names import check_dataset_name
from dataplat.versioning.rebase import PlannedChange, check_positions, only_adds, rebase
from dataplat.versioning.redactions import followed
from dataplat.versioning.refs import Refs
from dataplat.versioning.suppression import lists_of, refuse_suppressed, renamed_on

if TYPE_CHECKING:
    from dataplat.lake.objects import Stage

__all__ = ["Gate", "LakeIO", "PlannedChange", "commit"]

_RACES: Final = 200
"""How often a commit that lost the race for the next record tries again."""

_REPLANS: Final = 20
"""How often a change is planned anew because the branch moved."""

_MONOTONE: Final = frozenset({"append", "compact", "create", "delete", "describe", "evolve", "rename", "upsert"})
"""Modes that never bring deleted rows back."""

_CROSS: Final = frozenset({"append", "delete", "upsert"})
"""Modes that are carried past compactions."""

_AT_ONCE: Final = 8 << 20
"""Bytes that go to a store far away together with the commit that names them, before anybody looks at the head again."""

_LOOK_BACK: Final = 32
"""Commits that are looked at to see whether all since the base were such."""


@dataclass(frozen=True, slots=True)
class LakeIO:
    """What committing needs of a lake: its objects and its refs (both of one store), and who asks contracts.

    Without a `gate` nothing is committed to datasets that a branch holds to a contract.
    """

    objects: Objects
    refs: Refs
    gate: Gate | None = None


def commit(
    lake: LakeIO,
    branch: str,
    changes: Sequence[PlannedChange],
    stage: Stage,
    *,
    message: str = "",
    author: str | None = None,
    merged: Sequence[str] = (),
    admit: Callable[[Record], None] | None = None,
    settings: Callable[[Record], dict[str, Any]] | None = None,
    held: Turn | None = None,
) -> Commit:
    """Commit `changes`, whose parts are in `stage`, to `branch`; return the commit once it is on it.

    Where the branch has moved since they were planned, they are rebased, or planned anew by their `replan`. All
    objects are durable before the branch moves. `merged` are further parents; `admit` sees every head that the
    commit is tried on, and may raise; `settings` gives, of such a head, those that the branch has afterwards. `held` is
    the branch's turn where the caller has it already.

    Raises:
        BranchNotFound: There is no such branch (any more).
        PositionConflict, KeyConflict, CommitConflict: A change does not hold on the head. Nothing moved.
        ContractFailed, BranchProtected: It breaks what the branch is held to. Nothing moved.
        CommitInDoubt: The store never said whether the record landed.
    """
    names = [name for change in changes for name in (change.dataset, change.rename_to) if name]
    if len(set(names)) < len(names):
        raise ValueError(f"a commit changes each dataset once, but was given {', '.join(names)}")
    pending = list(changes)
    seen = lake.refs.seen(branch)
    guard = Guard(lake.objects, lake.refs, stage, seen)
    at_once = _goes_at_once(stage, seen, changes)
    if not at_once:
        guard.steer(seen)
        stage.flush()
    with nullcontext(held) if held is not None else turn(lake.objects.store, branch) as mine:
        for attempt in range(_RACES):
            trusted = at_once and attempt == 0
            head = seen if trusted else lake.refs.head(branch, guess=mine.last)
            try:
                if admit is not None:
                    admit(head)
                made = _Attempt(lake, head, stage).make(pending, message, author or lake.refs.actor, merged)
            except Exception:
                if not trusted:
                    raise
                guard.steer(seen)
                stage.flush()  # of a head that may be none any more it says nothing: now in the usual order
                continue
            wanted = _settings(head, pending, settings)
            with lake.refs.draft(head, made, wanted) as drafted:
                guard.steer(head)
                stage.flush(None if drafted is None else drafted.file.write)
                guard.check(head, made, pending)
                try:
                    lake.refs.publish(branch, head, made, settings=wanted, drafted=drafted, visible=mine.leave)
                except ObjectExists:
                    lake.refs.patience.pause(min(attempt, 3))
                    continue
            break
        else:
            raise CommitConflict(
                f"branch {branch!r} moved {_RACES} times while this commit was tried: too many writers at once"
            )
    lake.objects.learn(stage)
    return made


def _goes_at_once(stage: Stage, seen: Record, changes: Sequence[PlannedChange]) -> bool:
    """Whether to try the head seen last, without a look whether it still is, and with all objects in one go.

    The record is created after that head or not at all, so a look decides nothing: far away it costs a round trip, and
    finds little where what is to be sent takes no longer than a few of them. On a local file system it costs nothing,
    and what is durable before the branch's turn keeps others waiting less. Where a manifest is planned whole (by a merge)
    it is read from the store.
    """
    far = not isinstance(stage.store, SupportsFiles)
    whole = any(stage.knows(str(change.restore.version), ".json") for change in changes if change.restore is not None)
    return far and seen.kind != "delete" and stage.pending_bytes <= _AT_ONCE and not whole


def _settings(
    head: Record, changes: Sequence[PlannedChange], asked: Callable[[Record], dict[str, Any]] | None
) -> dict[str, Any] | None:
    """Return the settings after the commit; rows that were erased stay so where a dataset gets another name."""
    names = {change.dataset: change.rename_to for change in changes if change.rename_to}
    given = None if asked is None else asked(head)
    return (renamed_on(given or head.settings, names) if names else None) or given


@dataclass(frozen=True, slots=True)
class _ToAsk:
    """A change whose contracts are asked once all changes of the commit are known, and the checks that it brings."""

    change: PlannedChange
    before: DatasetState | None
    after: Manifest | None
    checks: Sequence[Check]


class _Attempt:
    """One try to make a commit on a head."""

    def __init__(self, lake: LakeIO, head: Record, stage: Stage) -> None:
        self._objects = lake.objects
        self._refs = lake.refs
        self._gate = lake.gate
        self._head = head
        self._stage = stage
        self._parent = head.commit
        self._time = lake.refs.next_time(head)
        self._to_ask: dict[str, _ToAsk] = {}

    def make(self, pending: list[PlannedChange], message: str, author: str, merged: Sequence[str]) -> Commit:
        """Stage the commit; a change that had to be planned anew takes its place in `pending`."""
        done: dict[str, DatasetChange] = {}
        states: dict[str, DatasetState] = {}
        for index, change in enumerate(pending):
            check_dataset_name(change.dataset)
            pending[index] = self._change(change, done, states)
        for name, asked in self._to_ask.items():  # once all is known, as a rule may look at other datasets
            checks = self._passed(name, asked, partial(self._state_of, states))
            done[name] = structs.replace(done[name], checks=tuple(checks))
        made = Commit(
            author=author,
            time=self._time,
            nonce=self._refs.nonce(),
            message=message,
            parents=(self._parent.id, *merged),
            changes={name: with_bulk(change, self._stage) for name, change in done.items()},
            state=next_state(self._parent, states, self._stage, self._read),
        )
        self._stage.put(made.data, ".json")
        return made

    def _state_of(self, states: Mapping[str, DatasetState], name: str) -> DatasetState | None:
        return states[name] if name in states else self._parent.dataset(name, self._read)

    def _read(self, id: str, suffix: str) -> bytes:
        if self._stage.holds(id, suffix):
            return self._stage.read(id, suffix)
        return self._objects.read(id, suffix)

    def _change(
        self, change: PlannedChange, done: dict[str, DatasetChange], states: dict[str, DatasetState]
    ) -> PlannedChange:
        """Add what `change` does on this head to `done` and `states`; return it as it was planned last."""
        state = self._parent.dataset(change.dataset, self._read)
        check_positions(change, state, self._read)
        for _ in range(_REPLANS):
            try:
                self._apply(change, state, done, states)
                return change
            except PositionConflict:
                raise
            except CommitConflict:
                if change.replan is None:
                    raise
                change = change.replan(self._manifest(state))
                check_positions(change, state, self._read)
        raise CommitConflict(
            f"dataset {change.dataset!r} was planned {_REPLANS} times for one head and never fitted it"
        )

    def _manifest(self, state: DatasetState | None) -> Manifest | None:
        if state is None or state.version is None:
            return None
        version = state.version
        if lists_of(self._head.settings):  # an older version may have been erased and be there still
            version = followed(self._objects.store, version)
        return load_manifest(self._objects, version)

    def _apply(
        self,
        change: PlannedChange,
        state: DatasetState | None,
        done: dict[str, DatasetChange],
        states: dict[str, DatasetState],
    ) -> None:
        if change.mode == "rename":
            self._rename(change, state, done, states)
            return
        edit = change.edit
        if change.mode == "drop":
            after, checks = None, change.checks
            self._refuse_moved(change, state)
        elif change.restore is not None:
            self._refuse_moved(change, state)
            after, checks = self._manifest(change.restore), change.checks
        else:
            after, checks, edit = self._edited(change, state)
        if change.mode != "erase":
            staged = Objects(self._objects.store, self._stage)
            for name in {change.dataset, change.rename_to or change.dataset}:
                refuse_suppressed(staged, self._head.settings, name, self._manifest(state), after)
        self._to_ask[change.rename_to or change.dataset] = _ToAsk(change, state, after, checks)
        done[change.dataset] = self._described(change, edit, state, after, checks)
        states[change.dataset] = self._state(change, state, after)
        if change.rename_to:  # a merge may bring another name with other rows
            self._carry_over(change, state, done, states)

    def _passed(self, dataset: str, asked: _ToAsk, state_of: StateOf) -> Sequence[Check]:
        """Return the checks of a change with those that it and the branch itself ask for."""
        change, state, after, checks = asked.change, asked.before, asked.after, asked.checks
        objects = Objects(self._objects.store, self._stage)
        if change.ask is not None and after is not None:
            checks = (*checks, *change.ask(after, objects, state_of))
        if dataset not in contracts_of(self._head):
            return checks
        change = replace(change, checks=checks)
        before = self._manifest(state) if dataset == change.dataset else None  # under another name it met no contract
        return (*checks, *pass_gate(self._gate, self._head, dataset, before, after, change, objects, state_of))

    def _edited(
        self, change: PlannedChange, state: DatasetState | None
    ) -> tuple[Manifest, Sequence[Check], ManifestEdit]:
        """Return the manifest after the change, the outcome of its checks, and the edit, rebased if need be."""
        head = self._manifest(state)
        planned_here = (None if head is None else head.id) == change.base_version
        edit, checks = change.edit, change.checks
        if not planned_here:
            edit = self._rebased(change, head)
        if head is None:
            head = Manifest.empty(edit.schema_json or (), edit.key or (), edit.sort or ())
        elif edit.is_empty:
            return head, checks, edit
        after = head.apply(edit, self._stage)
        if not planned_here and change.recheck is not None:
            checks = change.recheck(after)
        return after, checks, edit

    def _rebased(self, change: PlannedChange, head: Manifest | None) -> ManifestEdit:
        if head is None:
            raise CommitConflict(f"dataset {change.dataset!r} was dropped meanwhile. Nothing was committed.")
        edit = change.edit
        if change.base_version is None:
            base = Manifest.empty(edit.schema_json or (), edit.key or (), edit.sort or ())
        else:
            base = load_manifest(self._objects, change.base_version)
            if base.redacted_from is not None:
                raise CommitConflict(
                    f"rows were erased from {change.dataset!r} since this {change.mode} was planned. Nothing was committed."
                )
        if base.id != head.id and only_adds(change, head):
            return rebase(change, base, head)
        if change.merge_deletes is None:
            change = replace(change, merge_deletes=unites_deletes(self._stage))
        if change.codec is None:
            change = replace(change, codec=RoaringCodec(self._stage))
        since = self._since(change)
        restored = since is None or any(done.mode not in _MONOTONE for done in since)
        if change.mode in _CROSS and not restored:
            change, base = self._carried(change, base, [done for done in since or () if done.moved])
        return rebase(change, base, head, restored=restored) if base.id != head.id else change.edit

    def _carried(
        self, change: PlannedChange, base: Manifest, compactions: Sequence[DatasetChange]
    ) -> tuple[PlannedChange, Manifest]:
        """Return the change, and the version it is planned on, past all compactions (newest first) since the base."""
        codec = change.codec
        assert codec is not None
        for done in reversed(compactions):
            before, after = (load_manifest(self._objects, str(version)) for version in (done.base, done.version))
            edit = change.edit if before.id == base.id else rebase(change, base, before)
            change, base = replace(change, edit=across(edit, before, after, done.moved, codec)), after
        return change, base

    def _since(self, change: PlannedChange) -> list[DatasetChange] | None:
        """Return what was done to the dataset since the base, newest first; None where that is not known."""
        state = self._parent.dataset(change.dataset, self._read)
        commit_id = "" if state is None else state.commit
        name = change.dataset
        since: list[DatasetChange] = []
        for _ in range(_LOOK_BACK):
            if not commit_id:
                return since if change.base_version is None else None
            commit = self._parent if commit_id == self._parent.id else load_commit(self._objects, commit_id)
            done = commit.changes[name]
            if done.version == change.base_version:
                return since
            since.append(done)
            name, commit_id = done.renamed_from or name, done.before
        return None

    def _refuse_moved(self, change: PlannedChange, state: DatasetState | None) -> None:
        version = None if state is None else state.version
        if version != change.base_version and (head := self._manifest(state)) is not None:
            version = head.id  # what stands at the head was erased, and leads there
        if version is None and change.mode == "drop":
            raise DatasetNotFound(f"there is no dataset {change.dataset!r} to drop on this branch")
        if version != change.base_version:
            raise CommitConflict(
                f"dataset {change.dataset!r} changed since this {change.mode} was planned. Nothing was committed."
            )

    def _described(
        self,
        change: PlannedChange,
        edit: ManifestEdit,
        state: DatasetState | None,
        after: Manifest | None,
        checks: Sequence[Check],
    ) -> DatasetChange:
        rows_before = 0 if state is None or state.version is None else state.rows
        rows = 0 if after is None else after.rows
        rows_added = 0 if change.mode == "compact" else sum(part.live for part in change.edit.add)
        if change.restore is not None or change.mode == "drop":
            rows_added = max(change.rows_added, rows - rows_before, 0)
        return DatasetChange(
            mode=change.mode,
            version=None if after is None else after.id,
            base=None if state is None else state.version,
            before="" if state is None else state.commit,
            rows=rows,
            bytes=0 if after is None else after.nbytes,
            rows_added=rows_added,
            rows_deleted=rows_before + rows_added - rows,
            where=change.where,
            starts=dict(change.starts),
            positions=dict(change.positions),
            checks=tuple(checks),
            lineage=tuple(change.lineage),
            description=change.description,
            moved=moved_by(change.rewrites, edit.drop),
        )

    def _state(self, change: PlannedChange, state: DatasetState | None, after: Manifest | None) -> DatasetState:
        if after is None:
            return DatasetState(version=None, time=self._time)
        held = (None if change.mode == "erase" else change.restore) or state or DatasetState()
        description = held.description if change.description is None else change.description
        return DatasetState(
            version=after.id,
            rows=after.rows,
            bytes=after.nbytes,
            time=self._time,
            description=description,
            positions=held.advanced(change.positions, self._stage, self._read),
        )

    def _carry_over(
        self,
        change: PlannedChange,
        state: DatasetState | None,
        done: dict[str, DatasetChange],
        states: dict[str, DatasetState],
    ) -> None:
        """Put what was done to a dataset under its new name."""
        old, new = change.dataset, check_dataset_name(change.rename_to)
        taken = self._parent.dataset(new, self._read)
        if state is None or (taken is not None and taken.version is not None):
            raise AlreadyExists(f"there is a dataset {new!r} already, or none {old!r}")
        refuse_protected(self._head, old, "renamed")
        done[new] = structs.replace(done[old], renamed_from=old)
        states[new] = states[old]
        done[old], states[old] = self._renamed_away(state, new)

    def _renamed_away(self, state: DatasetState, new: str) -> tuple[DatasetChange, DatasetState]:
        """Return what the old name of a dataset says once it is called `new`."""
        change = DatasetChange(
            mode="rename", base=state.version, before=state.commit, renamed_to=new, rows_deleted=state.rows
        )
        return change, DatasetState(version=None, time=self._time)

    def _rename(
        self,
        change: PlannedChange,
        state: DatasetState | None,
        done: dict[str, DatasetChange],
        states: dict[str, DatasetState],
    ) -> None:
        """A rename takes the dataset as it is, so it holds on any head that has the old name and not the new."""
        old, new = change.dataset, check_dataset_name(change.rename_to)
        if state is None or state.version is None:
            raise DatasetNotFound(f"there is no dataset {old!r} to rename on this branch")
        taken = self._parent.dataset(new, self._read)
        if taken is not None and taken.version is not None:
            raise AlreadyExists(f"there is a dataset {new!r} already")
        refuse_protected(self._head, old, "renamed")
        self._to_ask[new] = _ToAsk(change, None, self._manifest(state), ())
        done[old], states[old] = self._renamed_away(state, new)
        done[new] = DatasetChange(
            mode="rename",
            version=state.version,
            base=state.version,
            before=state.commit,
            rows=state.rows,
            bytes=state.bytes,
            renamed_from=old,
        )
        states[new] = structs.replace(state, commit="", time=self._time)  # this commit, which has no id yet
