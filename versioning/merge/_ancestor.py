"""The newest commit from which two commits both come, and which commits only one of them comes from."""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from dataplat.errors import VersionNotFound
from dataplat.versioning.commit import Commit, load_commit

if TYPE_CHECKING:
    from dataplat.lake.objects import Objects

_OURS: Final = 1
_THEIRS: Final = 2
_BEHIND: Final = 4  # an ancestor of a common ancestor


@dataclass(frozen=True, slots=True)
class Ancestry:
    """A lowest common ancestor of two commits, and the ids of the commits that only one side has."""

    base: Commit
    ours: frozenset[str]
    theirs: frozenset[str]


def ancestry(objects: Objects, ours: Commit, theirs: Commit) -> Ancestry:
    """Walk both histories, newest commits first, until all that is left is behind a common ancestor.

    Where several common ancestors are lowest (after merges in both directions) the newest is taken.

    Raises:
        VersionNotFound: The histories have nothing in common.
    """
    commits = {ours.id: ours, theirs.id: theirs}
    seen = {ours.id: 0, theirs.id: 0}
    seen[ours.id] |= _OURS
    seen[theirs.id] |= _THEIRS
    todo = [(-commit.time, commit.id) for commit in commits.values()]
    heapq.heapify(todo)
    common: list[Commit] = []
    while any(not seen[id] & _BEHIND for _, id in todo):
        commit = commits[heapq.heappop(todo)[1]]
        marks = seen[commit.id]
        if marks == _OURS | _THEIRS:
            common.append(commit)
            marks |= _BEHIND
        for parent in commit.parents:
            if seen.get(parent, 0) | marks != seen.get(parent):
                seen[parent] = seen.get(parent, 0) | marks
                if parent not in commits:
                    commits[parent] = load_commit(objects, parent)
                heapq.heappush(todo, (-commits[parent].time, parent))
    lowest = [commit for commit in common if not seen[commit.id] & _BEHIND]
    if not lowest:
        raise VersionNotFound(f"commits {ours.id[:12]} and {theirs.id[:12]} have no common ancestor")
    base = max(lowest, key=lambda commit: commit.time)
    return Ancestry(
        base,
        frozenset(id for id, marks in seen.items() if marks == _OURS),
        frozenset(id for id, marks in seen.items() if marks == _THEIRS),
    )
