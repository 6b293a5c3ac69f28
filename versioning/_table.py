"""The parts of a manifest put together from its segments."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from itertools import pairwise
from typing import Final, TypeAlias

from dataplat.lake.part import Part
from dataplat.versioning._cache import DecodedCache
from dataplat.versioning._index import leaves
from dataplat.versioning._part_list import PartList, Statistics
from dataplat.versioning._root import Root, SegmentRef
from dataplat.versioning._stats import NamedStats, StatsColumn, stored_stats
from dataplat.versioning.segments import Overlay, Segment

Read: TypeAlias = Callable[[str, str], bytes]
"""Reads an object by (id, suffix)."""

ReadHead: TypeAlias = Callable[[str, str, int, str], bytes]
"""Reads the first bytes of an object, by (id, suffix, how many, their SHA-256)."""

_segments: Final = DecodedCache[Segment](64 * 1024 * 1024)
_heads: Final = DecodedCache[Segment](64 * 1024 * 1024)


def load_segment(ref: SegmentRef, read: Read) -> Segment:
    """Return the decoded segment, from this process's memory where it is there."""
    return _segments.get(ref.id, lambda: (ref.size, Segment(ref.id, read(ref.id, ".bin"))))


def _load_head(ref: SegmentRef, read: ReadHead) -> Segment:
    """Return the decoded segment without its statistics."""
    assert ref.head is not None
    size, head_id = ref.head
    return _heads.get(ref.id, lambda: (size, Segment(ref.id, read(ref.id, ".bin", size, head_id), head=True)))


def _loaded(
    refs: Sequence[SegmentRef],
    read: Read,
    load: Callable[[SegmentRef], Segment],
    wanted: Callable[[SegmentRef], bool],
    at_once: int,
) -> Iterator[tuple[SegmentRef, Segment]]:
    """Yield the segments that say something of what is wanted, in order."""

    def needed(ref: SegmentRef) -> bool:
        return (ref.parts > 0 and wanted(ref)) or ref.overlays > 0 or ref.dropped > 0

    if at_once <= 1 or (len(refs) <= 1 and not any(ref.level for ref in refs)):
        yield from ((ref, load(ref)) for ref in leaves(refs, read, wanted) if needed(ref))
        return
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(at_once, thread_name_prefix="dataplat-segments") as pool:
        while any(ref.level for ref in refs):
            below = pool.map(lambda ref: list(leaves([ref], read, wanted, deep=False)), refs)
            refs = [ref for some in below for ref in some]
        found = [ref for ref in refs if needed(ref)]
        yield from zip(found, pool.map(load, found), strict=True)


class Table:
    """Parts in order of place, with all overlays applied."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self.parts = parts

    @classmethod
    def load(
        cls,
        root: Root,
        read: Read,
        wanted: Callable[[SegmentRef], bool] = lambda _: True,
        at_once: int = 1,
        read_head: ReadHead | None = None,
    ) -> Table:
        """Read the segments of `root`, `at_once` of them; parts put by segments that are not `wanted` are left out.

        Statistics are under the names that `root` has for the columns; with `read_head` those of large segments are read
        when they are looked at.
        """
        put: list[tuple[SegmentRef, Segment]] = []
        overlays: dict[int, Overlay] = {}
        dropped: set[int] = set()

        def load(ref: SegmentRef) -> Segment:
            return load_segment(ref, read) if read_head is None or ref.head is None else _load_head(ref, read_head)

        for ref, segment in _loaded(root.refs, read, load, wanted, at_once):
            if ref.parts > 0 and wanted(ref):
                put.append((ref, segment))
            overlays.update(segment.overlays())
            dropped.update(segment.dropped)
        put.sort(key=lambda pair: pair[0].first)
        statistics = Statistics([partial(load_segment, ref, read) for ref, _ in put], at_once)
        runs = []
        for at, (_, segment) in enumerate(put):
            column = partial(statistics.column, at) if segment.is_head else None
            gone = dropped.intersection(segment.places) if dropped else dropped
            make = partial(_made, root, segment, column, overlays, gone)
            runs.append((len(segment.places) - len(gone), make))
        parts = PartList(runs)
        if any(before.last > after.first for (before, _), (after, _) in pairwise(put)):
            return cls(sorted(parts, key=lambda part: part.place))
        return cls(parts)

    @cached_property
    def by_place(self) -> dict[int, Part]:
        """Parts by their place."""
        return {part.place: part for part in self.parts}

    @cached_property
    def _by_id(self) -> Mapping[str, Sequence[Part]]:
        by_id: defaultdict[str, list[Part]] = defaultdict(list)
        for part in self.parts:
            by_id[part.id].append(part)
        return dict(by_id)

    def find(self, key: str | int) -> Sequence[Part]:
        """Return the part at a place, or all parts of an id, which must not differ in their deletes.

        Raises:
            KeyError: There is no such part, or an id is there twice with different deletes.
        """
        if isinstance(key, int):
            return (self.by_place[key],)
        found = self._by_id[key]
        if any(part.deletes != found[0].deletes for part in found):
            places = ", ".join(str(part.place) for part in found)
            raise KeyError(f"part {key} is there more than once, with different deletes: name it by place ({places})")
        return found


def _made(
    root: Root,
    segment: Segment,
    column: Callable[[str], StatsColumn] | None,
    overlays: Mapping[int, Overlay],
    dropped: Collection[int],
) -> list[Part]:
    """Return the parts that a segment puts, as the version has them."""
    parts = segment.parts(column)
    if dropped:
        parts = [part for part in parts if part.place not in dropped]
    if overlays:
        parts = [part.with_deletes(*overlays[part.place]) if part.place in overlays else part for part in parts]
    return [named(part, root) for part in parts] if root.retyped or root.renames else parts


def named(part: Part, root: Root) -> Part:
    """Return the part with its statistics by the names that `root` has for columns; stale ones are left out."""
    stale = {stored for stored, place in root.retyped.items() if part.place < place}
    if not (stale or root.renames or isinstance(part.stats, NamedStats)):
        return part
    return replace(part, stats=NamedStats(stored_stats(part.stats), root.names, stale))
