"""Spot numbers whose writing says that they are no numbers, in whole blocks at once."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from dataplat.connectors.files._records import NEWLINE, QUOTE, Bytes8

_WINDOW = 1 << 18
"""Bytes looked at in one go: what is computed on the way stays in the second-level cache."""
_ZERO, _PLUS, _MINUS, _POINT, _SPACE, _TAB = b"0+-. \t"


def oddly_written(data: Bytes8, delimiter: int) -> bool:
    """Return whether any field begins with a zero before a digit or x, a plus, a negative zero or a space.

    Parsers take `00501`, `0x1F`, `+49` and `-0` for numbers and lose what they say. Looks at fields of every column,
    so a positive answer asks for a closer look, no more.
    """
    return any(_odd(window, delimiter) for window in _windows(data))


def _windows(data: Bytes8) -> Iterator[Bytes8]:
    """Yield overlapping windows, so that each byte of `data` is once a field's first with two behind it."""
    edge, tail = np.array([NEWLINE], dtype=np.uint8), np.full(2, NEWLINE, dtype=np.uint8)
    yield np.concatenate([edge, data[: _WINDOW + 2], tail])
    for begin in range(_WINDOW, len(data), _WINDOW):
        window = data[begin - 1 : begin + _WINDOW + 2]
        yield window if begin + _WINDOW + 2 <= len(data) else np.concatenate([window, tail])


def _odd(window: Bytes8, delimiter: int) -> bool:
    before, first = window[:-3], window[1:-2]
    edge = before == delimiter
    edge |= before == NEWLINE
    edge |= before == QUOTE
    suspect = first == _ZERO
    for byte in (_PLUS, _MINUS, _SPACE, _TAB):
        if byte != delimiter:
            suspect |= first == byte
    suspect &= edge
    at = np.flatnonzero(suspect) + 1
    if not len(at):
        return False
    lead, second, third = window[at], window[at + 1], window[at + 2]
    digit = (second >= _ZERO) & (second <= _ZERO + 9) | (second | 32 == ord("x"))
    odd = (lead == _ZERO) & digit
    odd |= (lead == _MINUS) & (second == _ZERO) & (third != _POINT)
    odd |= (lead != _ZERO) & (lead != _MINUS)
    return bool(odd.any())
