"""Changes that are planned on one head of a branch and staged, but not committed: what a transaction holds."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol

from msgspec import structs

from dataplat.errors import CommitConflict, DatasetNotFound, PositionConflict
from dataplat.ingest._fold import fold
from dataplat.ingest._target import Target
from dataplat.lake.objects import Objects, Stage
from dataplat.versioning._outrun import OutrunError, outrun
from dataplat.versioning.commit import DatasetState
from dataplat.versioning.manifest import Manifest, load_manifest
from dataplat.versioning.names import check_dataset_name
from dataplat.versioning.publish import PlannedChange, commit
from dataplat.versioning.suppression import Suppression

if TYPE_CHECKING:
    from dataplat._lake import Lake
    from dataplat._version import Version
    from dataplat.versioning.commit import Commit

_REPLANS = 10
"""How often steps that the branch outran are taken anew."""


class Draft:
    """A head of a branch, and what is to become of it in one commit.

    All changes are planned on `head`, so that they hold together or not at all. A second change of a dataset starts
    from what the first would make of it, and the two become one.
    """

    def __init__(self, lake: Lake, branch: str) -> None:
        self.lake = lake
        self.branch = branch
        record = lake.refs.head(branch)
        self.head = record.commit
        self._settings = record.settings
        self.stage = Stage(lake.store)
        self.objects = Objects(lake.store, self.stage)
        self._changes: dict[str, PlannedChange] = {}
        self._after: dict[str, Manifest | None] = {}
        self.based: set[str] = set()
        """Datasets that were there when they were asked for."""

    @property
    def changes(self) -> Sequence[PlannedChange]:
        """The changes, one of each dataset."""
        return tuple(self._changes.values())

    def target(self, name: str) -> Target:
        """Return the dataset `name` as it would be after the changes so far."""
        there = Target.at(self.lake.objects, self.head, check_dataset_name(name))
        if there.manifest is not None:
            self.based.add(name)
        change = self._changes.get(name)
        if change is None:
            if any(other.rename_to == name for other in self.changes):
                raise _twice(name)
            return replace(there, others=self.state_of)
        after = self._manifest(there, change)
        held = there.state or DatasetState()
        positions = held.advanced(change.positions, self.stage, self.objects.read)
        state = structs.replace(held, version=after.id, rows=after.rows, bytes=after.nbytes, positions=positions)
        return Target(name, self.head, state, after, self.objects, tuple(change.checks), self.state_of)

    def state_of(self, name: str) -> DatasetState | None:
        """Return where the dataset `name` would stand after the changes so far; None: there is no such."""
        change = self._changes.get(name)
        if change is None:
            return self.head.dataset(name, self.objects.read)
        return None if change.mode in {"drop", "rename"} else self.target(name).state

    def state_now(self, name: str) -> DatasetState | None:
        """Return the same of a dataset that is not changed here as others have made it meanwhile."""
        if name in self._changes:
            return self.state_of(name)
        return self.lake.refs.head(self.branch).commit.dataset(name, self.objects.read)

    def suppression(self, name: str) -> Suppression | None:
        """Return what was erased from the dataset `name`, so that it does not come in again."""
        return Suppression.of(self.lake.objects, self._settings, name)

    def existing(self, name: str) -> Target:
        """Return the dataset `name` as it would be; raise `DatasetNotFound` if there is none."""
        target = self.target(name)
        if target.manifest is None:
            names = ", ".join(self.head.datasets(self.lake.objects.read)) or "none"
            message = f"there is no dataset {name!r} on branch {self.branch}; there are: {names}"
            raise DatasetNotFound(message)
        return target

    def version(self, name: str) -> Version:
        """Return the dataset `name` as it would be."""
        from dataplat._version import Version

        target = self.existing(name)
        assert target.manifest is not None
        return (Version if target.staged is None else _staged_version())(
            target.objects, name, target.manifest, self.head
        )

    def add(self, change: PlannedChange) -> None:
        """Add a change that was planned on `target(change.dataset)`."""
        name = change.dataset
        before = self._changes.get(name)
        if change.rename_to in self._changes or any(other.rename_to == name for other in self.changes):
            raise _twice(change.rename_to or name)
        if before is not None:
            there = Target.at(self.lake.objects, self.head, name)
            change = fold(before, change, there.manifest, self._manifest(there, before), self.stage)
        self._changes[name] = change
        self._after.pop(name, None)

    def commit(self, message: str) -> Commit | None:
        """Commit the changes; return None where there is none.

        Raises:
            CommitConflict: The branch moved so that they do not hold. Nothing was committed.
        """
        if not self._changes:
            return None
        return commit(self.lake.io, self.branch, self.changes, self.stage, message=message)

    def _manifest(self, there: Target, change: PlannedChange) -> Manifest:
        """Return what `change` makes of the dataset."""
        if change.mode in {"drop", "rename"}:
            raise _twice(change.dataset)
        if change.restore is not None:
            return load_manifest(self.objects, str(change.restore.version))
        if change.dataset not in self._after:
            edit = change.edit
            base = there.manifest or Manifest.empty(edit.schema_json or (), edit.key or (), edit.sort or ())
            self._after[change.dataset] = base.apply(edit, self.stage)
        made = self._after[change.dataset]
        assert made is not None
        return made


@cache
def _staged_version() -> type[Version]:
    from dataplat._version import Version

    class StagedVersion(Version):
        """A version in a transaction: no commit has made it yet."""

        @property
        def commit(self) -> Commit:
            """The commit that the transaction started from."""
            return self._found_at

    return StagedVersion


def _twice(name: str) -> CommitConflict:
    return CommitConflict(
        f"dataset {name!r} is dropped, renamed or rolled back in this transaction, so nothing else can be done to it "
        "there. Nothing was committed; make that a transaction of its own."
    )


class Step(Protocol):
    """One thing that is done in a transaction."""

    @property
    def replays(self) -> bool:
        """Whether it can be done anew on another head: its input can be read again, and it still means the same."""
        ...

    def run(self, draft: Draft) -> Any:
        """Plan it on `draft`; return what is known of it then."""
        ...

    def done(self, draft: Draft, result: Any, made: Commit | None) -> Any:
        """Return the result after the commit `made` (None: there was nothing to commit)."""
        ...


@dataclass(slots=True)
class Run:
    """Steps that become one commit: done on a draft, and anew on another where the branch moved meanwhile."""

    lake: Lake
    branch: str
    message: str
    draft: Draft
    steps: list[Step]
    results: list[Any]

    @classmethod
    def begin(cls, lake: Lake, branch: str, message: str) -> Run:
        """Return a run of no steps, on the head of `branch`."""
        return cls(lake, branch, message, Draft(lake, branch), [], [])

    def take(self, step: Step) -> Any:
        """Do a step, and return its result so far; all of them anew where the branch outran what this one reads."""
        steps = [*self.steps, step]
        try:
            with self._outrun():
                self.results = [*self.results, step.run(self.draft)]
        except OutrunError:
            if not self._again(steps):
                raise
        self.steps = steps
        return self.results[-1]

    def commit(self) -> Commit | None:
        """Commit; where the branch moved so that a step does not hold, do all of them anew, if all can be.

        Raises:
            PositionConflict, CommitConflict: They do not hold. Nothing was committed.
        """
        for attempt in range(_REPLANS):
            try:
                with self._outrun():
                    made = self.draft.commit(self.message)
                break
            except PositionConflict:
                raise
            except CommitConflict:
                if attempt == _REPLANS - 1 or not self._again(self.steps):
                    raise
        done = zip(self.steps, self.results, strict=True)
        self.results = [step.done(self.draft, result, made) for step, result in done]
        return made

    def close(self) -> None:
        """Forget what is staged."""
        self.draft.stage.discard()

    def _outrun(self) -> AbstractContextManager[None]:
        return outrun(self.lake.refs, self.branch, self.draft.head.id)

    def _again(self, steps: Sequence[Step]) -> bool:
        """Do `steps` on the head of now; return whether they could be."""
        for _ in range(_REPLANS):
            if not all(step.replays for step in steps) or self._something_went():
                return False
            self.close()
            self.draft = Draft(self.lake, self.branch)
            with suppress(OutrunError), self._outrun():
                self.results = [step.run(self.draft) for step in steps]
                return True
        return False

    def _something_went(self) -> bool:
        """Whether a dataset was dropped meanwhile: made anew, it would lack its key and its history."""
        head = self.lake.refs.head(self.branch).commit
        states = [head.dataset(name, self.lake.objects.read) for name in self.draft.based]
        return any(state is None or state.version is None for state in states)


def carry_out(lake: Lake, branch: str, message: str, step: Step) -> Any:
    """Do one step as a commit of its own; return its result."""
    run = Run.begin(lake, branch, message)
    try:
        run.take(step)
        run.commit()
        return run.results[0]
    finally:
        run.close()
