"""Cut a stream into blocks that end where a record ends, knowing byte and line of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO

import numpy as np

from dataplat.connectors.files._records import NO_QUOTES, Bytes8, Quotes, find_quotes, last_boundary
from dataplat.connectors.files._stream import damage
from dataplat.errors import SourceError

BLOCK_BYTES = 4 << 20
FIRST_BYTES = 1 << 20
"""The first block is small, and each up to `BLOCK_BYTES` twice as large as the one before: work begins at once."""
RECORD_LIMIT = 64 << 20
"""A record may not be longer than this (bytes): memory stays bounded whatever the input."""

Cut = Callable[[Bytes8, bool], tuple[int, Quotes]]
"""Where the last complete record of the data ends (0 for nowhere); the flag says that the text ends here."""


@dataclass(frozen=True, slots=True)
class Block:
    """Whole records: `offset` (bytes) and `line` (1-based) are where they begin in the uncompressed text.

    `places` holds (offset, line) of each line where these do not follow from the data (elements of an array).
    """

    data: Bytes8
    offset: int
    line: int
    quotes: Quotes = NO_QUOTES
    final: bool = False
    places: tuple[tuple[int, int], ...] | None = None

    def place(self, start: int, number: int) -> tuple[int, int]:
        """Return offset and line of the record that begins at byte `start`, in line `number` (from 0) of the data."""
        return self.places[number] if self.places is not None else (self.offset + start, self.line + number)


def cut_lines(data: Bytes8, final: bool) -> tuple[int, Quotes]:  # noqa: FBT001 (a Cut)
    """Cut behind the last newline."""
    return len(data) if final else last_boundary(data, NO_QUOTES), NO_QUOTES


def cut_delimited(delimiter: int) -> Cut:
    """Return the cut that leaves newlines inside quoted fields alone."""

    def cut(data: Bytes8, final: bool) -> tuple[int, Quotes]:  # noqa: FBT001 (a Cut)
        ends_here = final or len(data) >= RECORD_LIMIT
        quotes = find_quotes(data, delimiter, final=final)
        stop = len(data) if final else last_boundary(data, quotes)
        if stop == 0 and ends_here and not final:  # no quote is longer than a record may be: it is never closed
            quotes = find_quotes(data, delimiter, final=True)
            stop = last_boundary(data, quotes)
        return stop, quotes.until(stop)

    return cut


def blocks(stream: IO[bytes], label: str, cut: Cut, size: int | None = None) -> Iterator[Block]:
    """Yield the text of `stream` in blocks of about `size` bytes (4 MB); raise `SourceError` naming line and byte."""
    carry = np.empty(0, dtype=np.uint8)
    offset, line = 0, 1
    size = size or BLOCK_BYTES
    want = min(size, FIRST_BYTES)
    while True:
        data, final = _fill(stream, carry, want, _Place(label, offset, line))
        stop, quotes = cut(data, final)
        if stop == 0 and not final:
            if len(data) >= RECORD_LIMIT:
                raise SourceError(
                    f"{label}: line {line} (byte {offset}) is longer than {RECORD_LIMIT >> 20} MB, "
                    "so this is no text of records; look at it with `head -c`"
                )
            carry, want = data, min(len(data), RECORD_LIMIT - len(data))
            continue
        if stop:
            yield Block(data[:stop], offset, line, quotes, final)
        if final:
            return
        line += count_newlines(data[:stop])
        offset += stop
        carry, want = data[stop:], min(2 * want, size)


def count_newlines(data: Bytes8) -> int:
    """Return how many newlines `data` holds."""
    return int(np.count_nonzero(data == 10))


@dataclass(frozen=True, slots=True)
class _Place:
    label: str
    offset: int
    line: int


def _fill(stream: IO[bytes], carry: Bytes8, want: int, place: _Place) -> tuple[Bytes8, bool]:
    buffer = np.empty(len(carry) + want, dtype=np.uint8)
    buffer[: len(carry)] = carry
    view = buffer.data
    filled = len(carry)
    while filled < len(buffer):
        try:
            n = stream.readinto(view[filled:])  # type: ignore[attr-defined]
        except damage() as error:
            line = place.line + count_newlines(buffer[:filled])
            raise SourceError(
                f"{place.label} is truncated or damaged: it cannot be read beyond byte {place.offset + filled:,} "
                f"of its content (line {line:,}): {error}; nothing was taken from it"
            ) from error
        if not n:
            return buffer[:filled], True
        filled += n
    return buffer, False
