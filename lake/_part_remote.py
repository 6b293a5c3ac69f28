"""Parts of stores without files: the footer in one request, then only the column chunks that are asked for.

What is fetched by ranges is checked as a local file is, by the hash of the footer and the CRC of every page; what is
fetched whole is checked by its hash and kept in the cache, and later read from there like a local file.
"""

from __future__ import annotations

import hashlib
import mmap
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq

from dataplat.errors import IntegrityError, ObjectNotFound
from dataplat.lake._damage import damaged, missing
from dataplat.lake._object_keys import read_object
from dataplat.lake._part_footer import MAGIC
from dataplat.lake._part_open import SUFFIX, TAIL, OpenPart, open_part, opened_file
from dataplat.lake._stats import first_leaves, leaves
from dataplat.lake.stores import cache_of
from dataplat.lake.stores._threads import Threads

if TYPE_CHECKING:
    from dataplat.lake.objects import Objects
    from dataplat.lake.part import Part

Span: TypeAlias = tuple[int, int]
"""Bytes [start, stop) of a part."""

SMALL: Final = 256 << 10
"""Parts of so many bytes are fetched whole: two requests would take longer."""
GAP: Final = 1 << 20
"""Bytes that nobody asked for are fetched, too, where a request more would take longer than they do."""
MOST: Final = 8 << 20
"""Bytes of one request."""
_REQUESTS: Final = 8
"""Requests of this process for pieces of parts that are under way beside those that readers wait for themselves."""


@dataclass(frozen=True, slots=True)
class RangedPart(OpenPart):
    """A part of which there is the footer, and that fetches what is read of it."""

    objects: Objects = field(kw_only=True)

    def read(
        self,
        row_group: int,
        columns: Sequence[str],
        keep: pa.BooleanArray | None = None,
        dictionaries: Collection[str] = (),
    ) -> pa.Table:
        """Return these columns of one row group, of all its rows or those to `keep`; fetches their bytes.

        Raises:
            IntegrityError: Its bytes are not what was written, or are gone.
        """
        data = fetch(self.objects, self.part, self.spans(row_group, columns))
        fetched = OpenPart(self.part, pa.BufferReader(data), self.metadata, self.schema, self.checked, self.where)
        return fetched.read(row_group, columns, keep, dictionaries)

    def dictionary(self, row_group: int, column: str) -> None:
        """Return None: a request for a dictionary alone takes as long as one for the rows."""

    def spans(self, row_group: int, columns: Iterable[str]) -> list[Span]:
        """Return where the chunks of these columns lie."""
        group, at = self.metadata.row_group(row_group), first_leaves(self.schema)
        found = []
        for name in columns:
            for leaf in range(at[name], at[name] + leaves(self.schema.field(name).type)):
                chunk = group.column(leaf)
                start = chunk.data_page_offset
                if chunk.has_dictionary_page and 0 < chunk.dictionary_page_offset < start:
                    start = chunk.dictionary_page_offset
                found.append((start, start + chunk.total_compressed_size))
        return found


@dataclass(frozen=True, slots=True)
class CopiedPart(OpenPart):
    """A part of which there is a copy in the cache; where that is damaged the part is fetched again."""

    objects: Objects = field(kw_only=True)

    def read(
        self,
        row_group: int,
        columns: Sequence[str],
        keep: pa.BooleanArray | None = None,
        dictionaries: Collection[str] = (),
    ) -> pa.Table:
        """Return these columns of one row group, of all its rows or those to `keep`; raise `IntegrityError`."""
        try:
            return OpenPart.read(self, row_group, columns, keep, dictionaries)
        except IntegrityError:
            _drop_copy(self.objects, self.part)
            return open_ranged(self.objects, self.part).read(row_group, columns, keep, dictionaries)


def open_remote(objects: Objects, part: Part) -> OpenPart:
    """Open a part: its copy in the cache, all of it where it is small, else its footer.

    Raises:
        IntegrityError: The object is missing, cut short, or its footer is not the one that was written.
    """
    if (copied := open_copy(objects, part)) is not None:
        return copied
    return open_whole(objects, part) if part.size <= SMALL else open_ranged(objects, part)


