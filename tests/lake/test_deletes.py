"""Deletes: bitmaps that are the same bytes for the same positions, and follow their rows through a compaction."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyroaring import BitMap

from dataplat.errors import IntegrityError
from dataplat.lake.deletes import (
    decode,
    encode,
    live_mask,
    load_deletes,
    remap,
    split,
    stage_deletes,
    union,
)
from dataplat.lake.digest import Digest
from dataplat.lake.objects import Objects, Stage
from dataplat.lake.part import Part
from dataplat.lake.stores import MemoryStore

POSITIONS = st.sets(st.integers(0, 300) | st.integers(65_000, 66_000))


def part(rows, deletes=None, deleted=0, name="p"):
    """A part of so many rows."""
    return Part(name, rows, 1, "f", Digest(rows), {}, deletes, deleted)


@given(POSITIONS, st.randoms())
def test_same_positions_same_bytes(positions, random):
    """Whatever the order, the history or the container, the same positions are the same object."""
    shuffled = list(positions)
    random.shuffle(shuffled)
    grown = BitMap()
    for position in shuffled:
        grown.add(position)
    data = encode(np.array(sorted(positions), dtype=np.uint32))
    assert encode(shuffled) == encode(grown) == data
    assert set(decode(data)) == positions


def test_a_range_is_small():
    """A range of rows costs a few bytes: bitmaps are run-optimised."""
    assert len(encode(range(1_000_000))) < 300


@pytest.mark.parametrize("data", [b"", b"garbage", encode([1, 2, 3])[:-1]])
def test_what_is_no_bitmap(data):
    """Bytes that cannot be read are an integrity error, not a wrong set."""
    with pytest.raises(IntegrityError, match="no Roaring bitmap"):
        decode(data)


@given(POSITIONS, POSITIONS)
def test_union(a, b):
    """What either deleted is deleted."""
    assert set(union(a, BitMap(b))) == a | b


@given(POSITIONS, st.integers(0, 66_500), st.integers(0, 66_500))
def test_live_mask_is_the_complement(positions, start, stop):
    """Within any range, a position counts if it is not deleted."""
    start, stop = sorted((start, stop))
    expected = [position not in positions for position in range(start, stop)]
    assert live_mask(BitMap(positions), start, stop).tolist() == expected


def test_deletes_are_loaded_as_they_were_staged():
    """No positions need no object; others come back from the store."""
    store = MemoryStore()
    with Stage(store) as stage:
        assert stage_deletes(stage, []) == (None, 0)
        deletes, count = stage_deletes(stage, [4, 1])
        stage.flush()
    assert set(load_deletes(Objects(store), part(5, deletes, count))) == {1, 4}
    assert not load_deletes(Objects(store), part(5))


def test_lost_or_foreign_deletes_never_bring_rows_back():
    """A bitmap that is missing, or not the one the manifest counted, is an integrity error."""
    store = MemoryStore()
    with Stage(store) as stage:
        deletes, _ = stage_deletes(stage, [4, 1])
        stage.flush()
    objects = Objects(store)
    with pytest.raises(IntegrityError, match="missing in the store"):
        load_deletes(objects, part(5, "0" * 64, 2))
    with pytest.raises(IntegrityError, match="2 positions, but the manifest counts 3"):
        load_deletes(objects, part(5, deletes, 3))
    with pytest.raises(IntegrityError, match="of the 4 rows"):
        load_deletes(objects, part(4, deletes, 2))


@given(
    st.lists(st.tuples(st.integers(1, 40), st.integers(0, 2**40), st.integers(0, 2**40)), max_size=4),
    st.integers(1, 30),
)
def test_remap_follows_rows_through_a_compaction(given_parts, size):
    """Deletes that come late are remapped to where a compaction that kept row order put their rows."""
    sequence, late_rows, mapped, first = [], set(), [], 0
    for number, (rows, dropped_bits, late_bits) in enumerate(given_parts):
        dropped = BitMap(i for i in range(rows) if dropped_bits >> i & 1)
        late = BitMap(i for i in range(rows) if late_bits >> i & 1)
        sequence += [(number, i) for i in range(rows) if i not in dropped]
        late_rows |= {(number, i) for i in late - dropped}
        mapped += remap(late | dropped, dropped, first).tolist()
        first += rows - len(dropped)
    assert {sequence[i] for i in mapped} == late_rows
    compacted = [sequence[i : i + size] for i in range(0, len(sequence), size)]
    by_part = split(np.array(mapped, dtype=np.int64), [len(rows) for rows in compacted])
    assert {compacted[i][position] for i, found in by_part.items() for position in found} == late_rows
