"""Segments: immutable runs of manifest entries, columnar zstd JSON of at most 256 KB.

A segment *puts* parts, each at a place of its own that no other part of the manifest's line ever had, and
*overlays* parts of older segments: other deletes, or dropped. Of several overlays of one place the newest holds.
`docs/formats.md` has the bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Final, TypeAlias

import msgspec

from dataplat.errors import IntegrityError
from dataplat.lake.digest import Digest
from dataplat.lake.part import ColumnStats, Part
from dataplat.versioning._frames import pack, unpack
from dataplat.versioning._json import canonical
from dataplat.versioning._stats import PartStats, StatsColumn, stats_documents, united

SEGMENT_LIMIT: Final = 256 * 1024
"""No segment is larger than this (bytes), unless a single part's entry is."""

_LEAVE: Final = 32 * 1024
"""Bytes of statistics from which they are worth a request of their own."""

Overlay: TypeAlias = "tuple[str | None, int]"
"""Deletes object (None: no row is deleted) and its cardinality."""


class _Overlays(msgspec.Struct, omit_defaults=True):
    place: list[int] = []
    deletes: list[str | None] = []
    deleted: list[int] = []


class _Core(msgspec.Struct, omit_defaults=True):
    """The first frame: everything but statistics, and where to find those."""

    place: list[int] = []
    id: list[str] = []
    rows: list[int] = []
    size: list[int] = []
    footer: list[str] = []
    digest: list[str] = []
    deletes: list[str | None] | None = None
    deleted: list[int] | None = None
    overlays: _Overlays | None = None
    dropped: list[int] = []
    columns: dict[str, int] = {}
    frames: list[int] = []


class _Frames(msgspec.Struct):
    frames: list[int] = []


@dataclass(frozen=True, slots=True)
class Entries:
    """What a segment holds: parts put (in order of place), overlays and drops by place."""

    parts: Sequence[Part] = ()
    overlays: Mapping[int, Overlay] = field(default_factory=dict)
    dropped: frozenset[int] = frozenset()

    @property
    def weight(self) -> int:
        """Roughly the cost of writing them; a put costs about four overlays."""
        return 4 * len(self.parts) + len(self.overlays) + len(self.dropped)


def merge(newest_last: Iterable[Entries]) -> Entries:
    """Return one `Entries` that says the same; overlays of parts put among them are folded into the parts."""
    parts: dict[int, Part] = {}
    overlays: dict[int, Overlay] = {}
    dropped: set[int] = set()
    for entries in newest_last:
        parts.update((part.place, part) for part in entries.parts)
        overlays.update(entries.overlays)
        dropped |= entries.dropped
    kept = [
        part.with_deletes(*overlays[place]) if place in overlays else part
        for place, part in sorted(parts.items())
        if place not in dropped
    ]
    left = {place: overlay for place, overlay in overlays.items() if place not in parts and place not in dropped}
    return Entries(kept, dict(sorted(left.items())), frozenset(dropped - parts.keys()))


def encode(entries: Entries) -> bytes:
    """Return the bytes of a segment."""
    parts, overlays = entries.parts, entries.overlays
    documents, columns = stats_documents([part.stats for part in parts])
    frames = pack(documents)
    core = _Core(
        place=[part.place for part in parts],
        id=[part.id for part in parts],
        rows=[part.rows for part in parts],
        size=[part.size for part in parts],
        footer=[part.footer for part in parts],
        digest=[part.digest.encode() for part in parts],
        deletes=[part.deletes for part in parts] if any(part.deletes for part in parts) else None,
        deleted=[part.deleted for part in parts] if any(part.deleted for part in parts) else None,
        overlays=_Overlays(list(overlays), [i for i, _ in overlays.values()], [n for _, n in overlays.values()])
        if overlays
        else None,
        dropped=sorted(entries.dropped),
        columns=columns,
        frames=[len(frame) for frame in frames],
    )
    return b"".join([*pack([canonical(core)]), *frames])


