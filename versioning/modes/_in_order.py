"""Rows that lie in the input where they lie in the base: found by comparing values, which is cheaper than digests.

A full dump mostly keeps its order, so each batch is first compared with as many rows of the base, from where the last
one ended. Where less than half of them are equal, rows have come or gone: then this batch and the next rows of the base are
matched by digests, and behind the last match the comparison goes on. Two batches in a row that match less than
half leave the order given up: what is left of the base goes to an index.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dataplat.lake.content_id import row_digests
from dataplat.lake.row_index import RowIndex
from dataplat.lake.scan import PART_COLUMN, ROW_COLUMN

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

_MISSES: Final = 2

Mask: TypeAlias = "NDArray[np.bool_]"


@dataclass(frozen=True, slots=True)
class Block:
    """Rows of the base that are not in the input so far: where they lie in a part, and their digests."""

    part: int
    places: NDArray[np.uint32]
    digests: NDArray[np.uint64]


class InOrder:
    """Follows the rows of a base, given as a scan with positions, along those of the input."""

    def __init__(self, scanned: Iterator[pa.RecordBatch], names: list[str]) -> None:
        self._scanned = scanned
        self._names = names
        self._block: pa.RecordBatch | None = None
        self._at = 0
        self._left: list[Block] = []
        self._misses = 0
        self.used = 0

    @property
    def lost(self) -> bool:
        """Whether the input has another order."""
        return self._misses >= _MISSES

    def take(self, batch: pa.RecordBatch) -> NDArray[np.int64]:
        """Return which rows of the batch are not those that come next in the base."""
        batch = batch.select(self._names)
        missed, done = [np.empty(0, np.int64)], 0
        while done < batch.num_rows and not self.lost and self._fill():
            ours = self._ahead()
            size = min(batch.num_rows - done, ours.num_rows)
            same = same_rows(batch.slice(done, size), ours.slice(0, size).select(self._names))
            if np.count_nonzero(same) * 2 < size:
                same, used = self._by_digests(batch.slice(done), ours)
                size = len(same)
            else:
                used = size
                self._leave(ours.slice(0, size).filter(pa.array(~same)) if not same.all() else ours.slice(0, 0))
                self._misses = 0
            self._at += used
            missed.append(np.flatnonzero(~same) + done)
            done += size
        missed.append(np.arange(done, batch.num_rows))
        return np.concatenate(missed)

    def rest(self) -> Iterator[Block]:
        """Yield the rows of the base that were not in the input; what was not reached yet is read now."""
        yield from self._left
        self._left = []
        while self._fill():
            yield self._as_block(self._ahead())
            self._block = None

    def close(self) -> None:
        """Stop reading."""
        close = getattr(self._scanned, "close", None)
        if close is not None:
            close()

    def _fill(self) -> bool:
        while self._block is None or self._at == self._block.num_rows:
            self._block, self._at = next(self._scanned, None), 0
            if self._block is None:
                return False
        return True

    def _ahead(self) -> pa.RecordBatch:
        assert self._block is not None
        return self._block.slice(self._at)

    def _by_digests(self, rows: pa.RecordBatch, ours: pa.RecordBatch) -> tuple[Mask, int]:
        """Match rows wherever they lie among the next of the base; return which are there, and how many of those it used."""
        block = self._as_block(ours)
        index = RowIndex([block.digests], len(block.places))
        found = index.match(row_digests(rows))
        same = found >= 0
        hits = np.count_nonzero(same)
        self._misses = 0 if hits * 2 >= min(len(found), len(block.places)) else self._misses + 1
        if not hits:
            return same, 0
        used = int(found.max()) + 1
        gone = index.unmatched()
        gone = gone[gone < used]
        self._keep(Block(block.part, block.places[gone], block.digests[gone]))
        if used == len(block.places):  # the rows behind the last match may lie in the block that comes
            same = same[: int(np.flatnonzero(same)[-1]) + 1]
        return same, used

    def _leave(self, rows: pa.RecordBatch) -> None:
        if rows.num_rows:
            self._keep(self._as_block(rows))

    def _keep(self, block: Block) -> None:
        if len(block.places):
            self._left.append(block)

    def _as_block(self, rows: pa.RecordBatch) -> Block:
        part = rows.column(PART_COLUMN)[0].as_py()
        return Block(part, rows.column(ROW_COLUMN).to_numpy(), row_digests(rows.select(self._names)))


def same_rows(one: pa.RecordBatch, other: pa.RecordBatch) -> Mask:
    """Return where two batches of the same columns hold equal rows; a few that are equal may be left out (NaN, −0.0)."""
    same = np.ones(one.num_rows, np.bool_)
    for left, right in zip(one.columns, other.columns, strict=True):
        if not left.equals(right):
            same &= _same_values(left, right)
    return same


def _same_values(left: pa.Array, right: pa.Array) -> Mask:
    kind = left.type
    if pa.types.is_nested(kind) or pa.types.is_null(kind) or kind != right.type:
        digests = (row_digests(pa.record_batch({"v": side})) for side in (left, right))
        unequal: Mask = (next(digests) != next(digests)).any(axis=1)
        return ~unequal
    if pa.types.is_floating(kind):  # by their bits: NaN is itself then, and two zeros go to the digests
        bits = {16: pa.uint16(), 32: pa.uint32(), 64: pa.uint64()}[kind.bit_width]
        left, right = left.view(bits), right.view(bits)
    equal = pc.equal(left, right)
    if left.null_count or right.null_count:
        both = pc.and_(left.is_null(), right.is_null())
        equal = pc.or_(equal.fill_null(pa.scalar(value=False)), both)
    same: Mask = equal.to_numpy(zero_copy_only=False)
    return same
