"""Offsets of spans in a text: code points, as in Python and Arrow, or UTF-16 units, as in a browser, where 😀 is two.

Label Studio 1.23's editor stores code points, in `Text` as in the `globalOffsets` of `HyperText` (tried with emoji in
Chromium); who annotates by the API may have counted units. The text of a span comes along and tells which was meant.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class Shown:
    """What a task shows, by the names that regions refer to.

    Args:
        data: the task's data.
        columns: which of it holds the text under each name of the label config; None where no config is at hand.
    """

    __slots__ = ("_columns", "_data", "_texts")

    def __init__(self, data: Mapping[str, Any], columns: Mapping[str, str | None] | None) -> None:
        self._data = data
        self._columns = columns
        self._texts: list[str] | None = None

    def span(self, name: str | None, start: float, end: float, said: str) -> tuple[float, float]:
        """Return a span in code points, as it came where its text is not at hand.

        Args:
            name: under which the text is shown; any text of the task will do where no config says which it is.
            start: where it begins.
            end: where it ends, exclusive.
            said: the text of the span.
        """
        for text in self._astral(name):
            if text[int(start) : int(end)] == said:
                return start, end
            one, two = from_units(text, int(start), int(end))
            if text[one:two] == said:
                return one, two
        return start, end

    def _astral(self, name: str | None) -> list[str]:
        """Return the texts in which the two ways of counting differ."""
        if self._texts is None:
            self._texts = [each for each in self._data.values() if isinstance(each, str) and astral(each)]
        if not self._texts or self._columns is None:
            return self._texts
        column = self._columns.get(name or "")
        found = None if column is None else self._data.get(column)
        return [found] if isinstance(found, str) else self._texts


def astral(text: str) -> bool:
    """Return whether the two ways of counting differ somewhere in the text."""
    return not text.isascii() and max(text) > "\uffff"


def from_units(text: str, start: int, end: int) -> tuple[int, int]:
    """Return a span that counts UTF-16 units as one that counts code points; of a character cut in two, all counts."""
    units = text.encode("utf-16-le", errors="surrogatepass")
    first = len(units[: 2 * max(start, 0)].decode("utf-16-le", errors="ignore"))
    last = units[: 2 * max(end, 0)].decode("utf-16-le", errors="replace")
    return first, len(last)
