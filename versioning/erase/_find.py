"""Which parts of which versions hold rows that match, also rows that no version counts any more."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from dataplat.errors import IntegrityError, ObjectNotFound, VersionNotFound
from dataplat.versioning._index import children
from dataplat.versioning._table import load_segment
from dataplat.versioning.gc.gone import collected
from dataplat.versioning.manifest import load_manifest

if TYPE_CHECKING:
    from pyroaring import BitMap

    from dataplat.lake.objects import Objects
    from dataplat.lake.part import Part
    from dataplat.versioning._lsm import Read
    from dataplat.versioning._root import SegmentRef
    from dataplat.versioning.erase._condition import View
    from dataplat.versioning.manifest import Manifest
    from dataplat.versioning.redactions import Redactions


class Asks(Protocol):
    """A condition, as `Condition` and `RejectsCondition` ask it."""

    def view(self, manifest: Manifest, /) -> View:
        """Return how parts of a version hold its columns."""
        ...

    def may_match(self, part: Part, view: View, manifest: Manifest, /) -> bool:
        """Return False where statistics prove that no row matches."""
        ...

    def positions(self, objects: Objects, part: Part, views: Iterable[View], /) -> BitMap:
        """Return which rows written in a part match."""
        ...


class Dirty(dict[str, "BitMap | None"]):
    """By id of a part, the positions of rows that match; None where the part is gone, and only its statistics are left."""


@dataclass(slots=True)
class Finder:
    """Asks each part once, however many versions hold it."""

    objects: Objects
    condition: Asks
    dirty: Dirty = field(default_factory=Dirty)
    told: Callable[[int], object] = lambda _rows: None
    _asked: set[tuple[str, View]] = field(default_factory=set)
    _walked: set[tuple[str, View]] = field(default_factory=set)

    def look(self, manifest: Manifest) -> None:
        """Ask all parts that a version names, those too that it has dropped and still describes."""
        view = self.condition.view(manifest)
        for ref in manifest.root.refs:
            self._walk(ref, view, manifest)

    def _walk(self, ref: SegmentRef, view: View, manifest: Manifest) -> None:
        if (ref.id, view) in self._walked:
            return
        self._walked.add((ref.id, view))
        if ref.level:
            for child in children(ref, manifest.read):
                self._walk(child, view, manifest)
            return
        for part in load_segment(ref, manifest.read).parts():
            self._ask(part, view, manifest)

    def _ask(self, part: Part, view: View, manifest: Manifest) -> None:
        if (part.id, view) in self._asked or not self.condition.may_match(part, view, manifest):
            return
        self._asked.add((part.id, view))
        if self.dirty.get(part.id, ()) is None:
            return
        try:
            found = self.condition.positions(self.objects, part, [view])
        except IntegrityError:
            if self.objects.stored(part.id, ".parquet"):
                raise
            self.dirty[part.id] = None  # collected with the versions that counted it
            return
        self.told(part.rows)
        if found:
            before = self.dirty.get(part.id)
            self.dirty[part.id] = found if before is None else before | found


def manifests_of(objects: Objects, redactions: Redactions, versions: Sequence[str]) -> Iterator[tuple[str, Manifest]]:
    """Yield what versions lead to now, each once; those that were collected are left out."""
    gone = collected(objects.store)
    for id in dict.fromkeys(redactions.follow(version) for version in versions):
        try:
            manifest = load_manifest(objects, id)
        except (ObjectNotFound, VersionNotFound):
            continue
        if redactions.leading_to(id).isdisjoint(gone) or _is_whole(objects, manifest):
            yield id, manifest


def _is_whole(objects: Objects, manifest: Manifest) -> bool:
    """Whether a version that was collected is there again: a delete that got no answer may leave its root behind."""
    try:
        return all(objects.stored(*name) for name in manifest.object_ids())
    except ObjectNotFound:
        return False


def part_ids(manifest: Manifest, seen: set[str]) -> Iterator[str]:
    """Yield the ids of the parts in segments that were not `seen`, and add those segments to it."""
    for ref in _leaves(manifest.root.refs, manifest.read, seen):
        yield from (part.id for part in load_segment(ref, manifest.read).parts())


def _leaves(refs: Iterable[SegmentRef], read: Read, seen: set[str]) -> Iterator[SegmentRef]:
    for ref in refs:
        if ref.id not in seen:
            seen.add(ref.id)
            if ref.level:
                yield from _leaves(children(ref, read), read, seen)
            else:
                yield ref


def sharing(objects: Objects, others: Mapping[str, Iterable[str]], parts: Iterable[str]) -> dict[str, set[str]]:
    """Return by dataset among `others` (its versions) which of `parts` it holds, too."""
    wanted, found = set(parts), defaultdict(set)
    for name, versions in others.items() if wanted else ():
        seen: set[str] = set()
        for version in versions:
            try:
                manifest = load_manifest(objects, version)
            except (ObjectNotFound, VersionNotFound):
                continue
            found[name].update(wanted.intersection(part_ids(manifest, seen)))
    return {name: ids for name, ids in found.items() if ids}
