"""Whether a manifest adds up: its counts, and those of its segments, against the parts that they put."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from dataplat.lake.digest import Digest
from dataplat.versioning._index import children
from dataplat.versioning._table import load_segment
from dataplat.versioning.verify._history import DAMAGE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dataplat.lake.part import Part
    from dataplat.versioning._root import SegmentRef
    from dataplat.versioning._table import Read
    from dataplat.versioning.manifest import Manifest


@dataclass(slots=True)
class Contents:
    """What a manifest holds as far as it can be read: segments and indexes, and parts by place; `whole` if all can."""

    refs: list[SegmentRef] = field(default_factory=list)
    parts: dict[int, Part] = field(default_factory=dict)
    whole: bool = True


def contents(manifest: Manifest) -> Contents:
    """Read a manifest; what lies behind a damaged segment or index is left out."""
    found = Contents()
    unreadable: set[str] = set()
    for ref in _tolerant(manifest.root.refs, manifest.read, found):
        if ref.level:
            continue
        try:
            load_segment(ref, manifest.read)
        except DAMAGE:
            found.whole = False
            unreadable.add(ref.id)
    if found.whole:
        found.parts = {part.place: part for part in manifest.parts()}
        return found
    overlays: dict[int, tuple[str | None, int]] = {}
    dropped: set[int] = set()
    for ref in found.refs:
        if not ref.level and ref.id not in unreadable:
            segment = load_segment(ref, manifest.read)
            found.parts.update((part.place, part) for part in segment.parts())
            overlays.update(segment.overlays())
            dropped.update(segment.dropped)
    found.parts = {place: part for place, part in found.parts.items() if place not in dropped}
    for place in overlays.keys() & found.parts.keys():
        found.parts[place] = found.parts[place].with_deletes(*overlays[place])
    return found


def _tolerant(refs: Iterable[SegmentRef], read: Read, found: Contents) -> Iterator[SegmentRef]:
    for ref in refs:
        found.refs.append(ref)
        yield ref
        if ref.level:
            try:
                below = children(ref, read)
            except DAMAGE:
                found.whole = False
                continue
            yield from _tolerant(below, read, found)


_NOTHING: Final = Digest()


@dataclass(frozen=True, slots=True)
class Sums:
    """Counts over parts; `digest` is None where that of a part is not known."""

    rows: int = 0
    deleted: int = 0
    nbytes: int = 0
    parts: int = 0
    digest: Digest | None = _NOTHING

    def plus(self, part: Part, live: Digest | None, sign: int = 1) -> Sums:
        """Return the sums with one part more (or, with `sign` -1, less)."""
        total = None
        if self.digest is not None and live is not None:
            total = self.digest + live if sign > 0 else self.digest - live
        return Sums(
            self.rows + sign * part.live,
            self.deleted + sign * part.deleted,
            self.nbytes + sign * part.size,
            self.parts + sign,
            total,
        )

    def misfit(self, manifest: Manifest) -> str:
        """Return what the manifest says otherwise, "" where nothing."""
        root = manifest.root
        for word, said, found in (
            ("live rows", root.rows, self.rows),
            ("deleted rows", root.deleted, self.deleted),
            ("bytes", root.bytes, self.nbytes),
            ("parts", root.parts, self.parts),
        ):
            if said != found:
                return f"it says {said:,} {word}, and its parts have {found:,}"
        if manifest.digest is not None and self.digest is not None and manifest.digest != self.digest:
            return "its rows do not add up to the digest that its content id is made of"
        return ""


def segment_misfit(ref: SegmentRef, manifest: Manifest) -> str:
    """Return what the summary of a readable segment or index says otherwise than it holds, "" where nothing."""
    if ref.level:
        below = children(ref, manifest.read)
        parts, rows = sum(child.parts for child in below), sum(child.rows for child in below)
        first, last = min(child.first for child in below), max(child.last for child in below)
        return _differ(ref, (parts, rows, 0, first, last))
    segment = load_segment(ref, manifest.read)
    put, places = segment.parts(), segment.places
    overlays = sum(1 for _ in segment.overlays())
    first, last = (places[0], places[-1]) if places else (0, 0)
    wrong = _differ(ref, (len(put), sum(part.rows for part in put), overlays, first, last))
    return wrong or _bounds_misfit(ref, put, manifest)


def _differ(ref: SegmentRef, holds: tuple[int, int, int, int, int]) -> str:
    said = ref.parts, ref.rows, ref.overlays, ref.first, ref.last
    return (
        "" if said == holds else f"its summary says (parts, rows, overlays, first, last) {said}, and it holds {holds}"
    )


def _bounds_misfit(ref: SegmentRef, parts: list[Part], manifest: Manifest) -> str:
    for name, bounds in ref.bounds.items():
        if name in manifest.root.retyped:  # the summary speaks of the type that the column had
            continue
        order: Callable[[Any], Any] = Decimal if name in manifest.root.decimals else _plain
        for part in parts:
            stats = part.stats.get(name)
            if stats is None:
                continue
            below = None not in {bounds.low, stats.low} and order(stats.low) < order(bounds.low)
            above = None not in {bounds.high, stats.high} and order(stats.high) > order(bounds.high)
            if below or above:
                return f"its summary of column {name!r} leaves out values of part {part.id}"
    return ""


def _plain(bound: Any) -> Any:
    return bound.encode() if isinstance(bound, str) else bound
