"""Places for the parts that a compaction writes: inside its run, where no other part is recorded."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from dataplat.versioning._index import leaves
from dataplat.versioning._table import load_segment

if TYPE_CHECKING:
    from dataplat.versioning._root import SegmentRef
    from dataplat.versioning.manifest import Manifest


def used_places(manifest: Manifest, first: int, end: int) -> set[int]:
    """Return the places from `first` to before `end` that segments speak of, also of parts that are dropped.

    A place may be used again once no segment names it: what two segments say of one place is one part's story.
    """

    def wanted(ref: SegmentRef) -> bool:
        return bool(ref.overlays or ref.dropped) or (ref.parts > 0 and ref.first < end and ref.last >= first)

    used: set[int] = set()
    for ref in leaves(manifest.root.refs, manifest.read, wanted):
        if wanted(ref):
            segment = load_segment(ref, manifest.read)
            used.update(place for place in (*segment.places, *segment.dropped) if first <= place < end)
    return used


def spread(first: int, end: int, count: int, used: Collection[int]) -> list[int] | None:
    """Return `count` ascending places between `first` and `end` (neither included), or None where there is no room.

    They lie as far apart as they can, so that each of the new parts can be compacted again; the first comes close to
    `first`, so that one part may be folded thousands of times.
    """
    stride = max(1, (end - first - 1) // count)
    places: list[int] = []
    at = first
    for number in range(count):
        at = max(at + 1, first + 1 + number * stride)
        while at in used:
            at += 1
        places.append(at)
    return places if at < end else None
