"""A JSON file that is one array of objects, turned into lines as it is read."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NoReturn

import numpy as np

from dataplat.connectors.files._blocks import RECORD_LIMIT, Block
from dataplat.connectors.files._records import NO_QUOTES, Bytes8, Quotes
from dataplat.errors import SourceError

_SPACE = frozenset(" \t\r\n")
_SCANNER = json.JSONDecoder(parse_int=str, parse_float=str)


def is_array(data: Bytes8) -> bool:
    """Return whether a JSON text that begins with `data` is an array."""
    return data[:4096].tobytes().removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"["


def cut_anywhere(data: Bytes8, final: bool) -> tuple[int, Quotes]:  # noqa: ARG001, FBT001 (a Cut)
    """Cut at the end: an array need not have lines."""
    return len(data), NO_QUOTES


def array_blocks(blocks: Iterable[Block], label: str) -> Iterator[Block]:
    """Yield the array's elements one a line, each with the place where it began.

    Raises `SourceError` where the array itself is broken, since nothing behind that can be found.
    """
    scan = _Scan(label)
    decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
    for block in blocks:
        yield from scan.feed(decoder.decode(block.data.tobytes()), last=False)
    yield from scan.feed(decoder.decode(b"", final=True), last=True)


@dataclass(slots=True)
class _Scan:
    """Where we are in the array: `text` begins at byte `offset`, line `line` (1-based)."""

    label: str
    text: str = ""
    offset: int = 0
    line: int = 1
    phase: str = "before the array"
    _places: list[tuple[int, int]] = field(default_factory=list)
    _pieces: list[bytes] = field(default_factory=list)

    def feed(self, more: str, *, last: bool) -> Iterator[Block]:
        self.text += more
        self._places, self._pieces = [], []
        at = self._elements(last=last)
        self._move(at)
        if last and self.phase != "behind the array":
            self._fail(f"the text ends {self.phase}")
        if len(self.text) > RECORD_LIMIT:
            self._fail(f"an element is broken, or longer than {RECORD_LIMIT >> 20} MB")
        if self._pieces:
            data = np.frombuffer(b"\n".join(self._pieces) + b"\n", dtype=np.uint8)
            yield Block(data, self._places[0][0], self._places[0][1], places=tuple(self._places))

    def _elements(self, *, last: bool) -> int:
        """Take as many elements as there are; return how much of the text is done with."""
        at = 0
        while (at := self._skip_space(at)) < len(self.text):
            mark = self.text[at]
            if self.phase == "before the array":  # `[` is there: that is how we came here
                at, self.phase = at + 1, "at the first element"
            elif mark == "]" and self.phase in {"at the first element", "behind an element"}:
                at, self.phase = at + 1, "behind the array"
            elif mark == "," and self.phase == "behind an element":
                at, self.phase = at + 1, "at an element"
            elif self.phase in {"at the first element", "at an element"}:
                end = self._element_end(at, last=last)
                if end is None:
                    break
                self._move(at)
                self._take(end - at)
                at, self.phase = end - at, "behind an element"
            else:
                self._move(at)
                self._fail(f"{mark!r} {self.phase}")
        return at

    def _element_end(self, at: int, *, last: bool) -> int | None:
        try:
            end = _SCANNER.raw_decode(self.text, at)[1]
        except ValueError as error:
            if not last:
                return None
            self._move(at)
            self._fail(str(error))
        return end if last or end < len(self.text) else None  # a number at the very end may go on

    def _take(self, length: int) -> None:
        self._places.append((self.offset, self.line))
        piece = self.text[:length].replace("\n", " ").replace("\r", " ")
        self._pieces.append(piece.encode("utf-8", "surrogateescape"))

    def _skip_space(self, at: int) -> int:
        while at < len(self.text) and self.text[at] in _SPACE:
            at += 1
        return at

    def _move(self, at: int) -> None:
        """Let the text begin at `at`."""
        self.offset += len(self.text[:at].encode("utf-8", "surrogateescape"))
        self.line += self.text.count("\n", 0, at)
        self.text = self.text[at:]

    def _fail(self, what: str) -> NoReturn:
        raise SourceError(
            f"{self.label}: the JSON array is broken at line {self.line:,} (byte {self.offset:,}): {what}; "
            "nothing was taken from it"
        )
