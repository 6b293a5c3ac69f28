"""The distinct values of columns, as digests, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Generic, TypeVar

import numpy as np

from dataplat.validation._digests import Array, DigestReader, Piece, in_order, pieces_of, share
from dataplat.validation._memory import Memory
from dataplat.validation._spread import bare, each, each_share, is_here
from dataplat.validation.report import HOW, How
from dataplat.validation.subject import Subject

AT_ONCE = 1 << 25  # 256 MiB of digests

R = TypeVar("R")
S = TypeVar("S")


@dataclass(slots=True)
class Distinct:
    """The distinct digests of the rows without a null; `rows` and `settled` are known once they were looked at."""

    subject: Subject
    reader: DigestReader
    memory: Memory
    at_once: int = AT_ONCE
    rows: int = field(default=0, init=False)
    settled: dict[How, int] = field(default_factory=dict, init=False)
    _scanned: Collection[int] = field(default=(), init=False)
    """Numbers of the blocks that were read elsewhere for this."""

    def by_share(
        self, do: Callable[[int, int, Array], R], tell: Callable[[R, int], S | None], digests: int = 0
    ) -> Iterator[R | S]:
        """Yield what `do` makes of each share of digest space: its number, how many there are, and its digests, sorted.

        It is called where the engine works, and `tell` makes of it what travels (see `each_share`). There are as many shares
        as so many `digests` need, too.
        """
        pieces = pieces_of(self.subject, self.reader.columns, self.reader.columns)
        count = sum(piece.rows for piece in pieces)
        if not is_here(self.memory):
            known = list(each(self.memory, self.reader.remember_distinct, pieces, self.subject.threads))
            self._scanned = {piece.number for piece, (_, how) in zip(pieces, known, strict=True) if how == "scanned"}
            count = sum(distinct for distinct, _ in known)
        shares = 1 << max(0, -(-max(count, digests) // self.at_once) - 1).bit_length()
        union = _Union(self.reader, bare(pieces), shares, self.at_once, self.subject.threads, do)
        for number, found in enumerate(each_share(self.memory, union, shares, partial(_tell, tell))):
            if number == 0:
                self._settle(pieces, found.rows)
            yield found.made

    @property
    def how(self) -> tuple[tuple[How, int], ...]:
        """How many rows were settled in which way."""
        return tuple((how, self.settled[how]) for how in HOW if how in self.settled) or (("proven", 0),)

    def _settle(self, pieces: Sequence[Piece], found: Sequence[tuple[int, How]]) -> None:
        for piece, (rows, how) in zip(pieces, found, strict=True):
            self.rows += rows
            how = "scanned" if piece.number in self._scanned else how
            self.settled[how] = self.settled.get(how, 0) + piece.rows


@dataclass(frozen=True, slots=True)
class _Made(Generic[R]):
    """What was made of a share; of the first, how many rows each piece has, and how it was settled."""

    made: R
    rows: Sequence[tuple[int, How]]


@dataclass(frozen=True, slots=True)
class _Union(Generic[R]):
    """Puts together the digests of one share, and makes something of them."""

    reader: DigestReader
    pieces: Sequence[Piece]
    shares: int
    at_once: int
    threads: int
    do: Callable[[int, int, Array], R]

    def __call__(self, number: int) -> _Made[R]:
        def read(piece: Piece) -> tuple[Array, int, How]:
            values, rows, how = self.reader.distinct(piece)
            return share(values, number, self.shares), rows, how

        together = np.empty(0, np.uint64)
        loose: list[Array] = []
        settled: list[tuple[int, How]] = []
        for values, rows, how in in_order(read, self.pieces, self.threads):
            loose.append(values)
            if sum(map(len, loose)) > max(len(together), self.at_once // 8):
                together = np.unique(np.concatenate([together, *loose]))
                loose.clear()
            if number == 0:
                settled.append((rows, how))
        return _Made(self.do(number, self.shares, np.unique(np.concatenate([together, *loose]))), settled)


def _tell(tell: Callable[[R, int], S | None], found: _Made[R], most: int) -> _Made[S] | None:
    made = tell(found.made, most)
    return None if made is None else _Made(made, found.rows)
