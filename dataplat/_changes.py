"""Changes of a dataset that bring no new rows: delete, rollback, drop, rename, describe; each a step of a transaction."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Unpack

from dataplat.errors import AlreadyExists, ConfigError, DatasetNotFound, VersionNotFound
from dataplat.versioning.publish import PlannedChange

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

    from dataplat._evolve import EvolveOptions
    from dataplat._lake import Lake
    from dataplat._version import Version
    from dataplat.ingest import IngestResult
    from dataplat.ingest._draft import Draft
    from dataplat.ingest._progress import Meter
    from dataplat.ingest._target import Target
    from dataplat.lake.part import Part
    from dataplat.lake.where import Where
    from dataplat.versioning.commit import Commit, DatasetState
    from dataplat.versioning.manifest import Manifest


@dataclass(frozen=True, slots=True)
class ChangeStep:
    """A change of a dataset as a step; `plan` adds it to a draft. Its result is the commit."""

    plan: Callable[[Draft], None]
    replays: bool = True

    def run(self, draft: Draft) -> None:
        """Plan it."""
        self.plan(draft)

    def done(self, draft: Draft, result: None, made: Commit | None) -> Commit | None:
        """Return the commit; None where there was nothing to do."""
        return made


def _meter() -> Meter:
    from dataplat.ingest._progress import Meter

    return Meter()


@dataclass(slots=True)
class DeleteStep:
    """A delete as a step."""

    dataset: str
    where: str | pl.Expr
    meter: Meter = field(default_factory=_meter)
    replays: bool = True

    def run(self, draft: Draft) -> IngestResult:
        """Find the rows and plan their delete."""
        from dataplat.ingest import IngestResult
        from dataplat.lake.where import parse_where
        from dataplat.versioning.modes import Base, delete_where

        target = draft.existing(self.dataset)
        manifest = target.manifest
        assert manifest is not None
        base = Base(manifest, manifest.schema, manifest.key, manifest.sort, draft.objects, draft.stage)
        condition = parse_where(self.where, manifest.schema)
        outcome = delete_where(base, condition)
        if not outcome.rows_deleted:
            version = draft.version(self.dataset)
            return IngestResult(
                self.dataset, draft.branch, None, version, notes=("no row matches: nothing was deleted",)
            )
        draft.add(
            PlannedChange(
                dataset=self.dataset,
                mode="delete",
                base_version=manifest.id,
                edit=outcome.edit,
                where=condition.text,
                where_matches=_where_matches(draft, manifest, condition),
            )
        )
        return IngestResult(self.dataset, draft.branch, None, None, rows_deleted=outcome.rows_deleted)

    def done(self, draft: Draft, result: IngestResult, made: Commit | None) -> IngestResult:
        """Return the result with its commit, if rows were deleted."""
        if made is None or not result.rows_deleted:
            return result
        return replace(
            result,
            commit=made.id,
            version=draft.lake.version(self.dataset, draft.branch, made),
            new_bytes=draft.stage.written_bytes,
            seconds=self.meter.seconds,
        )


def _where_matches(draft: Draft, manifest: Manifest, condition: Where) -> Callable[[Sequence[Part]], bool]:
    def where_matches(parts: Sequence[Part]) -> bool:
        from dataplat.lake.scan import scan

        batches = scan(draft.objects, parts, manifest.schema, columns=[], where=condition)
        return any(batch.num_rows for batch in batches)

    return where_matches


def rollback_step(reference: str) -> ChangeStep:
    """Return the step that makes an earlier version of a dataset the newest, with the positions that it had."""

    def plan(draft: Draft) -> None:
        from dataplat.versioning.references import resolve

        dataset, manifest, found_at = resolve(draft.lake.refs, draft.lake.objects, reference)
        target = draft.target(dataset)
        if target.version != manifest.id:
            restore = _state_of(draft.lake, found_at, dataset, manifest.redacted_from or manifest.id)
            draft.add(_restoring(draft, target, restore))

    return ChangeStep(plan, replays=False)


def rollback_all_step(reference: str) -> ChangeStep:
    """Return the step that makes every dataset what it was at a commit; those that came since are dropped."""

    def plan(draft: Draft) -> None:
        from dataplat.versioning.references import resolve_commit

        read = draft.lake.objects.read
        wanted = resolve_commit(draft.lake.refs, draft.lake.objects, reference).datasets(read)
        for name in sorted(wanted.keys() | draft.head.datasets(read).keys()):
            target, then = draft.target(name), wanted.get(name)
            now = target.state
            version = None if now is None else now.version
            if then is None:
                draft.add(PlannedChange(dataset=name, mode="drop", base_version=version))
            elif version != then.version or _others(draft, now, then):
                draft.add(_restoring(draft, target, then))

    return ChangeStep(plan, replays=False)


def _restoring(draft: Draft, target: Target, restore: DatasetState) -> PlannedChange:
    """Return a rollback; the rows that it brings are told by parts, without reading any."""
    from dataplat.versioning.diff import Diff
    from dataplat.versioning.manifest import load_manifest

    brought = 0
    if target.manifest is not None and target.version != restore.version:
        then = load_manifest(draft.objects, str(restore.version))
        _, brought = Diff(draft.objects, target.manifest, then).by_parts
    return PlannedChange(
        dataset=target.name, mode="rollback", base_version=target.version, restore=restore, rows_added=brought
    )


def _others(draft: Draft, now: DatasetState | None, then: DatasetState) -> bool:
    """Whether a dataset of the same version had other positions or another description."""
    if now is None or now.description != then.description:
        return True
    read = draft.lake.objects.read
    return now.load_positions(None, read) != then.load_positions(None, read)


def drop_step(dataset: str) -> ChangeStep:
    """Return the step that takes a dataset off the branch."""

    def plan(draft: Draft) -> None:
        version = draft.existing(dataset).version
        draft.add(PlannedChange(dataset=dataset, mode="drop", base_version=version))

    return ChangeStep(plan, replays=False)


def rename_step(dataset: str, to: str) -> ChangeStep:
    """Return the step that gives a dataset another name."""
    if to == dataset:
        message = f"dataset {dataset!r} has that name already"
        raise AlreadyExists(message)

    def plan(draft: Draft) -> None:
        version = draft.existing(dataset).version
        draft.add(PlannedChange(dataset=dataset, mode="rename", base_version=version, rename_to=to))

    return ChangeStep(plan)


def describe_step(dataset: str, text: str) -> ChangeStep:
    """Return the step that sets the description of a dataset."""

    def plan(draft: Draft) -> None:
        version = draft.existing(dataset).version
        draft.add(PlannedChange(dataset=dataset, mode="describe", base_version=version, description=text))

    return ChangeStep(plan)


def evolve_step(dataset: str, **changes: Unpack[EvolveOptions]) -> ChangeStep:
    """Return the step that changes the columns of a dataset."""
    from dataplat._evolve import evolution, evolve_change

    wanted = evolution(**changes)

    def plan(draft: Draft) -> None:
        manifest = draft.existing(dataset).manifest
        assert manifest is not None
        change, _ = evolve_change(draft.objects, dataset, manifest, wanted)
        if not change.edit.is_empty:
            draft.add(change)

    return ChangeStep(plan)


def delete(lake: Lake, dataset: str, where: str | pl.Expr, branch: str, message: str) -> IngestResult:
    """Delete rows by a predicate; planned anew where the branch moved so that the plan no longer holds."""
    result: IngestResult = _carried_out(lake, branch, message, DeleteStep(dataset, where))
    return result


def rollback(lake: Lake, reference: str, branch: str, message: str) -> Version:
    """Commit an earlier version as the newest, with the positions that it had."""
    from dataplat.versioning.references import resolve

    dataset, _, _ = resolve(lake.refs, lake.objects, reference)
    made = _carried_out(lake, branch, message or f"roll back to {reference}", rollback_step(reference))
    return lake.version(dataset, branch, made)


def rollback_all(lake: Lake, reference: str, branch: str, message: str) -> Commit | None:
    """Make every dataset of a branch what it was at a commit, in one commit; None where all are."""
    text = message or f"roll back everything to {reference}"
    made: Commit | None = _carried_out(lake, branch, text, rollback_all_step(reference))
    return made


def change(lake: Lake, branch: str, message: str, step: ChangeStep) -> Commit:
    """Carry out a step that always makes a commit."""
    made: Commit = _carried_out(lake, branch, message, step)
    return made


def _carried_out(lake: Lake, branch: str, message: str, step: Any) -> Any:
    from dataplat.ingest._draft import carry_out

    return carry_out(lake, branch, message, step)


def _state_of(lake: Lake, found_at: Commit, dataset: str, version: str) -> DatasetState:
    """Return the state that a dataset had in the commit where the version was found, under the name of then."""
    states = found_at.datasets(lake.objects.read)
    state = states.get(dataset)
    if state is None or state.version != version:
        state = next((other for other in states.values() if other.version == version), None)
    if state is None:
        message = f"commit {found_at.id[:12]} does not hold version {version[:12]} of {dataset!r}"
        raise VersionNotFound(message)
    return state


def delete_branch(lake: Lake, name: str) -> None:
    """Delete a branch, but never `main`, which references without a branch mean."""
    from dataplat.versioning.lakefile import MAIN
    from dataplat.versioning.names import same_name

    if same_name(name, MAIN):
        raise ConfigError("branch main cannot be deleted: references without a branch mean it")
    lake.refs.delete_branch(name)


def manifest_at(lake: Lake, dataset: str, branch: str) -> Manifest:
    """Return the dataset as it stands at the head of `branch`; raise `DatasetNotFound`."""
    from dataplat.ingest._target import Target

    manifest = Target.at(lake.objects, lake.refs.head(branch).commit, dataset).manifest
    if manifest is None:
        names = ", ".join(info.name for info in lake.datasets(branch)) or "none"
        message = f"there is no dataset {dataset!r} on branch {branch}; there are: {names}"
        raise DatasetNotFound(message)
    return manifest
