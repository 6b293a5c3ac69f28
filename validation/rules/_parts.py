"""A value of each part, from the cheapest place: statistics, what is remembered, rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final, TypeAlias

from dataplat.lake.part import ColumnStats
from dataplat.validation._digests import Piece, pieces_of
from dataplat.validation._identity import check_id
from dataplat.validation._ledger import page
from dataplat.validation._memory import Memory
from dataplat.validation._rows import as_frame
from dataplat.validation._spread import each
from dataplat.validation.report import HOW, How
from dataplat.validation.subject import Subject

if TYPE_CHECKING:
    import polars as pl

CODE: Final = 1
"""To be raised when a value would be another."""

Value: TypeAlias = list[int]
"""What is known of a part, as integers; a sum of two parts' values is that of both."""


class Parts:
    """Values of the parts (or row groups) of a subject for one column; `asked` names what is asked of it.

    First `prove`, then `recall`, then `read`: each settles what the one before left open.
    """

    def __init__(self, subject: Subject, column: str, memory: Memory, asked: object) -> None:
        self.subject, self.column, self.memory = subject, column, memory
        self.pieces = pieces_of(subject, [column])
        self.values: list[Value | None] = [None] * len(self.pieces)
        self._how: list[How] = ["proven"] * len(self.pieces)
        kind = subject.schema.field(column).type
        self._asked = check_id([CODE, asked], subject.stored(column), str(kind))

    def prove(self, value_of: Callable[[Piece, ColumnStats], Value | None]) -> None:
        """Take what exact statistics of a part say of all its rows, where they say it."""
        for number, piece in enumerate(self.pieces):
            stats = piece.stats.get(self.column)
            if stats is not None and self.values[number] is None:
                self.values[number] = value_of(piece, stats)

    def settle(self, value_of: Callable[[Iterator[pl.Series]], Value]) -> None:
        """Take what is remembered, and read the rest; remember all."""
        subject, ledger = self.subject, self.memory.ledger
        versions = [*([subject.version] if subject.version else []), *subject.earlier]
        known = ledger.find(versions, self._asked)
        for number in self.open:
            value = known.get(page(self.pieces[number].block) or "")
            if isinstance(value, list) and all(isinstance(each, int) for each in value):
                self.values[number], self._how[number] = value, "remembered"
        open_ = self.open
        pieces = [self.pieces[number] for number in open_]
        found = each(self.memory, partial(_value, value_of, self.column), pieces, subject.threads)
        for number, value in zip(open_, found, strict=True):
            self.values[number], self._how[number] = value, "scanned"
        looked_up = [number for number, how in enumerate(self._how) if how != "proven"]
        if looked_up:
            kept = {page(self.pieces[number].block) or "": self.values[number] for number in looked_up}
            ledger.keep(subject.version, self._asked, kept)

    def total(self) -> Value:
        """Return the sum over all parts."""
        return [sum(each) for each in zip(*(value for value in self.values if value is not None), strict=True)]

    @property
    def settled(self) -> tuple[tuple[How, int], ...]:
        """How many rows were settled in which way."""
        rows: dict[How, int] = {}
        for piece, how in zip(self.pieces, self._how, strict=True):
            rows[how] = rows.get(how, 0) + piece.rows
        return tuple((how, rows[how]) for how in HOW if how in rows) or (("proven", 0),)

    @property
    def open(self) -> Sequence[int]:
        """Numbers of the pieces of which nothing is known yet."""
        return [number for number, value in enumerate(self.values) if value is None]


def _value(value_of: Callable[[Iterator[pl.Series]], Value], column: str, piece: Piece) -> Value:
    return value_of(_series(column, piece))


def _series(column: str, piece: Piece) -> Iterator[pl.Series]:
    for unit in piece.units([column]):
        for batch in unit.read():
            yield as_frame(batch, [column]).to_series()
