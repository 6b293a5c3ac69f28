"""The past of a branch and of each dataset, which is followed without visiting the commits in between."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from dataplat.errors import DatasetNotFound, VersionNotFound
from dataplat.versioning.commit import Commit, DatasetChange, load_commit
from dataplat.versioning.refs import Refs

if TYPE_CHECKING:
    from dataplat.lake.objects import Objects


@dataclass(frozen=True, slots=True)
class Entry:
    """One change of a dataset: the commit that made it, the name that the dataset had then, and what it did."""

    commit: Commit
    dataset: str
    change: DatasetChange

    @property
    def is_version(self) -> bool:
        """Whether it gave the dataset another version (and not only moved positions, or dropped or renamed it)."""
        return self.change.version is not None and self.change.version != self.change.base


def log(objects: Objects, head: Commit, dataset: str) -> Iterator[Entry]:
    """Yield the changes of `dataset` up to `head`, newest first, through renames, drops and re-creation.

    Only the commits that changed it are read.

    Raises:
        DatasetNotFound: There never was such a dataset.
    """
    state = head.dataset(dataset, objects.read)
    if state is None:
        raise DatasetNotFound(f"there is no dataset {dataset!r} in the history of commit {head.id[:12]}")
    commit_id, name = state.commit, dataset
    while commit_id:
        commit = head if commit_id == head.id else load_commit(objects, commit_id)
        change = commit.changes[name]
        yield Entry(commit, name, change)
        commit_id, name = change.before, change.renamed_from or name


def versions(objects: Objects, head: Commit, dataset: str) -> Iterator[Entry]:
    """Yield the changes that gave `dataset` another version, newest first."""
    return (entry for entry in log(objects, head, dataset) if entry.is_version)


def version_back(objects: Objects, head: Commit, dataset: str, back: int) -> Entry:
    """Return the change that made the version `back` versions before the one that `head` has (0: that one).

    A version and what a compaction or an erase made of it hold the same rows and count as one.

    Raises:
        DatasetNotFound: There never was such a dataset.
        VersionNotFound: It has not so many versions.
    """
    count = 0
    for count, entry in enumerate(_with_other_rows(versions(objects, head, dataset)), 1):
        if count == back + 1:
            return entry
    raise VersionNotFound(
        f"{dataset!r} has {count} version{'' if count == 1 else 's'} there, so ~{max(0, count - 1)} is the oldest; "
        f"~{back} was asked for"
    )


def _with_other_rows(entries: Iterable[Entry]) -> Iterator[Entry]:
    """Leave out versions that a compaction or an erase rewrote, whose rows the newer one has."""
    compacted = False
    for entry in entries:
        if not compacted:
            yield entry
        compacted = entry.change.mode in {"compact", "erase"}


def commit_of_version(objects: Objects, head: Commit, dataset: str, *versions: str) -> Commit | None:
    """Return the newest commit up to `head` that gave `dataset` one of `versions`, None if none did."""
    return next((entry.commit for entry in log(objects, head, dataset) if entry.change.version in versions), None)


def commits(objects: Objects, head: Commit) -> Iterator[Commit]:
    """Yield `head` and its ancestors along first parents, newest first."""
    yield head
    while head.parents:
        head = load_commit(objects, head.parents[0])
        yield head


def commit_back(objects: Objects, head: Commit, back: int) -> Commit:
    """Return the commit `back` commits before `head` along first parents; raise `VersionNotFound`."""
    count = 0
    for count, commit in enumerate(commits(objects, head)):
        if count == back:
            return commit
    raise VersionNotFound(f"commit {head.id[:12]} has {count} before it; ~{back} was asked for")


def commit_at(refs: Refs, branch: str, time: int) -> Commit:
    """Return the commit at which `branch` stood at `time` (µs UTC), by the times of its records.

    Raises:
        BranchNotFound: There is no such branch.
        VersionNotFound: It was created later, or was deleted then.
    """
    record = refs.as_of(branch, time)
    if record is None or record.kind == "delete":
        first = refs.record(branch, 0)
        raise VersionNotFound(
            f"branch {branch!r} did not exist at {show_time(time)}: it was created at {show_time(first.time)}"
        )
    return record.commit


def moment(time: int) -> datetime:
    """Return µs UTC as a datetime, exactly."""
    return datetime.fromtimestamp(time // 1_000_000, UTC).replace(microsecond=time % 1_000_000)


def show_time(time: int) -> str:
    """Return µs UTC as ISO 8601."""
    return moment(time).isoformat()
