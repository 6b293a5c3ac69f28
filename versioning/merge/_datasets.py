"""Which dataset is which on both branches: a rename gives a dataset another name, not another identity."""

from __future__ import annotations

import heapq
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dataplat.errors import DatasetNotFound, ObjectNotFound, VersionNotFound
from dataplat.versioning.commit import load_commit
from dataplat.versioning.history import log
from dataplat.versioning.names import nearest

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from dataplat.lake.objects import Objects
    from dataplat.versioning.commit import Commit, DatasetChange, DatasetState


@dataclass(frozen=True, slots=True)
class Point:
    """A dataset at a commit: its name there and how it stands. `known` is a version to tell of where it has none stored."""

    name: str
    state: DatasetState
    known: str = ""

    @property
    def version(self) -> str:
        """The version id."""
        return str(self.state.version)

    @property
    def told(self) -> str:
        """The version id that people and lineage are told."""
        return self.known or self.version


@dataclass(frozen=True, slots=True)
class Trio:
    """One dataset in the base, in ours and in theirs; None where it is not."""

    base: Point | None
    ours: Point | None
    theirs: Point | None

    @property
    def names(self) -> set[str]:
        """The names that it has anywhere."""
        return {point.name for point in (self.base, self.ours, self.theirs) if point is not None}

    @property
    def name(self) -> str:
        """What to call it: as ours does."""
        point = self.ours or self.theirs or self.base
        assert point is not None
        return point.name


def trios(objects: Objects, bases: Sequence[Commit], ours: Commit, theirs: Commit) -> list[Trio]:
    """Return every dataset that is in one of the commits, by name; `base` is how it stands in the first of the bases.

    What came since that is known on both sides by its name in another of them, if it is in one.
    """
    first, *others = bases
    before = points(objects, first)
    sides = [_matched(objects, first, before, head) for head in (ours, theirs)]
    found = [Trio(point, *(known.get(name) for known, _ in sides)) for name, point in before.items()]
    mine, other = (new for _, new in sides)
    for base in others:
        if mine or other:
            found += _came_by(objects, base, (ours, mine), (theirs, other))
    found += [Trio(None, mine.get(name), other.get(name)) for name in sorted({*mine, *other})]
    return sorted(found, key=lambda trio: trio.name)


def _came_by(objects: Objects, base: Commit, *sides: tuple[Commit, dict[str, Point]]) -> Iterator[Trio]:
    """Yield datasets new to both sides that `base` has, and take them from what is new."""
    before = points(objects, base)
    matched = [_matched(objects, base, before, head)[0] for head, _ in sides]
    for name in sorted(before):
        there = [known.get(name) for known in matched]
        new = [
            point if point is not None and side.get(point.name) == point else None
            for point, (_, side) in zip(there, sides, strict=True)
        ]
        if any(new) and new == there:
            for point, (_, side) in zip(new, sides, strict=True):
                if point is not None:
                    del side[point.name]
            yield Trio(None, new[0], new[1])


def chosen(found: Sequence[Trio], names: Collection[str] | None) -> list[Trio]:
    """Return the datasets of these names; raise `DatasetNotFound` for a name that none has."""
    if names is None:
        return list(found)
    known = sorted(set().union(*(trio.names for trio in found)))
    for name in names:
        if name not in known:
            raise DatasetNotFound(f"there is no dataset {name!r} on either branch{nearest(name, known)}")
    return [trio for trio in found if trio.names & set(names)]


class Line:
    """Where a dataset came from, followed through merges only as far back as is asked for.

    A merge of one dataset does not make one branch an ancestor of the other; for that dataset it does: `taken` are,
    by the commit of such a merge, the commits that it took. `spots` are (commit, name there) of all that changed it.
    """

    def __init__(self, objects: Objects) -> None:
        self.taken: dict[str, list[str]] = {}
        self.spots: dict[tuple[str, str], bool] = {}  # whether it is behind the base
        self._objects = objects
        self._todo: list[tuple[int, str, str]] = []
        self._commits: dict[str, Commit] = {}

    def start(self, head: Commit, name: str, *, behind: bool = False) -> None:
        """Begin at how the dataset stands at a commit; `behind` if that is what both sides began with."""
        state = head.dataset(name, self._objects.read)
        if state is not None:
            self._meet(state.commit, name, behind=behind)

    def took_aside(self) -> bool:
        """Whether commits were taken that what both sides began with does not tell; goes back until all is behind it."""
        while not all(self.spots[id, name] for _, id, name in self._todo):
            self._step()
        return bool(self.taken)

    def further(self, commit: Commit) -> Sequence[str]:
        """Return what a commit took, after going back to its time: walks that ask go newest first."""
        while self._todo and -self._todo[0][0] >= commit.time:
            self._step()
        return self.taken.get(commit.id, ())

    def _meet(self, id: str, name: str, *, behind: bool) -> None:
        if self.spots.get((id, name)) in (behind, True):
            return
        self.spots[id, name] = behind
        if id not in self._commits:
            self._commits[id] = load_commit(self._objects, id)
        heapq.heappush(self._todo, (-self._commits[id].time, id, name))

    def _step(self) -> None:
        _, id, name = heapq.heappop(self._todo)
        commit, behind = self._commits[id], self.spots[id, name]
        change = commit.changes[name]
        for source, there in _merged_in(self._objects, change):
            taken = self.taken.get(id, [])
            if source.id not in (*commit.parents, *taken):
                self.taken[id] = [*taken, source.id]
            self.start(source, there, behind=behind)
        if change.before:
            self._meet(change.before, change.renamed_from or name, behind=behind)


def _merged_in(objects: Objects, change: DatasetChange) -> Iterator[tuple[Commit, str]]:
    """Yield what a merge took, where it is here: a clone has not the branches that one dataset was merged from."""
    for source in change.lineage:
        if source.kind == "merge" and "commit" in source.detail:
            with suppress(ObjectNotFound, VersionNotFound):
                commit = load_commit(objects, source.detail["commit"])
                if commit.dataset(source.name, objects.read) is not None:
                    yield commit, source.name


def points(objects: Objects, commit: Commit) -> dict[str, Point]:
    """Return the datasets of a commit by name."""
    return {name: Point(name, state) for name, state in commit.datasets(objects.read).items()}


def _matched(
    objects: Objects, base: Commit, before: Mapping[str, Point], head: Commit
) -> tuple[dict[str, Point], dict[str, Point]]:
    """Return the datasets of `head` by their name in the base, and those that the base has not, by their own."""
    after = points(objects, head)
    known: dict[str, Point] = {}
    new: dict[str, Point] = {}
    renamed = dict(_renamed(objects, base, before, head, [name for name in after if name not in before]))
    for name, point in after.items():
        if name in renamed:
            known[renamed[name]] = point
        elif name in before and name not in renamed.values():
            known[name] = point
        else:
            new[name] = point
    return known, new


def _renamed(
    objects: Objects, base: Commit, before: Mapping[str, Point], head: Commit, names: Sequence[str]
) -> Iterator[tuple[str, str]]:
    """Yield (name in `head`, name in the base) of datasets that were renamed in between."""
    for name in names:
        for entry in log(objects, head, name):
            old = before.get(entry.dataset)
            if old is not None and old.state.commit == entry.commit.id:
                yield name, entry.dataset
                break
            if entry.commit.time <= base.time:
                break
