"""Spot numbers whose writing says that they are no numbers, in whole blocks at once."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from dataplat.connectors.files._records import NEWLINE, QUOTE, Bytes8

_WINDOW = 1 << 17
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
    edge &= first <= _ZERO  # all that is looked for, and little else
    at = np.flatnonzero(edge) + 1
    if not len(at):
        return False
    lead = window[at]
    if any((lead == byte).any() for byte in (_PLUS, _SPACE, _TAB) if byte != delimiter):
        return True
    behind = window[at[lead == _ZERO] + 1]
    if ((behind - np.uint8(_ZERO) < 10) | (behind | 32 == ord("x"))).any():
        return True
    negative = at[lead == _MINUS] + 1
    zero = negative[window[negative] == _ZERO] + 1
    return bool((window[zero] != _POINT).any())
