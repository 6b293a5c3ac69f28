"""Versions without the rows that were erased: parts, deletes, segments and roots, each written anew only where it must.

Places of parts, and so the shape of segments and the order of rows, stay as they are. What two versions shared they
share afterwards, because each part and each segment is written anew once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

import msgspec

from dataplat.errors import IntegrityError, ObjectNotFound
from dataplat.lake._damage import missing
from dataplat.versioning._frames import pack
from dataplat.versioning._index import children
from dataplat.versioning._json import canonical
from dataplat.versioning._root import SegmentRef, summary
from dataplat.versioning._stats import united
from dataplat.versioning._table import load_segment
from dataplat.versioning._tiers import put_segment
from dataplat.versioning.manifest import Manifest
from dataplat.versioning.segments import Entries, Overlay, column_bounds, encode

if TYPE_CHECKING:
    from pyroaring import BitMap

    from dataplat.lake.objects import Objects, Stage
    from dataplat.lake.part import Part
    from dataplat.versioning._root import Root
    from dataplat.versioning.erase._find import Dirty

_ONE: Final = 1 << 62
"""No part is as large as this: what is left of one stays one."""

_Key = tuple[str, tuple[tuple[int, str], ...], frozenset[str]]


@dataclass(slots=True)
class Rewriter:
    """Rewrites versions of one dataset; what is new is put into `stage`."""

    objects: Objects
    stage: Stage
    dirty: Dirty
    _parts: dict[str, Part | None] = field(default_factory=dict)
    _places: dict[str, Mapping[int, str]] = field(default_factory=dict)
    _deletes: dict[tuple[str, str | None], Overlay] = field(default_factory=dict)
    _lost: set[str | None] = field(default_factory=set)
    _refs: dict[_Key, SegmentRef | None] = field(default_factory=dict)

    def manifest(self, manifest: Manifest) -> Manifest:
        """Return the version without the rows; the same where it holds none of them, in no way."""
        root = manifest.root
        places: dict[int, str] = {}
        for ref in root.refs:
            places.update(self._dirty_places(ref, manifest))
        if not places:
            return manifest
        base = [new for ref in root.base if (new := self._ref(ref, places, manifest)) is not None]
        tail = [new for ref in root.tail if (new := self._ref(ref, places, manifest)) is not None]
        counted = msgspec.structs.replace(root, base=tuple(base), tail=tuple(tail), **self._counts(manifest, root))
        return Manifest(counted, self.stage.read).stage(self.stage)

    def erased(self, manifest: Manifest) -> int:
        """Return how many rows that count in a version are erased from it."""
        parts = (part for part in manifest.parts() if part.id in self.dirty)
        return sum(part.live - (0 if (after := self._changed(part)) is None else after.live) for part in parts)

    def _counts(self, manifest: Manifest, root: Root) -> dict[str, object]:
        rows, deleted, nbytes, parts = root.rows, root.deleted, root.bytes, root.parts
        for part in manifest.table(lambda ref: bool(self._dirty_places(ref, manifest))).parts:
            if part.id not in self.dirty:
                continue
            if self.dirty[part.id] is None:
                raise missing(part)
            after = self._changed(part)
            if part.deletes in self._lost:
                raise IntegrityError(
                    f"deletes {part.deletes} of part {part.id} are missing in the store. `dataplat version verify` "
                    "lists what is missing; put the object back from a copy of the lake. Nothing was erased."
                )
            rows -= part.live - (0 if after is None else after.live)
            deleted -= part.deleted - (0 if after is None else after.deleted)
            nbytes -= part.size - (0 if after is None else after.size)
            parts -= after is None
        digest = root.digest if rows == root.rows else None
        return {"rows": rows, "deleted": deleted, "bytes": nbytes, "parts": parts, "digest": digest}

    # --------------------------------------------------------------------------------------------------- parts

    def _changed(self, part: Part) -> Part | None:
        """Return what is left of a part, with its deletes; None where nothing is."""
        fresh = self._part(part)
        if fresh is None:
            return None
        return replace(fresh.with_deletes(*self._overlay(part.id, (part.deletes, part.deleted))), place=part.place)

    def _part(self, part: Part) -> Part | None:
        if part.id not in self._parts:
            self._parts[part.id] = self._written(part)
        return self._parts[part.id]

    def _written(self, part: Part) -> Part | None:
        """Write a part anew without its erased rows, in order; None where nothing is left, or the part is gone."""
        import pyarrow as pa

        from dataplat.lake._part_open import open_part
        from dataplat.lake.deletes import live_mask
        from dataplat.lake.parts import PartWriter
        from dataplat.lake.take import written_rows

        erased = self.dirty[part.id]
        if erased is None or len(erased) >= part.rows:
            return None
        schema = open_part(self.objects, part).schema
        known = [name for name in part.stats if name in schema.names]
        with PartWriter(
            self.stage, schema, key=known, threads=1, target_rows=_ONE, target_bytes=_ONE, row_group_rows=131_072
        ) as writer:
            start = 0
            for batch in written_rows(self.objects, part):
                mask = live_mask(erased, start, start + len(batch))
                writer.write(batch.filter(pa.array(mask)))
                start += len(batch)
            (fresh,) = writer.close()
        return fresh

    def _overlay(self, part_id: str, overlay: Overlay) -> Overlay:
        """Return deletes of a part as deletes of what is left of it.

        Those that were collected are superseded by others in every version that is left, so none will do for them;
        `_counts` says where that is not so.
        """
        deletes = overlay[0]
        erased = self.dirty[part_id]
        if deletes is None or erased is None:
            return None, 0
        if (part_id, deletes) not in self._deletes:
            try:
                self._deletes[part_id, deletes] = self._moved(deletes, erased)
            except ObjectNotFound:
                self._lost.add(deletes)
                self._deletes[part_id, deletes] = None, 0
        return self._deletes[part_id, deletes]

    def _moved(self, deletes: str, erased: BitMap) -> Overlay:
        from dataplat.lake.deletes import decode, remap, stage_deletes

        return stage_deletes(self.stage, remap(decode(self.objects.read(deletes, ".bin")), erased, 0))

    # ------------------------------------------------------------------------------------------------ segments

    def _dirty_places(self, ref: SegmentRef, manifest: Manifest) -> Mapping[int, str]:
        """Return the parts put in a segment, or below an index, that hold erased rows, by place."""
        if ref.id not in self._places:
            found: dict[int, str] = {}
            if ref.level:
                for child in children(ref, manifest.read):
                    found.update(self._dirty_places(child, manifest))
            else:
                parts = load_segment(ref, manifest.read).parts()
                found.update((part.place, part.id) for part in parts if part.id in self.dirty)
            self._places[ref.id] = found
        return self._places[ref.id]

    def _ref(self, ref: SegmentRef, places: Mapping[int, str], manifest: Manifest) -> SegmentRef | None:
        """Return the segment or index without erased rows; None where it says nothing any more."""
        over: list[tuple[int, str]] = []
        if not ref.level and (ref.overlays or ref.dropped):
            segment = load_segment(ref, manifest.read)
            named = [*(place for place, _ in segment.overlays()), *segment.dropped]
            over = [(place, places[place]) for place in named if place in places]
        if not over and not self._dirty_places(ref, manifest):
            return ref
        key = ref.id, tuple(sorted(over)), frozenset(manifest.root.decimals)
        if key not in self._refs:
            write = self._index if ref.level else self._segment
            self._refs[key] = write(ref, places, manifest)
        return self._refs[key]

    def _index(self, ref: SegmentRef, places: Mapping[int, str], manifest: Manifest) -> SegmentRef | None:
        below = [new for child in children(ref, manifest.read) if (new := self._ref(child, places, manifest))]
        if not below:
            return None
        (data,) = pack([canonical(below)])
        rows = [child.rows for child in below]
        names = sorted(set.intersection(*(set(child.stats) for child in below)))
        decimals = manifest.root.decimals
        bounds = {n: united([child.bounds[n] for child in below], rows, decimal=n in decimals) for n in names}
        return SegmentRef(
            id=self.stage.put(data, ".bin"),
            size=len(data),
            level=ref.level,
            parts=sum(child.parts for child in below),
            rows=sum(rows),
            first=min(child.first for child in below),
            last=max(child.last for child in below),
            stats=summary(bounds),
        )

    def _segment(self, ref: SegmentRef, places: Mapping[int, str], manifest: Manifest) -> SegmentRef | None:
        entries = self._entries(load_segment(ref, manifest.read).entries(), places)
        parts = entries.parts
        if not (parts or entries.overlays or entries.dropped):
            return None
        data = encode(entries)
        bounds = column_bounds(parts, {name: name in manifest.root.decimals for name in ref.stats})
        return put_segment(entries, data, bounds, self.stage)

    def _entries(self, old: Entries, places: Mapping[int, str]) -> Entries:
        vanished = {place for place, id in places.items() if self._is_gone(id)}
        overlays = {
            place: self._overlay(places[place], overlay) if place in places else overlay
            for place, overlay in old.overlays.items()
            if place not in vanished
        }
        return Entries(list(self._kept(old.parts)), overlays, old.dropped - vanished)

    def _kept(self, parts: Iterable[Part]) -> Iterator[Part]:
        for part in parts:
            after = self._changed(part) if part.id in self.dirty else part
            if after is not None:
                yield after

    def _is_gone(self, id: str) -> bool:
        """Whether nothing is left of a part; one that only other segments put is known from its count of rows."""
        if id in self._parts:
            return self._parts[id] is None
        return self.dirty[id] is None
