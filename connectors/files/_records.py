"""Where the records of delimited text begin and end, with RFC 4180 quotes and what people make of them.

A quote opens a quoted field only at the field's beginning; elsewhere it is a character like any other (`5" pipe`).
Inside a quoted field a doubled quote is one quote. What follows the closing quote must be a delimiter or the end
of the line: a line where it is not, and one whose quote is never closed, is broken, and reading goes on at the
next line. So one bad line costs one line.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Bytes8 = npt.NDArray[np.uint8]
Positions = npt.NDArray[np.int64]

NEWLINE, RETURN, QUOTE = 10, 13, 34
NO_POSITIONS: Positions = np.empty(0, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Quotes:
    """The structural quotes of a text: opening and closing alternate in `toggles`.

    `broken` are the (begin, end) of lines whose quoting is wrong, with the reason; `open` says that the last
    quoted field is not closed yet.
    """

    toggles: Positions
    broken: tuple[tuple[int, int, str], ...] = ()
    open: bool = False

    def until(self, stop: int) -> Quotes:
        """Return the quotes before `stop`, which is the end of a record."""
        toggles = self.toggles[: int(np.searchsorted(self.toggles, stop))]
        return Quotes(toggles, tuple(line for line in self.broken if line[0] < stop))


NO_QUOTES = Quotes(NO_POSITIONS)


def find_quotes(data: Bytes8, delimiter: int, *, final: bool) -> Quotes:
    """Return the structural quotes of `data`, which begins at the beginning of a record.

    With `final` the text ends here, so a quote that is still open will never be closed.
    """
    quotes: Positions = np.flatnonzero(data == QUOTE)
    if not len(quotes):
        return NO_QUOTES
    still_open = len(quotes) % 2 == 1
    if not (final and still_open) and _well_formed(data, quotes, delimiter):
        return Quotes(quotes, open=still_open)
    return _Walk(data, quotes, delimiter, final).run()


def _well_formed(data: Bytes8, quotes: Positions, delimiter: int) -> bool:
    before = data[quotes[0::2] - 1]
    if quotes[0] == 0:
        before[0] = NEWLINE
    closing = quotes[1::2]
    if len(closing) and closing[-1] == len(data) - 1:
        closing = closing[:-1]
    return _all_among(before, delimiter) and _all_among(data[closing + 1], delimiter)


def _all_among(values: Bytes8, delimiter: int) -> bool:
    ok = (values == delimiter) | (values == NEWLINE) | (values == QUOTE) | (values == RETURN)
    return bool(ok.all())


@dataclass(slots=True)
class _Walk:
    """The slow way, quote by quote, for text whose quotes are not all at the edges of fields."""

    data: Bytes8
    positions: Positions
    delimiter: int
    final: bool
    toggles: list[int] = field(default_factory=list)
    broken: list[tuple[int, int, str]] = field(default_factory=list)

    def run(self) -> Quotes:
        text = self.data.tobytes()
        quotes = self.positions.tolist()
        edges = {self.delimiter, NEWLINE, RETURN}
        i, record, closed, still_open = 0, 0, -1, False
        while i < len(quotes):
            opening = quotes[i]
            if opening and text[opening - 1] not in edges:
                i += 1
                continue
            line = text.rfind(b"\n", 0, opening)
            record = line + 1 if line > closed else record
            j = _closing(quotes, i + 1)
            if j < len(quotes):
                end = quotes[j]
                if end + 1 >= len(text) or text[end + 1] in edges:
                    self.toggles += (opening, end)
                    closed, i = end, j + 1
                    continue
                reason = "text after a closing quote"
            elif self.final:
                reason = "a quote that is never closed"
            else:
                self.toggles.append(opening)
                still_open = True
                break
            end = self._break(text, record, reason)
            i = bisect_left(quotes, end)
            closed, record = end - 1, end + 1
        return Quotes(np.array(self.toggles, dtype=np.int64), tuple(self.broken), still_open)

    def _break(self, text: bytes, record: int, reason: str) -> int:
        """Give up the first line of a record; return where it ends."""
        while self.toggles and self.toggles[-1] >= record:
            self.toggles.pop()
        end = text.find(b"\n", record)
        end = len(text) if end < 0 else end
        self.broken.append((record, end, reason))
        return end


def _closing(quotes: list[int], j: int) -> int:
    """Return the index of the quote that closes a field, passing over doubled ones; `len(quotes)` if none does."""
    while j + 1 < len(quotes) and quotes[j + 1] == quotes[j] + 1:
        j += 2
    return j


def last_boundary(data: Bytes8, quotes: Quotes) -> int:
    """Return where the last complete record ends (behind its newline), 0 where none does."""
    text = data.data
    stop = len(data)
    while True:
        line = _rfind_newline(text, stop)
        if line < 0:
            return 0
        inside = int(np.searchsorted(quotes.toggles, line))
        if inside % 2 == 0:
            return line + 1
        stop = int(quotes.toggles[inside - 1])


def _rfind_newline(text: memoryview, stop: int, window: int = 1 << 16) -> int:
    while stop > 0:
        start = max(0, stop - window)
        found = bytes(text[start:stop]).rfind(b"\n")
        if found >= 0:
            return start + found
        stop = start
    return -1


@dataclass(frozen=True, slots=True)
class Records:
    """The records of a block: `starts` and `ends` (without line ends) in bytes, `lines` counted from 0."""

    starts: Positions
    ends: Positions
    lines: Positions


def split_records(data: Bytes8, quotes: Quotes) -> Records:
    """Return every record of `data`, empty lines included; a lone carriage return ends a record, too."""
    newlines: Positions = np.flatnonzero(data == NEWLINE)
    ends = _outside(newlines, quotes)
    returns: Positions = np.flatnonzero(data == RETURN)
    if len(returns):
        followed = returns[returns + 1 < len(data)]
        lone = followed[data[followed + 1] != NEWLINE]
        ends = np.sort(np.concatenate([ends, _outside(lone, quotes)]))
    starts = np.concatenate([[0], ends + 1]).astype(np.int64)
    ends = np.append(ends, len(data))
    if starts[-1] == len(data):
        starts, ends = starts[:-1], ends[:-1]
    trailing = (ends > starts) & (data[np.maximum(ends - 1, 0)] == RETURN)
    return Records(starts, ends - trailing, np.searchsorted(newlines, starts).astype(np.int64))


def count_fields(data: Bytes8, records: Records, quotes: Quotes, delimiter: int) -> Positions:
    """Return how many fields each record has."""
    delimiters = _outside(np.flatnonzero(data == delimiter), quotes)
    found = np.searchsorted(delimiters, records.ends) - np.searchsorted(delimiters, records.starts)
    return found.astype(np.int64) + 1


def _outside(positions: Positions, quotes: Quotes) -> Positions:
    if not len(quotes.toggles):
        return positions
    outside: Positions = positions[np.searchsorted(quotes.toggles, positions) % 2 == 0]
    return outside
