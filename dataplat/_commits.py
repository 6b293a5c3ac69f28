"""The commits of a lake, as plain values: what each changed, its parents, and the branches and tags that stand at it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dataplat.versioning.commit import load_commit
from dataplat.versioning.graph import walk
from dataplat.versioning.history import moment

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from dataplat._lake import Lake
    from dataplat.versioning.commit import Commit, DatasetChange


@dataclass(frozen=True, slots=True)
class CommitInfo:
    """One commit: by whom, when and why, its parents, what it did to each dataset, and what stands at it."""

    commit: str
    parents: tuple[str, ...]
    time: datetime
    author: str
    message: str
    branches: tuple[str, ...]
    tags: tuple[str, ...]
    changes: dict[str, DatasetChange]

    @property
    def summary(self) -> str:
        """What it did, on one line: `orders +3 -1, carts dropped`."""
        return ", ".join(_said(name, change) for name, change in self.changes.items() if not change.renamed_to)

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {
            "commit": self.commit,
            "parents": list(self.parents),
            "time": self.time.isoformat(),
            "author": self.author,
            "message": self.message,
            "branches": list(self.branches),
            "tags": list(self.tags),
            "changes": {
                name: {
                    "mode": change.mode,
                    "version": change.version,
                    "rows": change.rows,
                    "rows_added": change.rows_added,
                    "rows_deleted": change.rows_deleted,
                }
                for name, change in self.changes.items()
            },
        }


def _said(name: str, change: DatasetChange) -> str:
    if change.mode == "rename":
        return f"{change.renamed_from} renamed to {name}"
    if change.version is None:
        return f"{name} dropped"
    if change.rows_added or change.rows_deleted:
        return f"{name} +{change.rows_added:,} -{change.rows_deleted:,}"
    return f"{name} {change.mode}"


def list_commits(lake: Lake, branches: Sequence[str] | None, limit: int | None) -> list[CommitInfo]:
    """Return the newest commits that the branches (None: all) reach, each before its parents."""
    heads = lake.branches()
    standing: dict[str, list[str]] = {}
    for head in heads:
        standing.setdefault(head.commit_id, []).append(head.branch)
    tagged: dict[str, list[str]] = {}
    for tag in lake.tags():
        tagged.setdefault(tag.commit_id, []).append(tag.name)
    begin = heads if branches is None else [lake.refs.head(branch) for branch in branches]
    commits = walk([head.commit for head in begin], lambda id: load_commit(lake.objects, id), limit)  # pyright: ignore[reportArgumentType]  (a cached property is a property to mypy alone)
    return [info(commit, standing.get(commit.id, ()), tagged.get(commit.id, ())) for commit in commits]


def info(commit: Commit, branches: Sequence[str] = (), tags: Sequence[str] = ()) -> CommitInfo:
    """Return a commit as plain values."""
    return CommitInfo(
        commit=commit.id,
        parents=commit.parents,
        time=moment(commit.time),
        author=commit.author,
        message=commit.message,
        branches=tuple(branches),
        tags=tuple(tags),
        changes=commit.changes,
    )
