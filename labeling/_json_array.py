"""A JSON array that arrives in pieces, cut between its elements, so that it never lies in memory whole.

Where the text is one of Label Studio's, the begin of a task is found by its look, and the cut proven by a decoder that
keeps nothing. Else brackets and quotes are looked at, by numpy: what an element holds is left to the decoder.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from dataplat.errors import LabelServerError
from dataplat.labeling._loose import loose_list

BLOCK: Final = 8 << 20  # bytes that are decoded at once
_LOOK: Final = 1 << 20  # bytes that are looked at at once

_BLANK: Final = b" \t\r\n"
_BETWEEN: Final = b", \t\r\n"

_SIGN: Final = b'"annotations"'  # Label Studio writes a task as {"id":7,"annotations":[…
_BEGIN: Final = re.compile(rb'\}(?=,\s*\{\s*"id":\s*\d+,\s*\Z)')
_BEFORE: Final = 80  # bytes from the end of a task to the sign of the next
_TRIES: Final = 8

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
    kept, opened = bytearray(), False
    cut: _Guess | _Scan = _Guess()
    for chunk in chunks:
        kept += chunk
        opened = opened or _open(kept)
        if not opened:
            continue
        end = cut.end(kept, size)
        if end is None:  # no guess holds: look at every byte from here on
            cut = _Scan()
            end = cut.end(kept, size)
        if end:
            yield _array(kept[:end])
            del kept[:end]
    text = bytes(kept).strip(_BLANK)
    if not opened or not text.endswith(b"]"):
        raise LabelServerError(f"the export {_broken(text)}: the connection broke; pull again")
    text = text.lstrip(_BETWEEN)
    if text != b"]":
        yield b"[" + text


class _Guess:
    """Cuts before what looks like the begin of a task, where that proves right.

    A text is an array with a bracket behind it only where it ends between two elements: what decodes was cut rightly.
    """

    def end(self, kept: bytearray, size: int) -> int | None:
        """Return where to cut; 0: not yet; None: it cannot be told this way."""
        if len(kept) < size:
            return 0
        at = len(kept)
        for _ in range(_TRIES):
            at = kept.rfind(_SIGN, 0, max(at, 0))
            begin = max(at - _BEFORE, 0)
            found = _BEGIN.search(kept[begin : max(at, 0)])
            if found:
                end = begin + found.start() + 1
                return end if loose_list(_array(kept[:end])) is not None else None
        return None


class _Scan:
    """Cuts where brackets say so."""

    def __init__(self) -> None:
        self._cursor = _Cursor()
        self._looked = self._cut = 0  # how far the text was looked at; where it may be cut

    def end(self, kept: bytearray, size: int) -> int | None:
        """Return where to cut; 0: not yet."""
        if len(kept) - self._looked < min(size, _LOOK):
            return 0
        upto = len(kept) - _odd_slashes(kept)
        end = self._cursor.last_end(bytes(kept[self._looked : upto]))
        self._cut = self._looked + end if end else self._cut
        self._looked = upto
        if self._cut < size:
            return 0
        cut, self._looked, self._cut = self._cut, upto - self._cut, 0
        return cut


def _array(elements: bytearray) -> bytes:
    return b"[" + bytes(elements).lstrip(_BETWEEN) + b"]"


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
