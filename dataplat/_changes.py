"""Changes of a dataset that bring no new rows: delete, rollback, drop, rename, describe."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataplat.errors import AlreadyExists, CommitConflict, ConfigError, DatasetNotFound, VersionNotFound
from dataplat.versioning.publish import PlannedChange, commit

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

    from dataplat._lake import Lake
    from dataplat._version import Version
    from dataplat.ingest import IngestResult
    from dataplat.lake.part import Part
    from dataplat.versioning.commit import Commit, DatasetState
    from dataplat.versioning.manifest import Manifest

_REPLANS = 10


def delete(lake: Lake, dataset: str, where: str | pl.Expr, branch: str, message: str) -> IngestResult:
    """Delete rows by a predicate; planned anew where the branch moved so that the plan no longer holds."""
    for attempt in range(_REPLANS):
        try:
            return _delete_once(lake, dataset, where, branch, message)
        except CommitConflict:
            if attempt == _REPLANS - 1:
                raise
    raise AssertionError("unreachable")


def _delete_once(lake: Lake, dataset: str, where: str | pl.Expr, branch: str, message: str) -> IngestResult:
    from dataplat.ingest import IngestResult
    from dataplat.ingest._progress import Meter
    from dataplat.lake.objects import Objects, Stage
    from dataplat.lake.where import parse_where
    from dataplat.versioning.modes import Base, delete_where

    meter = Meter()
    manifest = _manifest(lake, dataset, branch)
    with Stage(lake.store) as stage:
        objects = Objects(lake.store, stage)
        base = Base(manifest, manifest.schema, manifest.key, manifest.sort, objects, stage)
        condition = parse_where(where, manifest.schema)
        outcome = delete_where(base, condition)
        if not outcome.rows_deleted:
            version = lake.version(dataset, branch)
            return IngestResult(dataset, branch, None, version, notes=("no row matches: nothing was deleted",))

        def where_matches(parts: Sequence[Part]) -> bool:
            from dataplat.lake.scan import scan

            return any(batch.num_rows for batch in scan(objects, parts, manifest.schema, columns=[], where=condition))

        change = PlannedChange(
            dataset=dataset,
            mode="delete",
            base_version=manifest.id,
            edit=outcome.edit,
            where=condition.text,
            where_matches=where_matches,
        )
        made = commit(lake.io, branch, [change], stage, message=message)
        return IngestResult(
            dataset=dataset,
            branch=branch,
            commit=made.id,
            version=lake.version(dataset, branch, made),
            rows_deleted=outcome.rows_deleted,
            new_bytes=stage.written_bytes,
            seconds=meter.seconds,
        )


def rollback(lake: Lake, reference: str, branch: str, message: str) -> Version:
    """Commit an earlier version as the newest, with the positions that it had."""
    from dataplat.versioning.references import resolve

    dataset, manifest, found_at = resolve(lake.refs, lake.objects, reference)
    now = lake.refs.head(branch).commit.dataset(dataset, lake.objects.read)
    current = None if now is None else now.version
    if current == manifest.id:
        return lake.version(dataset, branch)
    change = PlannedChange(
        dataset=dataset,
        mode="rollback",
        base_version=current,
        restore=_state_of(lake, found_at, dataset, manifest.id),
    )
    made = _commit(lake, branch, change, message or f"roll back to {reference}")
    return lake.version(dataset, branch, made)


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


def drop(lake: Lake, dataset: str, branch: str, message: str) -> Commit:
    """Take a dataset off a branch."""
    version = _manifest(lake, dataset, branch).id
    change = PlannedChange(dataset=dataset, mode="drop", base_version=version)
    return _commit(lake, branch, change, message)


def rename(lake: Lake, dataset: str, to: str, branch: str, message: str) -> Commit:
    """Give a dataset another name."""
    if to == dataset:
        message = f"dataset {dataset!r} has that name already"
        raise AlreadyExists(message)
    version = _manifest(lake, dataset, branch).id
    change = PlannedChange(dataset=dataset, mode="rename", base_version=version, rename_to=to)
    return _commit(lake, branch, change, message)


def describe(lake: Lake, dataset: str, text: str, branch: str) -> Commit:
    """Set the description of a dataset."""
    version = _manifest(lake, dataset, branch).id
    change = PlannedChange(dataset=dataset, mode="describe", base_version=version, description=text)
    return _commit(lake, branch, change, "")


def delete_branch(lake: Lake, name: str) -> None:
    """Delete a branch, but never `main`, which references without a branch mean."""
    from dataplat.versioning.lakefile import MAIN
    from dataplat.versioning.names import same_name

    if same_name(name, MAIN):
        raise ConfigError("branch main cannot be deleted: references without a branch mean it")
    lake.refs.delete_branch(name)


def _manifest(lake: Lake, dataset: str, branch: str) -> Manifest:
    """Return the dataset as it stands at the head of `branch`; raise `DatasetNotFound`."""
    from dataplat.ingest._target import Target

    manifest = Target.at(lake.objects, lake.refs.head(branch).commit, dataset).manifest
    if manifest is None:
        names = ", ".join(info.name for info in lake.datasets(branch)) or "none"
        message = f"there is no dataset {dataset!r} on branch {branch}; there are: {names}"
        raise DatasetNotFound(message)
    return manifest


def _commit(lake: Lake, branch: str, change: PlannedChange, message: str) -> Commit:
    from dataplat.lake.objects import Stage

    with Stage(lake.store) as stage:
        return commit(lake.io, branch, [change], stage, message=message)
