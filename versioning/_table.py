"""The parts of a manifest put together from its segments."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Final

from dataplat.lake.part import ColumnStats, Part
from dataplat.versioning._cache import DecodedCache
from dataplat.versioning._index import leaves
from dataplat.versioning._root import Root, SegmentRef
from dataplat.versioning.segments import Overlay, Segment

_segments: Final = DecodedCache[Segment](64 * 1024 * 1024)


def load_segment(ref: SegmentRef, read: Callable[[str, str], bytes]) -> Segment:
    """Return the decoded segment, from this process's memory where it is there."""
    return _segments.get(ref.id, lambda: (ref.size, Segment(ref.id, read(ref.id, ".bin"))))


class Table:
    """Parts in order of place, with all overlays applied."""

    def __init__(self, parts: list[Part]) -> None:
        self.parts = parts

    @classmethod
    def load(
        cls, root: Root, read: Callable[[str, str], bytes], wanted: Callable[[SegmentRef], bool] = lambda _: True
    ) -> Table:
        """Read the segments of `root`; parts put by segments that are not `wanted` are left out."""
        parts: list[Part] = []
        overlays: dict[int, Overlay] = {}
        dropped: set[int] = set()
        for ref in leaves(root.refs, read, wanted):
            puts = ref.parts > 0 and wanted(ref)
            if not (puts or ref.overlays or ref.dropped):
                continue
            segment = load_segment(ref, read)
            if puts:
                parts += segment.parts()
            overlays.update(segment.overlays())
            dropped.update(segment.dropped)
        if dropped:
            parts = [part for part in parts if part.place not in dropped]
        if overlays:
            parts = [part.with_deletes(*overlays[part.place]) if part.place in overlays else part for part in parts]
        if root.retyped:
            parts = [_without_stale_stats(part, root.retyped) for part in parts]
        parts.sort(key=lambda part: part.place)
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


def _without_stale_stats(part: Part, retyped: Mapping[str, int]) -> Part:
    stale = {name for name, place in retyped.items() if part.place < place}
    if not stale:
        return part
    return replace(part, stats=_Without(part.stats, stale))


class _Without(Mapping[str, ColumnStats]):
    """Statistics but for some columns."""

    __slots__ = ("_hidden", "_stats")

    def __init__(self, stats: Mapping[str, ColumnStats], hidden: set[str]) -> None:
        self._stats = stats
        self._hidden = hidden

    def __getitem__(self, name: str) -> ColumnStats:
        if name in self._hidden:
            raise KeyError(name)
        return self._stats[name]

    def __iter__(self) -> Iterator[str]:
        return (name for name in self._stats if name not in self._hidden)

    def __len__(self) -> int:
        return sum(1 for _ in self)
