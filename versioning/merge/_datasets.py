"""Which dataset is which on both branches: a rename gives a dataset another name, not another identity."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dataplat.errors import DatasetNotFound, ObjectNotFound, VersionNotFound
from dataplat.versioning.commit import load_commit
from dataplat.versioning.history import log
from dataplat.versioning.names import nearest

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from dataplat.lake.objects import Objects
    from dataplat.versioning.commit import Commit, DatasetState
    from dataplat.versioning.history import Entry


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


@dataclass(frozen=True, slots=True)
class Line:
    """Where a dataset came from: (commit, its name there) of all that changed it, and what was merged of it alone.

    A merge of one dataset does not make one branch an ancestor of the other; for that dataset it does: `taken` are,
    by the commit of such a merge, the commits that it took.
    """

    spots: frozenset[tuple[str, str]]
    taken: Mapping[str, Sequence[str]]


def line(objects: Objects, heads: Iterable[tuple[Commit, str]], since: int) -> Line:
    """Follow a dataset from (commit, name there) back to what changed it at `since`, or last before, through merges."""
    todo = list(heads)
    spots: set[tuple[str, str]] = set()
    taken: dict[str, list[str]] = {}
    while todo:
        for entry in log(objects, *todo.pop()):
            spot = (entry.commit.id, entry.dataset)
            if spot in spots:
                break
            spots.add(spot)
            if entry.commit.time <= since:
                break
            for source in _merged_in(objects, entry):
                todo.append(source)
                if source[0].id not in entry.commit.parents:
                    taken.setdefault(entry.commit.id, []).append(source[0].id)
    return Line(frozenset(spots), taken)


def _merged_in(objects: Objects, entry: Entry) -> Iterator[tuple[Commit, str]]:
    """Yield what a merge took, where it is here: a clone has not the branches that one dataset was merged from."""
    for source in entry.change.lineage:
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
