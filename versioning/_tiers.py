"""How the segments of a manifest grow and merge, so that a commit's metadata stays bounded.

Size-tiered: a commit adds one small segment to the tail, which swallows its neighbours as long as they are not
much larger than itself, so an entry is written about log(n) times before its segment is large enough for the base.
What overlays the base is folded into it when there is half as much of it as there is base: until then a reader
pays for it, and afterwards the writing is paid for by as many commits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec

from dataplat.lake.part import ColumnStats, Part
from dataplat.versioning._index import children, indexed
from dataplat.versioning._root import Root, SegmentRef, summary
from dataplat.versioning._table import load_segment
from dataplat.versioning.segments import SEGMENT_LIMIT, Entries, column_bounds, encode, encode_parts, head_of, merge

if TYPE_CHECKING:
    from dataplat.lake.objects import Stage

Read: TypeAlias = Callable[[str, str], bytes]

_LARGE: Final = SEGMENT_LIMIT // 2
"""A segment of this many bytes belongs to the base."""

_RATIO: Final = 2
"""A run is merged with newer ones when it is at most this many times as heavy as they are together."""

_FOLD: Final = 512
"""Fewer overlays than this are left in the tail."""


def push(root: Root, entries: Entries, stage: Stage, read: Read) -> Root:
    """Return `root` with `entries` added as its newest segment, after the merges that are due."""
    if not entries.weight:
        return root
    tail = list(root.tail)
    weight = entries.weight
    merged: list[SegmentRef] = []
    while tail and tail[-1].weight <= _RATIO * weight:
        weight += tail[-1].weight
        merged.insert(0, tail.pop())
    older = [load_segment(ref, read).entries() for ref in merged]
    entries = merge([*older, entries]) if older else entries
    if not tail and not root.base:
        entries = Entries(entries.parts)  # what is dropped or overlaid here was there and is gone
    data = encode(entries)
    if len(data) < _LARGE and not _due(root, tail, entries):
        return msgspec.structs.replace(root, tail=(*tail, _put(entries, data, root, stage)))
    return _settle(root, tail, entries, stage, read)


def _due(root: Root, tail: Sequence[SegmentRef], entries: Entries) -> bool:
    """Whether there is so much on top of the base that it is time to write the base anew."""
    below = sum(ref.parts for ref in (*root.base, *tail))
    return len(entries.overlays) + len(entries.dropped) >= max(_FOLD, below // 2)


def _settle(root: Root, tail: Sequence[SegmentRef], entries: Entries, stage: Stage, read: Read) -> Root:
    """Move the parts of a large segment to the base; keep what overlays the base, or fold it in."""
    overlays = Entries((), entries.overlays, entries.dropped)
    data = encode(overlays)
    if _due(root, tail, overlays) or len(data) > SEGMENT_LIMIT:
        older = [load_segment(ref, read).entries() for ref in tail]
        entries = merge([*older, entries])
        overlays = Entries((), entries.overlays, entries.dropped)
        base, tail = _fold(root, root.base, overlays, stage, read), ()
    else:
        base = list(root.base)
        tail = (*tail, _put(overlays, data, root, stage)) if overlays.weight else tail
    base += _put_parts(entries.parts, root, stage)
    return msgspec.structs.replace(root, base=indexed(base, root.decimals, stage), tail=tuple(tail))


def _fold(root: Root, base: Sequence[SegmentRef], overlays: Entries, stage: Stage, read: Read) -> list[SegmentRef]:
    """Return the base with overlays applied; segments that none of them touches stay as they are."""
    places = sorted({*overlays.overlays, *overlays.dropped})
    folded: list[SegmentRef] = []
    touched: list[Part] = []
    for ref in _opened(base, places, read):
        if ref.touches(places):
            touched += load_segment(ref, read).parts()
            continue
        folded += _put_parts(merge([Entries(touched), overlays]).parts, root, stage)
        touched = []
        folded.append(ref)
    return [*folded, *_put_parts(merge([Entries(touched), overlays]).parts, root, stage)]


def _opened(base: Iterable[SegmentRef], places: Sequence[int], read: Read) -> Iterator[SegmentRef]:
    """Yield the base with those indexes opened below which something is touched."""
    for ref in base:
        if ref.level and ref.touches(places):
            yield from _opened(children(ref, read), places, read)
        else:
            yield ref


def _put_parts(parts: Sequence[Part], root: Root, stage: Stage) -> Iterable[SegmentRef]:
    if not parts:
        return []
    return [_put(Entries(some), data, root, stage) for some, data in encode_parts(parts)]


def _put(entries: Entries, data: bytes, root: Root, stage: Stage) -> SegmentRef:
    return put_segment(entries, data, column_bounds(entries.parts, _summarised(root)), stage)


def put_segment(entries: Entries, data: bytes, bounds: Mapping[str, ColumnStats], stage: Stage) -> SegmentRef:
    """Stage the bytes of a segment and return what is listed of it; `bounds` are the statistics of its summary."""
    parts, head = entries.parts, head_of(data)
    return SegmentRef(
        id=stage.put(data, ".bin"),
        size=len(data),
        parts=len(parts),
        rows=sum(part.rows for part in parts),
        overlays=len(entries.overlays),
        dropped=len(entries.dropped),
        first=parts[0].place if parts else 0,
        last=parts[-1].place if parts else 0,
        stats=summary(bounds),
        head=(head, sha256(data[:head]).hexdigest()) if head else None,
    )


def _summarised(root: Root) -> dict[str, bool]:
    """Return key and sort columns as stored, and whether each is a decimal; not those whose old bounds have other units."""
    decimals = root.decimals
    names = dict.fromkeys(root.names[name] for name in (*root.key, *root.sort))
    return {name: name in decimals for name in names if name not in root.retyped}
