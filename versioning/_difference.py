"""Which parts differ between two versions, without reading the segments that they share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from dataplat.lake.part import Part
from dataplat.versioning._index import children
from dataplat.versioning._root import SegmentRef
from dataplat.versioning._table import Read, load_segment
from dataplat.versioning.manifest import Manifest


@dataclass(frozen=True, slots=True)
class PartsDifference:
    """Parts that only the later version holds, those that only the earlier does, and (before, after) with other deletes."""

    added: tuple[Part, ...]
    dropped: tuple[Part, ...]
    changed: tuple[tuple[Part, Part], ...]


def difference(before: Manifest, after: Manifest) -> PartsDifference:
    """Return which parts differ; the cost follows what changed, not how large the versions are."""
    ids = {ref.id for ref in before.root.refs} & {ref.id for ref in after.root.refs}
    fronts = [(manifest, list(_front(manifest.root.refs, ids, manifest.read))) for manifest in (before, after)]
    shared = set.intersection(*({ref.id for ref in front} for _, front in fronts))
    places: set[int] = set()
    for manifest, front in fronts:
        for ref in front:
            if ref.id not in shared:
                segment = load_segment(ref, manifest.read)
                places.update(segment.places, segment.dropped, (place for place, _ in segment.overlays()))
    touched = sorted(places)

    def wanted(ref: SegmentRef) -> bool:
        return ref.id not in shared or ref.touches(touched)

    old = {part.place: part for part in before.table(wanted).parts if part.place in places}
    new = {part.place: part for part in after.table(wanted).parts if part.place in places}
    same = {place for place in old.keys() & new.keys() if old[place].id == new[place].id}
    return PartsDifference(
        added=tuple(part for place, part in new.items() if place not in same),
        dropped=tuple(part for place, part in old.items() if place not in same),
        changed=tuple((old[at], new[at]) for at in sorted(same) if old[at].deletes != new[at].deletes),
    )


def _front(refs: Iterable[SegmentRef], shared: set[str], read: Read) -> Iterator[SegmentRef]:
    """Yield segments, and indexes that both versions have; any other index is opened."""
    for ref in refs:
        if ref.level and ref.id not in shared:
            yield from _front(children(ref, read), shared, read)
        else:
            yield ref