def open_all(objects: Objects, part: Part) -> OpenPart:
    """Open a part of which everything will be read: from a store without files it comes whole.

    Raises:
        IntegrityError: The object is missing, cut short, or not what was written.
    """
    if objects.local_path(part.id, SUFFIX) is not None or objects.holds(part.id, SUFFIX):
        return open_part(objects, part)
    return open_copy(objects, part) or open_whole(objects, part)


def open_copy(objects: Objects, part: Part) -> OpenPart | None:
    """Open the copy of a part in the cache, if there is one."""
    copies = cache_of(objects.store)
    path = None if copies is None else copies.find(part.id, SUFFIX)
    if path is None:
        return None
    with suppress(OSError):  # gone just now
        file = pa.OSFile(str(path))
        try:
            found = opened_file(part, file, str(path), checked=False)
        except IntegrityError:
            _drop_copy(objects, part)
            return None
        return CopiedPart(part, file, found.metadata, found.schema, found.checked, found.where, objects=objects)
    return None


def _drop_copy(objects: Objects, part: Part) -> None:
    if (copies := cache_of(objects.store)) is not None:
        copies.drop(part.id, SUFFIX)


def open_whole(objects: Objects, part: Part) -> OpenPart:
    """Fetch a part and open it, checked as a whole; a store with a cache keeps a copy."""
    try:
        data = objects.read(part.id, SUFFIX)
    except ObjectNotFound as error:
        raise missing(part) from error
    return opened_file(part, pa.BufferReader(data), f"object {part.id}", checked=True)


def open_ranged(objects: Objects, part: Part) -> RangedPart:
    """Fetch the footer of a part and check it."""
    where = f"object {part.id}"
    tail = _read(objects, part, (max(0, part.size - TAIL), part.size))
    length = int.from_bytes(tail[-8:-4], "little") + 8
    if length > part.size:
        raise damaged(part, where, "its footer is cut")
    if length > len(tail):
        tail = _read(objects, part, (part.size - length, part.size - len(tail))) + tail
    tail = tail[-length:]
    if hashlib.sha256(tail).hexdigest() != part.footer:
        raise damaged(part, where, "its footer is not the one that was written")
    metadata = pq.read_metadata(pa.BufferReader(MAGIC + tail))
    nothing = pa.BufferReader(b"")
    schema = metadata.schema.to_arrow_schema()
    return RangedPart(part, nothing, metadata, schema, checked=False, where=where, objects=objects)


def coalesced(spans: Iterable[Span]) -> list[Span]:
    """Return the requests that bring all `spans`: near ones by one, none of more than `MOST` bytes."""
    joined: list[Span] = []
    for start, stop in sorted(spans):
        if joined and start - joined[-1][1] <= GAP and max(stop, joined[-1][1]) - joined[-1][0] <= MOST:
            joined[-1] = joined[-1][0], max(stop, joined[-1][1])
        else:
            joined.append((start, stop))
    return [(at, min(at + MOST, stop)) for start, stop in joined for at in range(start, stop, MOST)]


def fetch(objects: Objects, part: Part, spans: Iterable[Span]) -> pa.Buffer:
    """Return memory of the size of the part in which these bytes stand where they stand in the part.

    The rest of it is never touched, so it takes no memory.
    """
    requests = coalesced(spans)
    memory = mmap.mmap(-1, max(1, part.size), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if requests:
        others = [_threads.pool().submit(_read, objects, part, span) for span in requests[1:]]
        pieces = [_read(objects, part, requests[0]), *(other.result() for other in others)]
        for (start, stop), piece in zip(requests, pieces, strict=True):
            memory[start:stop] = piece
    return pa.py_buffer(memory)


def _read(objects: Objects, part: Part, span: Span) -> bytes:
    try:
        data = read_object(objects.store, part.id, SUFFIX, span)
    except ObjectNotFound as error:
        raise missing(part) from error
    if len(data) != span[1] - span[0]:
        raise damaged(part, f"object {part.id}", f"it ends before byte {span[1]}, and should have {part.size}")
    return data


_threads = Threads(_REQUESTS, "dataplat-range")
