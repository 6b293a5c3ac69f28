"""A JSON array that arrives in pieces, cut between its elements, so that it never lies in memory whole.

Only brackets and quotes are looked at, by numpy, a piece at a time: what an element holds is left to the decoder.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from dataplat.errors import LabelServerError

BLOCK: Final = 8 << 20  # bytes that are decoded at once
_LOOK: Final = 1 << 20  # bytes that are looked at at once

_DEPTH: Final = np.zeros(256, np.int8)
_DEPTH[[ord("["), ord("{")]] = 1
_DEPTH[[ord("]"), ord("}")]] = -1


@dataclass(slots=True)
class _Cursor:
    """Where the text stands after the bytes that were looked at: how deep, and whether within a string."""

    depth: int = 0
    in_string: bool = False

    def last_end(self, text: bytes) -> int:
        """Move over `text`; return where the last element of depth 0 in it ends, 0 where none does."""
        codes = np.frombuffer(_unescaped(text), np.uint8)
        quotes = np.flatnonzero(codes == ord('"'))
        places = np.flatnonzero(_DEPTH[codes])
        places = places[(np.searchsorted(quotes, places) + self.in_string) % 2 == 0]
        steps = _DEPTH[codes[places]]
        depths = self.depth + np.cumsum(steps, dtype=np.int64)
        ends = places[(depths == 0) & (steps < 0)]
        self.in_string ^= len(quotes) % 2 == 1
        self.depth = int(depths[-1]) if len(depths) else self.depth
        return int(ends[-1]) + 1 if len(ends) else 0


def blocks(chunks: Iterable[bytes], size: int = BLOCK) -> Iterator[bytes]:
    """Yield the elements of one JSON array as arrays of about `size` bytes, each element whole.

    Raises:
        LabelServerError: The text is no array, or ends before the array does.
    """
    kept, looked, cut = bytearray(), 0, 0  # the text from the last cut on; how far it was looked at; where to cut it
    cursor, opened, look = _Cursor(), False, min(size, _LOOK)
    for chunk in chunks:
        kept += chunk
        opened = opened or _open(kept)
        if not opened or len(kept) - looked < look:
            continue
        upto = len(kept) - _odd_slashes(kept)
        end = cursor.last_end(bytes(kept[looked:upto]))
        cut = looked + end if end else cut
        looked = upto
        if cut >= size:
            yield b"[" + bytes(kept[:cut]).lstrip(b", \t\r\n") + b"]"
            del kept[:cut]
            looked, cut = looked - cut, 0
    text = bytes(kept).strip(b" \t\r\n")
    if not opened or not text.endswith(b"]"):
        raise LabelServerError(f"the export {_broken(text)}: the connection broke; pull again")
    text = text.lstrip(b", \t\r\n")
    if text != b"]":
        yield b"[" + text


def _broken(text: bytes) -> str:
    return f"ends in the middle, after {text[-60:].decode(errors='replace')!r}" if text else "is empty"


def _open(kept: bytearray) -> bool:
    """Take the bracket that opens the array away; return whether it has come."""
    text = kept.lstrip(b"\xef\xbb\xbf \t\r\n")
    if not text:
        return False
    if text[:1] != b"[":
        begin = bytes(text[:60]).decode(errors="replace")
        raise LabelServerError(f"the export is no JSON array of tasks; it begins with {begin!r}")
    del kept[: len(kept) - len(text) + 1]
    return True


def _unescaped(text: bytes) -> bytes:
    """Return the text with as many bytes, where every quote begins or ends a string."""
    if b"\\" not in text:
        return text
    return text.replace(b"\\\\", b"..").replace(b'\\"', b"..")


def _odd_slashes(text: bytearray) -> int:
    """Return 1 where the text ends with a backslash that says what the next byte means, else 0."""
    return (len(text) - len(text.rstrip(b"\\"))) % 2 if text[-1:] == b"\\" else 0
