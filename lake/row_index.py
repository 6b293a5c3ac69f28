"""Find rows again by their digests: a few keys among many rows (`KeySet`), all rows of one table in another (`RowIndex`).

Both answer with positions. Where any row may meet any other (10**14 pairs of ten million rows) 96 bits of the digests
or more are compared: a false match has a probability of 10**-15, while a lane alone would give 10**-5. Where a row meets
only those in the places where its neighbours' runs lead (three at most), a lane is enough (10**-12).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from dataplat.lake._hashing import GOLDEN, Lane, Positions
from dataplat.lake.content_id import column_words, key_digests

if TYPE_CHECKING:
    import pyarrow as pa

Digests: TypeAlias = npt.NDArray[np.uint64]

_USED: Final = np.uint8(1)  # this head row is matched
_CROWDED: Final = np.uint8(2)  # another head row has the same prefix: nearly always the same digest
_MIXED: Final = np.uint8(4)  # rows of one prefix that are not all of one digest: some dozens in ten million
_CHUNK: Final = 1 << 15  # rows worked on at once: their arrays stay in the cache
_FILTERED: Final = 1 << 17  # rows filtered at once: a row group, as each call of numpy takes the interpreter's lock
_SPREAD: Final = np.uint64(GOLDEN)  # spreads words over the upper bits
_STRIDE: Final = 64  # of so many rows that lie elsewhere one is looked up, to compare the others beside it
_STEPS: Final = 8  # slots to pass in a bucket one by one, where three are usual; then bisection
_LOW: Final = np.int64(0xFFFF_FFFF)


class KeySet:
    """A small set of keys, to be found among many rows.

    Of one key column the words (what digests are mixed from) are looked up in a bitmap of a size that lets about one
    row in a hundred pass, or, where rows lie in the order of that column, found by bisection; only those are digested
    in full and looked for in the sorted set. That column is the one with most different values among the keys.

    Args:
        keys: The keys, as a batch or table.
        columns: The key columns.
        digests: What `key_digests` gives for the keys, shape (keys, 2), where it is known already.
    """

    __slots__ = ("_column", "_columns", "_lane0", "_lane1", "_order", "_shift", "_table", "_words")

    def __init__(self, keys: pa.RecordBatch, columns: Sequence[str], digests: Digests | None = None) -> None:
        self._columns = list(columns)
        if digests is None:
            digests = key_digests(keys, columns)
        order = np.lexsort((digests[:, 1], digests[:, 0]))  # stable: of equal keys the first is found
        self._order: Positions = order
        self._lane0, self._lane1 = digests[order, 0], digests[order, 1]
        bits = min(max(len(order).bit_length() + 6, 12), 26)
        self._shift = np.uint64(64 - bits)
        self._table = np.zeros(1 << bits, np.bool_)
        self._column, self._words = _most_telling(keys, self._columns)  # these sorted, each once
        self._table[((self._words * _SPREAD) >> self._shift).view(np.int64)] = True

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
        rows = self.passing(batch)
        found = self.index(key_digests(batch.select(self._columns).take(rows), self._columns))
        hits = found >= 0
        return rows[hits], found[hits]

    def passing(self, batch: pa.RecordBatch) -> Positions:
        """Return the rows of the batch whose keys may be in the set, ascending: all that are, and about one in a hundred.

        Those of several batches are best looked for at once (`find`), as each time has its price.
        """
        if self._column is None:
            return np.arange(batch.num_rows)
        passed, done = [np.empty(0, np.int64)], 0
        for words in column_words(batch, self._column):
            for start in range(0, len(words), _FILTERED):
                block = words[start : start + _FILTERED]
                passed.append((self._bisected(block) if _is_sorted(block) else self._looked_up(block)) + done)
                done += len(block)
        return np.concatenate(passed)

    def _looked_up(self, words: Lane) -> Positions:
        places = words * _SPREAD
        np.right_shift(places, self._shift, out=places)
        return np.flatnonzero(self._table.take(places.view(np.int64), mode="clip"))

    def _bisected(self, words: Lane) -> Positions:
        low, high = np.searchsorted(self._words, words[[0, -1]])
        wanted = self._words[low : high + 1]
        first = np.searchsorted(words, wanted, side="left")
        counts = np.searchsorted(words, wanted, side="right") - first
        begins = np.repeat(first - np.cumsum(counts) + counts, counts)
        return begins + np.arange(len(begins))

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


def _most_telling(keys: pa.RecordBatch, columns: Sequence[str]) -> tuple[str | None, Lane]:
    """Return the column without nulls that has most different words, with them; None where each has a null."""
    best: tuple[str | None, Lane] = (None, np.empty(0, np.uint64))
    for name in columns:
        if not keys.column(name).null_count:
            words = np.unique(np.concatenate([np.empty(0, np.uint64), *column_words(keys, name)]))
            if best[0] is None or len(words) > len(best[1]):
                best = name, words
    return best


def _is_sorted(words: Lane) -> bool:
    """Whether the words ascend; of those in any other order nearly always only the first few are looked at."""
    few = words[:_STRIDE]
    return len(words) > 0 and bool((few[1:] >= few[:-1]).all()) and bool((words[1:] >= words[:-1]).all())


class RowIndex:
    """The rows of a table as a multiset, to be matched against those of another, batch by batch.

    Rows in the order of the head are matched by comparing runs; only when one does not fit, the digests are sorted, in
    place. Then one row in 64 is looked up, and where two in a row lie in about the same order as in the head, those
    between them are compared in runs again; all others are looked up. It holds 17 bytes a row (10 M rows: 170 MB): both
    lanes and a byte of state; once sorted, the upper bits of lane 0 lead to the position and lane 1 decides, runs are
    compared by lane 1, and at most 2 bytes a row more say where each bucket of lane 0 (2 to 4 rows) starts: with that
    table a look-up costs a quarter of a bisection.

    Args:
        blocks: Digests of the head's rows in their order, as `row_digests` gives them.
        rows: How many rows that is in all (less than 2**32).
    """

    __slots__ = ("_bits", "_cursor", "_keys", "_lane0", "_lane1", "_mixed", "_shift", "_starts", "_state")

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
        self._bits = np.uint64(rows.bit_length())  # of a key, that hold the position: never all ones
        self._shift = np.uint64(64 - max(rows.bit_length() - 2, 1))  # to the bucket of a key
        self._starts = np.empty(0, np.uint32)  # the first slot of every bucket
        self._keys: Lane | None = None
        self._mixed: dict[tuple[int, int], list[int]] = {}

    def match(self, digests: Digests) -> Positions:
        """Return for each row the position of an equal head row, or −1; no head row is given out twice.

        Where more rows are equal than the head holds, which of them are matched is the same on every machine.
        """
        found = self._aligned(digests[:, 0], digests[:, 1])
        rest = np.flatnonzero(found < 0)
        if len(rest) and len(self._lane1):
            self._follow(found, digests, rest)
            rest = rest[found[rest] < 0]
            for start in range(0, len(rest), _CHUNK):
                self._look_up(found, digests, rest[start : start + _CHUNK])
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

    def _follow(self, found: Positions, digests: Digests, rest: Positions) -> None:
        """Match rows by runs of the head that lie elsewhere: behind rows inserted or removed, or moved as a block."""
        self._look_up(found, digests, rest[::_STRIDE])
        known = np.flatnonzero(found[rest[::_STRIDE]] >= 0) * _STRIDE
        offsets = found[rest[known]] - rest[known]
        near = np.abs(np.diff(offsets)) <= _STRIDE  # in a run elsewhere; of rows in any other order none are
        if not near.any():
            return
        beside = np.append(near, False)  # also where a run begins or ends
        beside[1:] |= near
        beside[:-2] |= near[1:]
        block = np.repeat(np.arange(len(known)), np.diff(known, append=len(rest)))
        rows = rest[known[0] :]
        open_rows = np.flatnonzero(beside[block] & (found[rows] < 0))
        rows, block = rows[open_rows], block[open_rows]
        for step in (0, 1):  # as the row before them that is known, or else as the one behind
            at = (rows + offsets.take(block + step, mode="clip")).clip(0, len(self._lane1) - 1)
            same = self._lane1.take(at) == digests[:, 1].take(rows)
            same &= self._state.take(at) == 0
            self._take_single(found, rows[same], at[same])
            rows, block = rows[~same], block[~same]

    def _look_up(self, found: Positions, digests: Digests, rows: Positions) -> None:
        keys = self._sorted_keys()
        if len(keys) == 0:
            return
        lane0, lane1 = digests[:, 0].take(rows), digests[:, 1].take(rows)
        prefixes = lane0 >> self._bits
        slots = self._slots(prefixes << self._bits)
        nearest = keys.take(slots, mode="clip")
        at = self._position(nearest)
        state = self._state.take(at)
        hit = nearest >> self._bits == prefixes
        for row in np.flatnonzero(hit & (state & _MIXED > 0)):
            waiting = self._mixed.get((int(prefixes[row]), int(lane1[row])))
            if waiting:
                found[rows[row]] = position = waiting.pop()
                self._state[position] |= _USED
        hit &= (self._lane1.take(at) == lane1) & (state & _MIXED == 0)
        single = hit & (state == 0)
        self._take_single(found, rows[single], at[single])
        crowd = np.flatnonzero(hit & (state & _CROWDED > 0))
        self._take_crowd(found, rows[crowd], slots[crowd])

    def _take_single(self, found: Positions, rows: Positions, at: Positions) -> None:
        """Give out head rows that stand alone, each to the first of the rows that ask for it."""
        ordered = np.sort(at)
        if (ordered[1:] == ordered[:-1]).any():
            at, first = np.unique(at, return_index=True)
            rows = rows[first]
        self._state[at] = _USED
        found[rows] = at

    def _take_crowd(self, found: Positions, rows: Positions, slots: Positions) -> None:
        """Give out equal head rows from the front of their run: those given out before are its beginning."""
        if len(rows) == 0:
            return
        keys = self._sorted_keys()
        order = np.sort((slots << 32) | np.arange(len(slots))) & _LOW  # stable, and faster than a stable sort
        rows, slots = rows[order], slots[order]
        firsts = np.flatnonzero(np.diff(slots, prepend=-1))
        counts, low = np.diff(firsts, append=len(slots)), slots[firsts]
        ends = high = self._slots(self._last(keys[low]))
        while (low < high).any():  # bisect for the first slot that is not used
            middle = (low + high) >> 1
            used = (low < high) & (self._state[self._position(keys.take(middle, mode="clip"))] & _USED > 0)
            high = np.where(used, high, np.minimum(middle, high))
            low = np.where(used, middle + 1, low)
        given = np.repeat(low - firsts, counts) + np.arange(len(slots))
        there = given < np.repeat(ends, counts)
        positions = self._position(keys[given[there]])
        self._state[positions] |= _USED
        found[rows[there]] = positions

    def _slots(self, wanted: Lane) -> Positions:
        """Return for each key the first slot that holds one not less, as `searchsorted`: its bucket is nearly there."""
        keys = self._sorted_keys()
        slots = self._starts.take((wanted >> self._shift).view(np.int64), mode="clip").astype(np.int64)
        low = np.flatnonzero(keys.take(slots, mode="clip") < wanted)
        for _ in range(_STEPS):
            slots[low] += 1
            low = low[keys.take(slots[low], mode="clip") < wanted[low]]
        slots[low] = np.searchsorted(keys, wanted[low])  # also those behind the last key
        return slots

    def _last(self, keys: Lane) -> Lane:
        return keys | ((np.uint64(1) << self._bits) - np.uint64(1))

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
            self._note_starts(keys)
            self._note_crowds(keys)
        return self._keys

    def _note_starts(self, keys: Lane) -> None:
        self._starts = starts = np.zeros((1 << 64 - int(self._shift)) + 1, np.uint32)
        for start in range(0, len(keys), _CHUNK):
            buckets = (keys[start : start + _CHUNK] >> self._shift).view(np.int64)
            starts[buckets[0] + 1 : buckets[-1] + 2] += np.bincount(buckets - buckets[0]).astype(np.uint32)
        np.cumsum(starts, out=starts, dtype=np.uint32)

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
            low = np.array([prefix], np.uint64) << self._bits
            run = slice(*np.searchsorted(keys, np.concatenate([low, self._last(low)])).tolist())
            positions = self._position(keys[run])
            self._state[positions] |= _MIXED
            for position in positions[::-1].tolist():  # given out from the end, so the first head row goes first
                self._mixed.setdefault((prefix, int(self._lane1[position])), []).append(position)
