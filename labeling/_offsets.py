"""Offsets of a browser in a text: it counts UTF-16 units, so that 😀 is two; Python and Arrow count code points.

Label Studio's editor hands out what the browser counts. Who writes annotations by the API may have counted code
points; where the text of a span comes along, it tells which of the two was meant.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

_OURS: Final = "dataplat_id"


class Shown:
    """What a task shows, by the names that regions refer to.

    Args:
        data: the task's data.
        columns: which of it holds the text under each name of the label config; None where there is no config.
    """

    __slots__ = ("_columns", "_data")

    def __init__(self, data: Mapping[str, Any], columns: Mapping[str, str | None] | None) -> None:
        self._data = data
        self._columns = columns

    def text(self, name: str | None, said: str | None = None, start: int = 0, end: int = 0) -> str | None:
        """Return the text under a name; where no config tells, the one that has what the span says, in its place."""
        if self._columns is not None and name is not None:
            column = self._columns.get(name)
            found = None if column is None else self._data.get(column)
            return found if isinstance(found, str) else None
        if said is None:
            return None
        texts = [each for key, each in self._data.items() if isinstance(each, str) and key != _OURS]
        return next((each for each in texts if _has(each, said, start, end)), None)


def _has(text: str, said: str, start: int, end: int) -> bool:
    one, two = code_points(text, start, end)
    return text[one:two] == said or text[start:end] == said


def astral(text: str) -> bool:
    """Return whether the two ways of counting differ somewhere in the text."""
    return not text.isascii() and max(text) > "\uffff"


def code_points(text: str, start: int, end: int, said: str | None = None) -> tuple[int, int]:
    """Return a span as code points.

    Args:
        text: what was shown.
        start: where the span begins, in UTF-16 units (or in code points, where only then `said` is there).
        end: where it ends, exclusive.
        said: the text of the span, where it is known.
    """
    if not astral(text):
        return start, end
    units = text.encode("utf-16-le", errors="surrogatepass")
    found = _points(units, start), _points(units, end)
    if said and text[found[0] : found[1]] != said and text[start:end] == said:
        return start, end
    return found


def _points(units: bytes, offset: int) -> int:
    """Return how many characters begin before `offset`; one that it cuts in two counts."""
    before = units[: 2 * max(offset, 0)]
    return len(before.decode("utf-16-le", errors="replace"))
