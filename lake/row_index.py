"""Find rows again by their digests: a few keys among many rows (`KeySet`), all rows of one table in another (`RowIndex`).

Both answer with positions. Where any row may meet any other (10**14 pairs of ten million rows) 96 bits of the digests
or more are compared: a false match has a probability of 10**-15, while a lane alone would give 10**-5. Where a row meets
only the one in its own place, a lane is enough (10**-12).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from dataplat.lake._hashing import Lane, Positions
from dataplat.lake.content_id import key_digests, key_lane0

if TYPE_CHECKING:
    import pyarrow as pa

Digests: TypeAlias = npt.NDArray[np.uint64]

_USED: Final = np.uint8(1)  # this head row is matched
_CROWDED: Final = np.uint8(2)  # another head row has the same prefix: nearly always the same digest
_MIXED: Final = np.uint8(4)  # rows of one prefix that are not all of one digest: some dozens in ten million
_CHUNK: Final = 1 << 16


class KeySet:
    """A small set of keys, to be found among many rows.

    Lane 0 of a row's key is looked up in a bitmap of a size that lets about one row in a hundred pass; only those
    are digested in full and looked for in the sorted set.

    Args:
        digests: What `key_digests` gave for the keys, shape (keys, 2).
        columns: The key columns, as they were given to `key_digests`.
    """

    __slots__ = ("_columns", "_lane0", "_lane1", "_order", "_shift", "_table")

    def __init__(self, digests: Digests, columns: Sequence[str]) -> None:
        self._columns = list(columns)
        order = np.lexsort((digests[:, 1], digests[:, 0]))  # stable: of equal keys the first is found
        self._order: Positions = order
        self._lane0, self._lane1 = digests[order, 0], digests[order, 1]
        bits = min(max(len(order).bit_length() + 6, 12), 26)
        self._shift = np.uint64(64 - bits)
        self._table = np.zeros(1 << bits, np.bool_)
        self._table[(self._lane0 >> self._shift).view(np.int64)] = True

    def __len__(self) -> int:
        return len(self._order)

    def find(self, batch: pa.RecordBatch) -> tuple[Positions, Positions]:
        """Return the rows of the batch whose keys are in the set, and which key each of them has.

        Returns:
            Row positions in the batch, ascending, and for each the index of its key in `digests` (the first, if the
            set holds a key twice).

        Raises:
            SchemaError: A key column is missing in the batch.
        """
        passed, done = [np.empty(0, np.int64)], 0
        for lane0 in key_lane0(batch, self._columns):
            places = np.right_shift(lane0, self._shift, out=lane0).view(np.int64)
            passed.append(np.flatnonzero(self._table.take(places, mode="clip")) + done)
            done += len(lane0)
        rows = np.concatenate(passed)
        found = self.index(key_digests(batch.select(self._columns).take(rows), self._columns))
        hits = found >= 0
        return rows[hits], found[hits]

    def index(self, digests: Digests) -> Positions:
        """Return for each digest the index of its key in the set, or −1."""
        found = np.full(len(digests), -1, np.int64)
        if len(self) == 0:
            return found
        at = np.searchsorted(self._lane0, digests[:, 0])
        open_rows = np.arange(len(digests), dtype=np.int64)
        while len(open_rows):  # more than once only where two keys share lane 0
            at_open = at[open_rows]
            inside = np.minimum(at_open, len(self) - 1)
            same0 = (at_open < len(self)) & (self._lane0[inside] == digests[open_rows, 0])
            same = same0 & (self._lane1[inside] == digests[open_rows, 1])
            found[open_rows[same]] = self._order[inside[same]]
            open_rows = open_rows[same0 & ~same]
            at[open_rows] += 1
        return found


class RowIndex:
    """The rows of a table as a multiset, to be matched against those of another, batch by batch.

    Rows in the order of the head are matched by comparing runs; only when one does not fit, the digests are sorted, in
    place, and looked up. It holds 17 bytes a row (10 M rows: 170 MB): both lanes and a byte of state; once sorted, the
    upper bits of lane 0 lead to the position and lane 1 decides, and runs are compared by lane 1.

    Args:
        blocks: Digests of the head's rows in their order, as `row_digests` gives them.
        rows: How many rows that is in all (at most 2**32).
    """

    __slots__ = ("_bits", "_cursor", "_keys", "_lane0", "_lane1", "_mixed", "_state")

    def __init__(self, blocks: Iterable[Digests], rows: int) -> None:
        self._lane0, self._lane1 = np.empty(rows, np.uint64), np.empty(rows, np.uint64)
        self._state = np.zeros(rows, np.uint8)
        filled = 0
        for block in blocks:
            self._lane0[filled : filled + len(block)] = block[:, 0]
            self._lane1[filled : filled + len(block)] = block[:, 1]
            filled += len(block)
        if filled != rows:
            raise ValueError(f"{rows} rows were announced and {filled} came")
        self._cursor = 0  # the head row that the next row will be, if the order is the head's
        self._bits = np.uint64(max(rows - 1, 1).bit_length())  # of a key, that hold the position
        self._keys: Lane | None = None
        self._mixed: dict[tuple[int, int], list[int]] = {}

    def match(self, digests: Digests) -> Positions:
        """Return for each row the position of an equal head row, or −1; no head row is given out twice."""
        lane0, lane1 = digests[:, 0], digests[:, 1]
        found = self._aligned(lane0, lane1)
        rest = np.flatnonzero(found < 0)
        if len(rest) and len(self._lane1):
            found[rest] = self._look_up(lane0[rest], lane1[rest])
        known = np.flatnonzero(found[::-1] >= 0)[:1]
        if len(known):  # follow on behind the last row that was found
            self._cursor = int(found[len(found) - 1 - known[0]]) + 1 + int(known[0])
        return found

    def unmatched(self) -> Positions:
        """Return the positions of the head rows that nothing matched, ascending."""
        return np.flatnonzero(self._state & _USED == 0)

    def _aligned(self, lane0: Lane, lane1: Lane) -> Positions:
        found = np.full(len(lane1), -1, np.int64)
        first = min(self._cursor, len(self._lane1))
        size = min(len(lane1), len(self._lane1) - first)
        run = slice(first, first + size)
        same = self._lane1[run] == lane1[:size]
        same &= self._state[run] == 0  # crowded rows are left to the index, which gives them out in order
        if self._keys is None:
            same &= self._lane0[run] == lane0[:size]
        if same.all():
            found[:size] = np.arange(first, first + size)
            self._state[run] |= _USED
        else:
            places = np.flatnonzero(same)
            found[places] = places + first
            self._state[places + first] |= _USED
        return found

    def _look_up(self, lane0: Lane, lane1: Lane) -> Positions:
        keys = self._sorted_keys()
        found = np.full(len(lane1), -1, np.int64)
        if len(keys) == 0:
            return found
        prefixes = lane0 >> self._bits
        order = np.argsort(prefixes)
        prefixes, lane1 = prefixes[order], lane1[order]
        slots = np.searchsorted(keys, prefixes << self._bits)
        nearest = keys[np.minimum(slots, len(keys) - 1)]
        at = self._position(nearest)
        state = self._state[at]
        hit = (slots < len(keys)) & (nearest >> self._bits == prefixes)
        for row in np.flatnonzero(hit & (state & _MIXED > 0)):
            waiting = self._mixed.get((int(prefixes[row]), int(lane1[row])))
            if waiting:
                found[order[row]] = position = waiting.pop()
                self._state[position] |= _USED
        hit &= (self._lane1[at] == lane1) & (state & _MIXED == 0)
        self._take_single(found, order, at, np.flatnonzero(hit & (state == 0)))
        crowd = np.flatnonzero(hit & (state & _CROWDED > 0))
        self._take_crowd(found, order[crowd], slots[crowd])
        return found

    def _take_single(self, found: Positions, order: Positions, at: Positions, rows: Positions) -> None:
        """Give out head rows that stand alone, each to the first of the rows that ask for it."""
        wanted = at[rows]
        first = np.ones(len(rows), np.bool_)
        first[1:] = wanted[1:] != wanted[:-1]
        self._state[wanted] |= _USED
        found[order[rows[first]]] = wanted[first]

    def _take_crowd(self, found: Positions, rows: Positions, slots: Positions) -> None:
        """Give out equal head rows from the front of their run: those given out before are its beginning."""
        keys = self._sorted_keys()
        starts, firsts, counts = np.unique(slots, return_index=True, return_counts=True)
        if len(starts) == 0:
            return
        ends = self._run_ends(keys, keys[starts] >> self._bits)
        low, high = starts, ends
        while (low < high).any():  # bisect for the first slot that is not used
            middle = (low + high) >> 1
            used = (low < high) & (self._state[self._position(keys[np.minimum(middle, len(keys) - 1)])] & _USED > 0)
            high = np.where(used, high, np.minimum(middle, high))
            low = np.where(used, middle + 1, low)
        ranks = np.arange(len(slots)) - np.repeat(firsts, counts)
        given = np.repeat(low, counts) + ranks
        there = given < np.repeat(ends, counts)
        positions = self._position(keys[given[there]])
        self._state[positions] |= _USED
        found[rows[there]] = positions

    def _run_ends(self, keys: Lane, prefixes: Lane) -> Positions:
        last = (prefixes << self._bits) | ((np.uint64(1) << self._bits) - np.uint64(1))
        return np.searchsorted(keys, last, "right")

    def _position(self, keys: Lane) -> Positions:
        return (keys & ((np.uint64(1) << self._bits) - np.uint64(1))).view(np.int64)

    def _sorted_keys(self) -> Lane:
        """Sort, once, the rows not yet used: lane 0 is overwritten by its upper bits and the position."""
        if self._keys is None:
            keys, kept = self._lane0, 0
            for start in range(0, len(keys), _CHUNK):
                free = np.flatnonzero(self._state[start : start + _CHUNK] == 0) + start
                keys[kept : kept + len(free)] = (keys[free] >> self._bits << self._bits) | free.view(np.uint64)
                kept += len(free)
            self._keys = keys = keys[:kept]
            keys.sort()
            self._note_crowds(keys)
        return self._keys

    def _note_crowds(self, keys: Lane) -> None:
        mixed = set()
        for start in range(0, len(keys) - 1, _CHUNK):
            chunk = keys[start : start + _CHUNK + 1]
            pairs = np.flatnonzero((chunk[1:] ^ chunk[:-1]) >> self._bits == 0)
            one, other = self._position(chunk[pairs]), self._position(chunk[pairs + 1])
            self._state[one] |= _CROWDED
            self._state[other] |= _CROWDED
            unlike = self._lane1[one] != self._lane1[other]
            mixed.update((chunk[pairs[unlike]] >> self._bits).tolist())
        for prefix in mixed:
            run = np.array([prefix], np.uint64)
            low, high = np.searchsorted(keys, run << self._bits), self._run_ends(keys, run)
            positions = self._position(keys[low[0] : high[0]])
            self._state[positions] |= _MIXED
            for position in positions[::-1].tolist():  # given out from the end, so the first head row goes first
                self._mixed.setdefault((prefix, int(self._lane1[position])), []).append(position)
