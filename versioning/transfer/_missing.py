"""What a lake lacks of the commits of another.

The walk back stops at commits that a branch or a tag of the other lake descends from. One that only lies there, after a
transfer that was killed, is no end: a collection may be taking away what it needs, and itself. Of versions only those at
heads of branches and at tags are counted on to be whole in the other lake: older ones may have been collected, and are
no base to count differences from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING, Final

from dataplat.errors import IntegrityError, ObjectNotFound, VersionNotFound
from dataplat.lake._object_keys import FOLDER
from dataplat.lake.stores import concurrency_of
from dataplat.versioning.commit import Commit, load_commit
from dataplat.versioning.manifest import Manifest, load_manifest
from dataplat.versioning.needs import Name, of_commit, of_positions, of_version
from dataplat.versioning.redactions import Redactions

if TYPE_CHECKING:
    from dataplat.lake.objects import Objects

_LIST_FROM: Final = 2_000
"""From so many objects on one listing of all is cheaper than a question for each."""

_SKEW: Final = 7 * 24 * 3600 * 1_000_000


@dataclass(frozen=True, slots=True)
class Missing:
    """Commits that the target lacks, oldest first, and the objects that they need and it lacks, with their sizes (bytes).

    `collected` are versions (dataset, id) that were collected in the source. `versions` (dataset, id) and `needed` are
    what has to be whole in the target afterwards, also what is there: `needed` all but what only versions say. `redacted`
    were erased in the source: the target needs their redactions.
    """

    commits: tuple[Commit, ...] = ()
    objects: dict[Name, int] = field(default_factory=dict)
    collected: tuple[tuple[str, str], ...] = ()
    versions: tuple[tuple[str, str], ...] = ()
    needed: frozenset[Name] = frozenset()
    redacted: tuple[str, ...] = ()

    @property
    def nbytes(self) -> int:
        """Bytes of all objects, commits too."""
        return sum(self.objects.values()) + sum(len(commit.data) for commit in self.commits)


def missing(
    source: Objects,
    target: Objects,
    heads: Sequence[Commit],
    live: Iterable[Commit],
    *,
    also: Sequence[Commit] = (),
    beside: Iterable[Name] = (),
    collected: Callable[[str], bool] = lambda _: False,
) -> Missing:
    """Return what `target` lacks of `heads`, commits of `source`, and of all that they descend from.

    Args:
        source: Where the commits are.
        target: Where they go.
        heads: The commits wanted; each version of each dataset at them will be whole.
        live: Commits at heads of the target's branches and at its tags, whose versions will not be collected.
        also: Commits that are wanted too, whose versions may have been collected.
        beside: Objects that are wanted too.
        collected: Whether a version that is not in the source was collected there, and so is not to be copied.

    Raises:
        IntegrityError: A version is missing in the source, and was not collected.
    """
    live = list(live)
    commits = _missing_commits(source, target, [*heads, *also], _Reach(target, live))
    wanted = _Wanted(source, target, collected)
    wanted.add(dict.fromkeys(beside, 0))
    for commit in live:
        wanted.whole(commit)
    for commit in commits:
        wanted.add(dict.fromkeys(of_commit(commit, source.read), 0))
        for dataset, change in commit.changes.items():
            if change.version is not None:
                wanted.version(dataset, change.version, change.base, must=False)
    for head in heads:
        for dataset, state in head.datasets(source.read).items():
            assert state.version is not None
            wanted.version(dataset, state.version, None, must=True)
            wanted.add(dict.fromkeys(of_positions(state, source.read), 0))
    return Missing(
        commits=tuple(commits),
        objects=_sized(source, absent(target, wanted.objects)),
        collected=tuple(wanted.gone),
        versions=tuple(wanted.relied),
        needed=frozenset({*wanted.objects, *((commit.id, ".json") for commit in commits)}),
        redacted=tuple(wanted.redacted),
    )


def is_ancestor(objects: Objects, old: Commit, new: Commit) -> bool:
    """Return whether `old` is `new` or one that it descends from; the newest are looked at first.

    The walk ends a week before `old`: clocks of writers differ by less, and if they did not, two branches would be
    taken to have diverged, which refuses a move and loses nothing.
    """
    seen = {new.id}
    todo = [(-new.time, new.id, new)]
    while todo:
        _, commit_id, commit = heappop(todo)
        if commit_id == old.id or old.id in commit.parents:
            return True
        for parent in commit.parents:
            if parent not in seen:
                seen.add(parent)
                before = load_commit(objects, parent)
                if before.time >= old.time - _SKEW:
                    heappush(todo, (-before.time, parent, before))
    return False


def absent(target: Objects, names: dict[Name, int]) -> dict[Name, int]:
    """Return those objects that are not in `target`; asks for each, or, where they are many, lists all once."""
    if not names:
        return {}
    if len(names) >= _LIST_FROM:
        there = {_plain(info.key) for info in target.store.list(f"{FOLDER}/")}
        return {name: size for name, size in names.items() if f"{name[0]}{name[1]}" not in there}
    with transfer_pool(target) as pool:
        found = pool.map(lambda name: target.exists(*name), names)
        return {name: size for (name, size), there in zip(names.items(), found, strict=True) if not there}


class _Wanted:
    """Collects objects; a version is counted from the nearest one that the target will have."""

    def __init__(self, source: Objects, target: Objects, collected: Callable[[str], bool]) -> None:
        self.objects: dict[Name, int] = {}
        self.gone: list[tuple[str, str]] = []
        self.relied: dict[tuple[str, str], None] = {}
        self._source, self._target, self._collected = source, target, collected
        self._whole: set[str] = set()
        self.redacted: dict[str, None] = {}
        self._redactions = Redactions.load(source.store)
        self._last: dict[str, str] = {}

    def whole(self, commit: Commit) -> None:
        """Note that the versions at a commit are whole in the target."""
        for dataset, state in commit.datasets(self._target.read).items():
            assert state.version is not None
            self._whole.add(state.version)
            self._last[dataset] = state.version

    def add(self, names: dict[Name, int]) -> None:
        """Want objects; in place of an erased one what it leads to."""
        for (id, suffix), size in names.items():
            erased = suffix == ".json" and id in self._redactions.leads
            self.redacted.update({id: None} if erased else {})
            self.objects[self._redactions.follow(id) if erased else id, suffix] = size

    def version(self, dataset: str, version: str, base: str | None, *, must: bool) -> None:
        """Want a version; with `must` it may not have been collected."""
        if version in self._whole:
            self._last[dataset] = version
            self.relied[dataset, version] = None
            return
        manifest = self._load(version)
        if manifest is None or (not must and self._collected(version) and not self._is_whole(manifest)):
            if must or not self._collected(version):
                raise IntegrityError(
                    f"version {version[:12]} of {dataset!r} is missing in the lake that it is to be copied from. "
                    "Run `dataplat version verify` there. Nothing was moved."
                )
            self.gone.append((dataset, version))
            return
        near = base if base in self._whole else self._last.get(dataset)
        if near in self._redactions.leads:  # the target may have it as it was
            near = None
        there = None if near is None or self._collected(near) else self._load(near)
        self.add(of_version(self._source, manifest, there))
        self._whole.add(version)
        self._last[dataset] = version
        self.relied[dataset, version] = None

    def _is_whole(self, manifest: Manifest) -> bool:
        """Whether a version that was collected is there in spite of it: made again since, not half deleted."""
        try:
            return all(self._source.stored(*name) for name in of_version(self._source, manifest))
        except (ObjectNotFound, IntegrityError):
            return False

    def _load(self, version: str) -> Manifest | None:
        try:
            manifest = load_manifest(self._source, self._redactions.follow(version))
            self.redacted.update({version: None} if version in self._redactions.leads else {})
            return manifest
        except (ObjectNotFound, VersionNotFound):
            return None


class _Reach:
    """Which commits those at `live` descend from; they are read as far back as is asked for."""

    def __init__(self, objects: Objects, live: Sequence[Commit]) -> None:
        self._objects = objects
        self._seen = {commit.id for commit in live}
        self._todo = [(-commit.time, commit.id, commit) for commit in {commit.id: commit for commit in live}.values()]
        heapify(self._todo)

    def has(self, commit: Commit) -> bool:
        """Whether a commit is one of them. A wrong no, of clocks that differ, costs questions and loses nothing."""
        while commit.id not in self._seen and self._todo and -self._todo[0][0] > commit.time:
            for parent in heappop(self._todo)[2].parents:
                if parent not in self._seen:
                    self._seen.add(parent)
                    with suppress(ObjectNotFound, IntegrityError):  # damaged there: what is behind it is asked for
                        before = load_commit(self._objects, parent)
                        heappush(self._todo, (-before.time, parent, before))
        return commit.id in self._seen


def _missing_commits(source: Objects, target: Objects, heads: Sequence[Commit], reach: _Reach) -> list[Commit]:
    """Return the commits that no branch of the target has, each after its parents."""
    found: dict[str, Commit] = {}
    layer = {head.id: head for head in heads}
    while layer:
        gone = absent(target, {(commit_id, ".json"): 0 for commit_id in layer})
        lacking = [commit for id, commit in layer.items() if (id, ".json") in gone or not reach.has(commit)]
        found.update((commit.id, commit) for commit in lacking)
        parents = {parent for commit in lacking for parent in commit.parents} - found.keys()
        layer = {parent: load_commit(source, parent) for parent in sorted(parents)}
    return _oldest_first(found)


def _oldest_first(commits: dict[str, Commit]) -> list[Commit]:
    done: dict[str, Commit] = {}
    for start in commits.values():
        stack = [start]
        while stack:
            commit = stack[-1]
            before = [commits[p] for p in commit.parents if p in commits and p not in done]
            if before and commit.id not in done:
                stack += before
                continue
            done.setdefault(commit.id, commit)
            stack.pop()
    return list(done.values())


def _sized(source: Objects, names: dict[Name, int]) -> dict[Name, int]:
    """Return the objects with their sizes, those that were not known looked up."""

    def size(item: tuple[Name, int]) -> int:
        (object_id, suffix), known = item
        if known:
            return known
        if (path := source.local_path(object_id, suffix)) is not None and path.exists():
            return path.stat().st_size
        prefix = f"{FOLDER}/{object_id[:2]}/{object_id[2:]}"
        return next((info.size for info in source.store.list(prefix) if info.key.endswith(suffix)), 0)

    with transfer_pool(source) as pool:
        return dict(zip(names, pool.map(size, names.items()), strict=True))


def transfer_pool(objects: Objects) -> ThreadPoolExecutor:
    """Return as many threads as are worth having for questions to one store."""
    return ThreadPoolExecutor(max(1, concurrency_of(objects.store)), thread_name_prefix="dataplat-transfer")


def _plain(key: str) -> str:
    """Return id and suffix of an object's key, whichever generation it is."""
    name = key.removeprefix(f"{FOLDER}/").replace("/", "", 1)
    stem, dot, suffix = name.partition(".")
    return f"{stem.partition('~')[0]}{dot}{suffix}"
