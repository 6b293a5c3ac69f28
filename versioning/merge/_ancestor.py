"""The newest commits from which others come on both sides."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, Final

from dataplat.errors import VersionNotFound
from dataplat.versioning.commit import Commit, load_commit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from dataplat.lake.objects import Objects

_OURS: Final = 1
_THEIRS: Final = 2
_BEHIND: Final = 4  # an ancestor of a common ancestor


def lowest_common(
    objects: Objects,
    ours: Sequence[Commit],
    theirs: Sequence[Commit],
    further: Callable[[Commit], Iterable[str]] = lambda _: (),
) -> tuple[Commit, ...]:
    """Return the lowest commits from which one of `ours` and one of `theirs` come, the newest first.

    Both histories are walked, newest commits first, until all that is left is behind a common ancestor. After merges in
    both directions several may be lowest; their order does not depend on which side is ours. `further` gives the
    parents of a commit besides those that it names.

    Raises:
        VersionNotFound: The histories have nothing in common.
    """
    commits = {commit.id: commit for commit in (*ours, *theirs)}
    seen = dict.fromkeys(commits, 0)
    for side, heads in ((_OURS, ours), (_THEIRS, theirs)):
        for head in heads:
            seen[head.id] |= side
    todo = [(-commit.time, commit.id) for commit in commits.values()]
    heapq.heapify(todo)
    common: list[Commit] = []
    while any(not seen[id] & _BEHIND for _, id in todo):
        commit = commits[heapq.heappop(todo)[1]]
        marks = seen[commit.id]
        if marks == _OURS | _THEIRS:
            common.append(commit)
            marks |= _BEHIND
        for parent in (*commit.parents, *further(commit)):
            if seen.get(parent, 0) | marks != seen.get(parent):
                seen[parent] = seen.get(parent, 0) | marks
                if parent not in commits:
                    commits[parent] = load_commit(objects, parent)
                heapq.heappush(todo, (-commits[parent].time, parent))
    lowest = {commit.id: commit for commit in common if not seen[commit.id] & _BEHIND}
    if not lowest:
        raise VersionNotFound(f"commits {ours[0].id[:12]} and {theirs[0].id[:12]} have no common ancestor")
    return tuple(sorted(lowest.values(), key=lambda commit: (-commit.time, commit.id)))
