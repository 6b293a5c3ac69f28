"""Maps that a commit carries: a few entries inline, the rest in segments that merge by size.

The newest entry of a key holds, and keys are never removed. So that the bytes a commit adds stay bounded, however
many entries there are, inline entries beyond a limit become a run of segments (sorted, at most 256 KB each), and a
run is merged into the older one when that is at most twice as large. A look-up reads one segment of each run.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec

from dataplat.errors import IntegrityError
from dataplat.versioning._cache import DecodedCache
from dataplat.versioning._frames import pack, unpack
from dataplat.versioning._json import canonical
from dataplat.versioning.segments import SEGMENT_LIMIT

if TYPE_CHECKING:
    from dataplat.lake.objects import Stage

Read: TypeAlias = Callable[[str, str], bytes]
"""Reads an object by (id, suffix)."""

_RATIO: Final = 2
_segments: Final = DecodedCache[dict[str, msgspec.Raw]](16 * 1024 * 1024)


class MapSegment(msgspec.Struct, frozen=True):
    """A segment of a map: its object, its bytes, and which keys are in it."""

    id: str
    size: int
    count: int
    first: str
    last: str


class _Runs(msgspec.Struct, frozen=True, tag_field="format", tag="dataplat.map/1"):
    """Runs, oldest first; within a run segments in order of key."""

    runs: tuple[tuple[MapSegment, ...], ...]


class MapRef(msgspec.Struct, frozen=True, omit_defaults=True):
    """A map: entries that are here, which come first, and the object that lists the runs of all others."""

    inline: dict[str, msgspec.Raw] = {}
    runs: str = ""

    def get(self, key: str, read: Read) -> msgspec.Raw | None:
        """Return the value of `key` as JSON, or None."""
        return dict(self.get_many([key], read)).get(key)

    def get_many(self, keys: Iterable[str], read: Read) -> Iterator[tuple[str, msgspec.Raw]]:
        """Yield (key, value as JSON) for those of `keys` that are there."""
        missing = []
        for key in dict.fromkeys(keys):
            if key in self.inline:
                yield key, self.inline[key]
            else:
                missing.append(key)
        for run in reversed(_load_runs(self.runs, read)) if missing else ():
            firsts = [segment.first for segment in run]
            left = []
            for key in missing:
                at = bisect_right(firsts, key) - 1
                entries = _load(run[at], read) if at >= 0 and key <= run[at].last else {}
                if key in entries:
                    yield key, entries[key]
                else:
                    left.append(key)
            missing = left

    def items(self, read: Read) -> dict[str, msgspec.Raw]:
        """Return all entries, in order of key."""
        entries: dict[str, msgspec.Raw] = {}
        for run in _load_runs(self.runs, read):
            for segment in run:
                entries.update(_load(segment, read))
        entries.update(self.inline)
        return dict(sorted(entries.items()))

    def updated(
        self, puts: Mapping[str, msgspec.Raw], stage: Stage, read: Read, *, limit: int, keep: Collection[str] = ()
    ) -> MapRef:
        """Return the map with `puts` in it; beyond `limit` bytes inline, all but the keys to `keep` go to segments."""
        inline = {**self.inline, **puts}
        flushed = {key: value for key, value in inline.items() if key not in keep}
        if sum(len(key.encode()) + len(bytes(value)) for key, value in flushed.items()) <= limit:
            return MapRef(inline, self.runs)
        runs = list(_load_runs(self.runs, read))
        merged = dict(sorted(flushed.items()))
        new = _encode(merged, stage)
        while runs and _size(runs[-1]) <= _RATIO * _size(new):
            merged = {key: value for segment in runs.pop() for key, value in _load(segment, read).items()} | merged
            new = _encode(dict(sorted(merged.items())), stage)
        root = stage.put(canonical(_Runs((*runs, new))), ".json")
        return MapRef({key: value for key, value in inline.items() if key in keep}, root)

    def object_ids(self, read: Read) -> Iterator[tuple[str, str]]:
        """Yield (id, suffix) of the objects that hold the map."""
        if self.runs:
            yield self.runs, ".json"
        yield from ((segment.id, ".bin") for run in _load_runs(self.runs, read) for segment in run)


def _size(run: Iterable[MapSegment]) -> int:
    return sum(segment.size for segment in run)


def _load_runs(id: str, read: Read) -> tuple[tuple[MapSegment, ...], ...]:
    if not id:
        return ()
    try:
        return msgspec.json.decode(read(id, ".json"), type=_Runs).runs
    except msgspec.MsgspecError as error:
        raise IntegrityError(
            f"object {id} is not the index of a map: {error}. Run `dataplat version verify`."
        ) from error


def _load(segment: MapSegment, read: Read) -> dict[str, msgspec.Raw]:
    def load() -> tuple[int, dict[str, msgspec.Raw]]:
        document = unpack(read(segment.id, ".bin"), f"map segment {segment.id}")
        return segment.size, msgspec.json.decode(document, type=dict[str, msgspec.Raw])

    return _segments.get(segment.id, load)


def _encode(entries: Mapping[str, msgspec.Raw], stage: Stage) -> tuple[MapSegment, ...]:
    """Stage sorted `entries` as a run of segments."""
    (data,) = pack([canonical(entries)])
    keys = list(entries)
    if len(data) <= SEGMENT_LIMIT or len(keys) == 1:
        return (MapSegment(stage.put(data, ".bin"), len(data), len(keys), keys[0], keys[-1]),)
    pieces = len(data) * 8 // (SEGMENT_LIMIT * 7) + 1
    bounds = [len(keys) * i // pieces for i in range(pieces + 1)]
    return tuple(
        segment
        for start, stop in pairwise(bounds)
        if start < stop
        for segment in _encode({key: entries[key] for key in keys[start:stop]}, stage)
    )
