"""The rows of two versions that may differ, matched by digests in one pass over each side.

Memory: 33 bytes for each earlier row of a part that differs (17 without a key), the rows that do differ, and up to 128 MB
of rows a side, which are kept so that they need not be read again; what does not fit is read a second time, and only
the rows that differ are taken.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from dataplat.lake.content_id import key_digests, row_digests
from dataplat.lake.row_index import RowIndex

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import pyarrow as pa
    from numpy.typing import NDArray

KEPT: Final = 128 << 20
_JOINED: Final = 16_384  # rows of which short batches are made one: a batch costs as much as a thousand rows


@dataclass(slots=True)
class Rows:
    """Rows of one version that may differ: `count` of them, read by `again`, kept while they are few."""

    schema: pa.Schema
    count: int
    again: Callable[[], Iterator[pa.RecordBatch]]
    _kept: list[pa.RecordBatch] | None = field(default_factory=list)

    def stream(self) -> Iterator[pa.RecordBatch]:
        """Yield all rows."""
        kept, room = [], KEPT
        for batch in _joined(self.again()):
            room -= batch.nbytes
            if room >= 0:
                kept.append(batch)
            else:
                kept.clear()
            yield batch
        self._kept = kept if room >= 0 else None

    def take(self, places: NDArray[np.int64]) -> pa.Table:
        """Return the rows at `places` of the stream, in that order."""
        import pyarrow as pa

        if self._kept is not None:
            return pa.Table.from_batches(self._kept, self.schema).take(pa.array(places))
        order = np.argsort(places, kind="stable")
        ascending = places[order]
        batches, start = [], 0
        for batch in _joined(self.again()):
            low, high = np.searchsorted(ascending, (start, start + batch.num_rows))
            if high > low:
                batches.append(batch.take(pa.array(ascending[low:high] - start)))
            start += batch.num_rows
        back = np.empty(len(order), np.int64)
        back[order] = np.arange(len(order))
        return pa.Table.from_batches(batches, self.schema).take(pa.array(back))


@dataclass(frozen=True, slots=True)
class Match:
    """Where rows of each kind lie in the streams of the two sides."""

    removed: NDArray[np.int64]
    added: NDArray[np.int64]
    changed_before: NDArray[np.int64]
    changed_after: NDArray[np.int64]


def match(before: Rows, after: Rows, key: Sequence[str]) -> Match:
    """Match the rows of two sides by `key`, or where it is empty as multisets of rows.

    Digests are equal for equal values across widths, units and zones, so the types may differ within a family. Columns
    that only the earlier side has do not count: a row whose part was written anew since they were dropped is the same
    row as one whose part still holds them. Columns that only the later side has were null before, which adds nothing.
    """
    wholes: list[NDArray[np.uint64]] = []
    stay = [name for name in before.schema.names if name in after.schema.names]

    def digests() -> Iterator[NDArray[np.uint64]]:
        for batch in before.stream():
            if key:
                wholes.append(row_digests(batch.select(stay)))
            yield key_digests(batch, key) if key else row_digests(batch.select(stay))

    index = RowIndex(digests(), before.count)
    earlier = np.concatenate(wholes) if wholes else np.empty((0, 2), np.uint64)
    added, changed_before, changed_after, start = [], [], [], 0
    for batch in after.stream():
        found = index.match(key_digests(batch, key) if key else row_digests(batch))
        added.append(np.flatnonzero(found < 0) + start)
        if key:
            both = np.flatnonzero(found >= 0)
            same = found[both]
            differs = (earlier[same] != row_digests(batch)[both]).any(axis=1)
            changed_before.append(same[differs])
            changed_after.append(both[differs] + start)
        start += batch.num_rows
    return Match(index.unmatched(), _one(added), _one(changed_before), _one(changed_after))


def cells_differ(before: pa.Table, after: pa.Table, name: str) -> NDArray[np.bool_]:
    """Return for each pair of rows whether the canonical values of a column differ.

    A column that came was null before; one that went is no difference of rows, as in `match`.
    """
    if name not in after.column_names:
        return np.zeros(before.num_rows, np.bool_)
    if name not in before.column_names:
        there: NDArray[np.bool_] = after.column(name).is_valid().to_numpy()
        return there
    lanes = [_digests_of(table.select([name])) for table in (before, after)]
    unequal: NDArray[np.bool_] = (lanes[0] != lanes[1]).any(axis=1)
    return unequal


def _digests_of(table: pa.Table) -> NDArray[np.uint64]:
    lanes = [row_digests(batch) for batch in table.to_batches()]
    return np.concatenate(lanes) if lanes else np.empty((0, 2), np.uint64)


def _one(arrays: list[NDArray[np.int64]]) -> NDArray[np.int64]:
    return np.concatenate(arrays) if arrays else np.empty(0, np.int64)


def _joined(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Join batches of few rows."""
    import pyarrow as pa

    few: list[pa.RecordBatch] = []
    rows = 0
    for batch in batches:
        few.append(batch)
        rows += batch.num_rows
        if rows >= _JOINED:
            yield few[0] if len(few) == 1 else pa.concat_batches(few)
            few, rows = [], 0
    if rows:
        yield pa.concat_batches(few)
