"""The distinct values of columns, as digests, in bounded memory."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from dataplat.validation._digests import Array, DigestReader, Piece, in_order, pieces_of, share
from dataplat.validation._memory import Memory
from dataplat.validation._spread import each, is_here
from dataplat.validation.report import HOW, How
from dataplat.validation.subject import Subject

AT_ONCE = 1 << 25  # 256 MiB of digests


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

    def by_share(self) -> Iterator[tuple[int, int, Array]]:
        """Yield them by share of digest space: its number, how many shares there are, and its digests, sorted."""
        pieces = pieces_of(self.subject, self.reader.columns, self.reader.columns)
        shares = 1 << max(0, -(-sum(piece.rows for piece in pieces) // self.at_once) - 1).bit_length()
        if not is_here(self.memory):
            hows = each(self.memory, self.reader.remember_distinct, pieces, self.subject.threads)
            self._scanned = {piece.number for piece, how in zip(pieces, hows, strict=True) if how == "scanned"}
        for number in range(shares):
            yield number, shares, self._union(pieces, number, shares)

    @property
    def how(self) -> tuple[tuple[How, int], ...]:
        """How many rows were settled in which way."""
        return tuple((how, self.settled[how]) for how in HOW if how in self.settled) or (("proven", 0),)

    def _union(self, pieces: Sequence[Piece], number: int, shares: int) -> Array:
        def read(piece: Piece) -> tuple[Array, int, How]:
            values, rows, how = self.reader.distinct(piece)
            return share(values, number, shares), rows, how

        together = np.empty(0, np.uint64)
        loose: list[Array] = []
        for piece, (values, rows, how) in zip(pieces, in_order(read, pieces, self.subject.threads), strict=True):
            loose.append(values)
            if sum(map(len, loose)) > max(len(together), self.at_once // 8):
                together = np.unique(np.concatenate([together, *loose]))
                loose.clear()
            if number == 0:
                self.rows += rows
                how = "scanned" if piece.number in self._scanned else how
                self.settled[how] = self.settled.get(how, 0) + piece.rows
        return np.unique(np.concatenate([together, *loose]))
