"""The bytes of a record: a fixed part that one `struct` reads, values of no fixed width, and sections for what is rarer.

    flags | at | fresh until | where sections begin | base base … | values | sections
    base = event time of the newest row | known time, where rows have one | which values are null | values, or where those of no fixed width end

A base whose past is one row, which nothing that is known will replace, is in the fixed part alone. `at` is the time for which
the record was made: it is right for every later one. Until `fresh until` no row of it is expired.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from dataplat.feature_store.online.plan import Base, Group

CLEAN: Final = 1
"""Every base has its newest row in the fixed part, and no value is null."""
SECTIONS: Final = 2
"""Sections follow."""
MISSING: Final = -(2**63)
"""In the place of an event time: nothing of the key is known, nor will be."""
SEVERAL: Final = -(2**63) + 1
"""In the place of an event time: the rows are in the section."""
HEAD: Final = 4
"""How many values come before those of bases."""
ALWAYS: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Placed:
    """Where a base lies among the values of the fixed part.

    Attributes:
        base: which.
        e: the place of its event time.
        k: that of the time from when it could be served; None: its event time and the view's delay.
        nulls: the places of the words whose bits say which values are null.
        first: the place of its first value.
        stop: that after the last one.
        tails: (place, column) of values of no fixed width.
    """

    base: Base
    e: int
    k: int | None
    nulls: tuple[int, ...]
    first: int
    stop: int
    tails: tuple[tuple[int, str], ...]


@dataclass(frozen=True, slots=True)
class Layout:
    """The fixed part of the records of a group."""

    fixed: struct.Struct
    dtype: np.dtype[Any]
    places: tuple[Placed, ...]

    @classmethod
    def of(cls, group: Group) -> Layout:
        """Return the layout of a group's records."""
        chars, fields = "<BqqI", [("flags", "u1"), ("at", "<i8"), ("until", "<i8"), ("sections", "<u4")]
        places = []
        at = HEAD
        for base in group.bases:
            chars += "q"
            fields.append((f"{base.place} e", "<i8"))
            if base.known:
                chars += "q"
                fields.append((f"{base.place} k", "<i8"))
            e, at = at, at + base.known
            word = _word(len(base.cells))
            words = -(-len(base.cells) // (8 * struct.calcsize(word)))
            chars += word * words
            fields += [(f"{base.place} nulls {each}", f"<u{struct.calcsize(word)}") for each in range(words)]
            first = at + 1 + words
            for column, cell in base.cells.items():
                chars += cell.char or "I"
                fields.append((f"{base.place} {column}", cell.dtype if cell.char else "<u4"))
            tails = tuple(
                (first + place, column) for place, (column, cell) in enumerate(base.cells.items()) if not cell.char
            )
            stop = first + len(base.cells)
            places.append(Placed(base, e, at if base.known else None, tuple(range(at + 1, first)), first, stop, tails))
            at = stop
        fixed = struct.Struct(chars)
        dtype = np.dtype(fields)
        assert fixed.size == dtype.itemsize
        return cls(fixed, dtype, tuple(places))


def _word(columns: int) -> str:
    return next((char for char, width in (("B", 8), ("H", 16), ("I", 32)) if columns <= width), "Q")


def null_bits(nulls: Sequence[np.ndarray[Any, Any] | None], rows: int, words: int) -> list[np.ndarray[Any, Any]]:
    """Return words whose bits say which values are null, given that for each column; None: none are."""
    found = [np.zeros(rows, np.uint64) for _ in range(words)]
    for at, each in enumerate(nulls):
        if each is not None:
            found[at // 64] |= each.astype(np.uint64) << np.uint64(at % 64)
    return found