def encode_parts(parts: Sequence[Part]) -> Iterator[tuple[Sequence[Part], bytes]]:
    """Yield (parts, bytes of their segment), in order, with segments nearly as large as the limit lets them be."""
    start, count = 0, 512
    while start < len(parts):
        some = parts[start : start + count]
        data = encode(Entries(some))
        enough = start + len(some) == len(parts) or len(data) > SEGMENT_LIMIT // 2
        if (len(data) <= SEGMENT_LIMIT and enough) or len(some) == 1:
            yield some, data
            start += len(some)
        count = max(1, len(some) * SEGMENT_LIMIT * 15 // (len(data) * 16))  # what would fill it, and a little less


def head_of(data: bytes) -> int:
    """Return how many bytes a segment begins with that hold all but its statistics; 0 where those are few."""
    if len(data) < _LEAVE:
        return 0
    statistics = sum(msgspec.json.decode(unpack(data, "a segment"), type=_Frames).frames)
    return len(data) - statistics if statistics >= _LEAVE else 0


class Segment:
    """A decoded segment; statistics are decoded by column, when first asked for.

    Made of its `head` alone it has all but these, and parts are given them by `parts(column)`.
    """

    __slots__ = ("_columns", "_core", "_data", "_id", "_offsets", "_stats", "is_head")

    def __init__(self, id: str, data: bytes, *, head: bool = False) -> None:
        self.is_head = head
        self._id = id
        document = unpack(data, f"segment {id}")
        try:
            core = msgspec.json.decode(document, type=_Core)
        except msgspec.MsgspecError as error:
            raise IntegrityError(f"segment {id} is not a segment: {error}. Run `dataplat version verify`.") from error
        self._core = core
        start = len(data) - sum(core.frames)
        self._offsets = list(accumulate(core.frames, initial=start))
        self._data = data if core.frames and not head else b""
        self._stats: dict[str, StatsColumn] = {}
        self._columns = tuple(core.columns)

    @property
    def dropped(self) -> Sequence[int]:
        """Places whose parts are dropped."""
        return self._core.dropped

    @property
    def places(self) -> Sequence[int]:
        """Places of the parts put, ascending."""
        return self._core.place

    def overlays(self) -> Iterator[tuple[int, Overlay]]:
        """Yield (place, deletes) of the parts whose deletes are replaced."""
        over = self._core.overlays
        if over is not None:
            yield from zip(over.place, zip(over.deletes, over.deleted, strict=True), strict=True)

    def parts(self, column: Callable[[str], StatsColumn] | None = None) -> list[Part]:
        """Return the parts put, in order of place, as this segment alone has them; `column` gives their statistics."""
        core, names, column = self._core, self._columns, column or self.column
        count = len(core.place)
        deletes = core.deletes or [None] * count
        deleted = core.deleted or [0] * count
        return [
            Part(id, rows, size, footer, Digest.decode(digest), PartStats(names, column, row), gone, n_gone, place)
            for row, (place, id, rows, size, footer, digest, gone, n_gone) in enumerate(
                zip(core.place, core.id, core.rows, core.size, core.footer, core.digest, deletes, deleted, strict=True)
            )
        ]

    def entries(self) -> Entries:
        """Return all that the segment holds."""
        return Entries(self.parts(), dict(self.overlays()), frozenset(self.dropped))

    def column(self, name: str) -> StatsColumn:
        """Return the statistics of one column over all parts put."""
        if name not in self._stats:
            frame = self._core.columns[name]
            data = memoryview(self._data)[self._offsets[frame] : self._offsets[frame + 1]]
            document = unpack(data, f"segment {self._id}")
            columns = msgspec.json.decode(document, type=dict[str, msgspec.Raw])
            count = len(self._core.place)
            if len(columns) == 1 or count < 64:  # cheap: decode the whole frame at once
                self._stats.update((key, StatsColumn.decode(raw, count)) for key, raw in columns.items())
            else:
                self._stats[name] = StatsColumn.decode(columns[name], count)
        return self._stats[name]


def column_bounds(parts: Sequence[Part], columns: Mapping[str, bool]) -> dict[str, ColumnStats]:
    """Return statistics over all `parts` of those columns for which every part has them.

    `columns` maps a name to whether it is a decimal (whose bounds are text, to be compared as numbers).
    """
    bounds: dict[str, ColumnStats] = {}
    for name, decimal in columns.items():
        rows = [part.stats.get(name) for part in parts]
        known = [row for row in rows if row is not None]
        if known and len(known) == len(rows):
            bounds[name] = united(known, [part.rows for part in parts], decimal=decimal)
    return bounds
