"""Offsets of spans in a text: code points, as in Python and Arrow, or UTF-16 units, as in a browser, where 😀 is two.

Label Studio 1.23's editor stores code points, in `Text` as in the `globalOffsets` of `HyperText` (tried with emoji in
Chromium); who annotates by the API may have counted units. The text of a span comes along and tells which was meant.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class Shown:
    """The texts of a task in which the two ways of counting differ, by the columns of its data."""

    __slots__ = ("_texts",)

    def __init__(self, texts: Mapping[str, str]) -> None:
        self._texts = texts

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Shown | None:
        """Return those of a task's data; None where there are none, so that its spans are right as they are."""
        texts = {name: each for name, each in data.items() if isinstance(each, str) and astral(each)}
        return cls(texts) if texts else None

    def span(self, column: str | None, start: float, end: float, said: str) -> tuple[float, float]:
        """Return a span in code points, as it came where its text is not at hand.

        Args:
            column: what holds its text; None: not known, then any text will do that says what the span says.
            start: where it begins.
            end: where it ends, exclusive.
            said: the text of the span.
        """
        for text in self._texts.values() if column is None else (self._texts.get(column, ""),):
            if text[int(start) : int(end)] == said:
                return start, end
            one, two = from_units(text, int(start), int(end))
            if text[one:two] == said:
                return one, two
        return start, end


def astral(text: str) -> bool:
    """Return whether the two ways of counting differ somewhere in the text."""
    return not text.isascii() and len(text.encode("utf-16-le", errors="surrogatepass")) > 2 * len(text)


def from_units(text: str, start: int, end: int) -> tuple[int, int]:
    """Return a span that counts UTF-16 units as one that counts code points; of a character cut in two, all counts."""
    units = text.encode("utf-16-le", errors="surrogatepass")
    first = len(units[: 2 * max(start, 0)].decode("utf-16-le", errors="ignore"))
    last = units[: 2 * max(end, 0)].decode("utf-16-le", errors="replace")
    return first, len(last)
