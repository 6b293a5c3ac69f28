"""Which dataset is which on both branches: a rename gives a dataset another name, not another identity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dataplat.errors import DatasetNotFound
from dataplat.versioning.commit import load_commit
from dataplat.versioning.history import log
from dataplat.versioning.names import nearest

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from dataplat.lake.objects import Objects
    from dataplat.versioning.commit import Commit, DatasetState, Input
    from dataplat.versioning.merge._ancestor import Ancestry


@dataclass(frozen=True, slots=True)
class Point:
    """A dataset at a commit: its name there and how it stands."""

    name: str
    state: DatasetState

    @property
    def version(self) -> str:
        """The version id."""
        return str(self.state.version)


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


def trios(objects: Objects, base: Commit, ours: Commit, theirs: Commit) -> list[Trio]:
    """Return every dataset that is in one of the three commits, by name."""
    before = _points(objects, base)
    sides = [_matched(objects, base, before, head) for head in (ours, theirs)]
    found = [Trio(point, *(known.get(name) for known, _ in sides)) for name, point in before.items()]
    mine, other = (new for _, new in sides)
    found += [Trio(None, mine.get(name), other.get(name)) for name in sorted({*mine, *other})]
    return sorted(found, key=lambda trio: trio.name)


def chosen(found: Sequence[Trio], names: Collection[str] | None) -> list[Trio]:
    """Return the datasets of these names; raise `DatasetNotFound` for a name that none has."""
    if names is None:
        return list(found)
    known = sorted(set().union(*(trio.names for trio in found)))
    for name in names:
        if name not in known:
            raise DatasetNotFound(f"there is no dataset {name!r} on either branch{nearest(name, known)}")
    return [trio for trio in found if trio.names & set(names)]


def taken_before(objects: Objects, ancestry: Ancestry, ours: Commit, theirs: Commit, trio: Trio) -> Point | None:
    """Return the version that the newest merge of this dataset alone, in either direction, took; None if there is none.

    Such a merge does not make one branch an ancestor of the other, but what it took is a better base.
    """
    found = [
        _newest_taken(objects, head, point, others, ancestry.base.time)
        for head, point, others in ((ours, trio.ours, ancestry.theirs), (theirs, trio.theirs, ancestry.ours))
        if point is not None
    ]
    merges = [one for one in found if one is not None]
    if not merges:
        return None
    source = max(merges, key=lambda one: one[0])[1]
    state = load_commit(objects, source.detail["commit"]).dataset(source.name, objects.read)
    return None if state is None or state.version is None else Point(source.name, state)


def _newest_taken(
    objects: Objects, head: Commit, point: Point, others: Collection[str], since: int
) -> tuple[int, Input] | None:
    for entry in log(objects, head, point.name):
        if entry.commit.time <= since:
            return None
        for source in entry.change.lineage:
            if source.kind == "merge" and source.detail.get("commit") in others:
                return entry.commit.time, source
    return None


def _points(objects: Objects, commit: Commit) -> dict[str, Point]:
    return {name: Point(name, state) for name, state in commit.datasets(objects.read).items()}


def _matched(
    objects: Objects, base: Commit, before: Mapping[str, Point], head: Commit
) -> tuple[dict[str, Point], dict[str, Point]]:
    """Return the datasets of `head` by their name in the base, and those that the base has not, by their own."""
    after = _points(objects, head)
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
