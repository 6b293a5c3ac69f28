"""What a branch holds at one commit, and attempts that are made again where the branch moved meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from dataplat.errors import CommitConflict, KeyViolation

if TYPE_CHECKING:
    from dataplat._lake import Lake
    from dataplat._version import Version
    from dataplat.versioning.commit import Commit

T = TypeVar("T")


def version_at(lake: Lake, dataset: str, branch: str, commit: Commit | None = None) -> Version | None:
    """Return a dataset as it is at a commit of a branch, by default its head; None where there is none."""
    commit = commit or lake.refs.head(branch).commit
    state = commit.dataset(dataset, lake.objects.read)
    return None if state is None or state.version is None else lake.version(dataset, branch, commit)


def anew(attempt: Callable[[], T]) -> T:
    """Return what an attempt returns, made again where somebody else was at the same meanwhile, five times at most."""
    for _ in range(4):
        with suppress(CommitConflict, KeyViolation):
            return attempt()
    return attempt()
