"""Rows found again by digest: exactly as a multiset of rows would, whatever the order."""

from __future__ import annotations

import itertools
from collections import Counter
from unittest import mock

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataplat.errors import SchemaError
from dataplat.lake import row_index
from dataplat.lake.content_id import row_digests
from dataplat.lake.row_index import KeySet, RowIndex

# Few words, so that equal rows and shared prefixes of lane 0 (the first four) all occur.
WORDS = st.sampled_from([0, 1, 1 << 20, 1 << 63, (1 << 63) + 1, (1 << 64) - 1])
DIGESTS = [(0, 0), (0, 7), (1, 1 << 63), (1, 9), (1 << 20, 3), (1 << 63, 4), ((1 << 64) - 1, 5), ((1 << 64) - 1, 6)]
ROWS = st.lists(st.sampled_from(DIGESTS), max_size=24)


def array(rows):
    """Digests as `row_digests` lays them out."""
    return np.array(rows, np.uint64).reshape(-1, 2, order="C").copy(order="F")


def cut(rows, cuts):
    """The rows in batches."""
    bounds = [0, *sorted(min(c, len(rows)) for c in cuts), len(rows)]
    return [rows[a:b] for a, b in itertools.pairwise(bounds)]


CUTS = st.lists(st.integers(0, 24), max_size=4)


@settings(max_examples=500, deadline=None)
@given(ROWS, ROWS, CUTS, CUTS, st.booleans())
def test_matches_are_the_common_rows_of_both_multisets(head, rows, head_cuts, row_cuts, aligned):
    """Every match is an equal, unused head row; as many rows match as both have in common; the rest is unmatched."""
    if aligned:  # begin as the head does, then go another way
        rows = head[: len(rows)] + rows
    index = RowIndex(map(array, cut(head, head_cuts)), len(head))
    found = [position for batch in cut(rows, row_cuts) for position in index.match(array(batch)).tolist()]
    matched = [position for position in found if position >= 0]
    assert len(found) == len(rows)
    assert len(set(matched)) == len(matched)
    assert sorted(matched + index.unmatched().tolist()) == list(range(len(head)))
    assert all(head[position] == row for position, row in zip(found, rows, strict=True) if position >= 0)
    assert len(matched) == (Counter(head) & Counter(rows)).total()


def check(head, rows, row_cuts):
    """Match the rows by pieces, samples and steps so small that a few rows pass through all of them."""
    with mock.patch.multiple(row_index, _CHUNK=5, _STRIDE=2, _STEPS=1):
        index = RowIndex([head], len(head))
        found = np.concatenate([index.match(batch) for batch in cut(rows, row_cuts)])
    hits = found >= 0
    assert np.array_equal(head[found[hits]], rows[hits])
    assert sorted(found[hits].tolist() + index.unmatched().tolist()) == list(range(len(head)))
    assert hits.sum() == (Counter(map(tuple, head.tolist())) & Counter(map(tuple, rows.tolist()))).total()


TABLE = row_digests(pa.record_batch({"a": np.arange(60)}))
TABLE[50:, 0] = TABLE[40:50, 0]  # some rows share lane 0 with another
MOVES = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 20), st.integers(0, 60) | st.none()), max_size=5)


@settings(max_examples=500, deadline=None)
@given(st.lists(st.integers(0, 59), max_size=60), MOVES, CUTS)
def test_runs_that_were_moved_removed_or_repeated_match_as_any_rows(values, moves, row_cuts):
    """Where rows follow a run that lies elsewhere, the matches are still the common rows of both multisets."""
    rows = list(values)
    for start, length, target in moves:
        run = rows[start : start + length]
        if length % 3:  # or else it stays there too
            del rows[start : start + length]
        if target is not None:
            rows[target:target] = run
    check(TABLE[values], TABLE[rows], row_cuts)


@settings(max_examples=200, deadline=None)
@given(st.permutations(range(60)), MOVES, CUTS)
def test_runs_of_distinct_rows_match_as_any_rows(values, moves, row_cuts):
    """The same of a table without equal rows, where nearly all rows are matched in runs."""
    rows = list(values)
    for start, length, target in moves:
        run = rows[start : start + length]
        del rows[start : start + length]
        rows[target or 0 : target or 0] = run
    check(TABLE[values], TABLE[rows + rows[:7]], row_cuts)


def test_rows_behind_scattered_moves_are_matched_in_runs():
    """A dump in its old order against a head whose changed rows went to its end: only one row in ten is looked up."""
    digests = row_digests(pa.record_batch({"a": np.arange(50_000)}))
    moved = np.zeros(50_000, bool)
    moved[np.random.default_rng(5).choice(50_000, 200, replace=False)] = True
    order = np.concatenate([np.flatnonzero(~moved), np.flatnonzero(moved)])
    index = RowIndex([digests[order]], 50_000)
    with mock.patch.object(RowIndex, "_look_up", autospec=True, side_effect=RowIndex._look_up) as look_up:
        found = np.concatenate([index.match(digests[start : start + 8_192]) for start in range(0, 50_000, 8_192)])
    assert np.array_equal(order[found], np.arange(50_000))
    assert sum(len(call.args[3]) for call in look_up.call_args_list) < 5_000


@pytest.mark.parametrize("copies", [1, 3, 40])
def test_shuffled_equal_rows_are_all_found(copies):
    """Rows that a table holds several times match as often, in any order, also where they fill a bucket."""
    digests = np.tile(row_digests(pa.record_batch({"a": np.arange(12_000 // copies)})), (copies, 1))
    order = np.random.default_rng(5).permutation(len(digests))
    index = RowIndex([digests], len(digests))
    found = np.concatenate([index.match(digests[order[start : start + 999]]) for start in range(0, len(order), 999)])
    assert np.array_equal(digests[found], digests[order])
    assert len(index.unmatched()) == 0


def test_shuffled_rows_are_all_found():
    """The order of thousands of distinct rows does not matter, nor does the size of the batches."""
    digests = row_digests(pa.record_batch({"a": np.arange(20_000)}))
    order = np.random.default_rng(5).permutation(20_000)
    index = RowIndex([digests], 20_000)
    found = np.concatenate([index.match(digests[order[start : start + 999]]) for start in range(0, 20_000, 999)])
    assert np.array_equal(found, order)
    assert len(index.unmatched()) == 0


def test_the_order_is_found_again_behind_a_change():
    """Rows changed, inserted and removed are the only ones that do not match."""
    digests = row_digests(pa.record_batch({"a": np.arange(10_000)}))
    new = np.concatenate([digests[:3_000], digests[:50] ^ np.uint64(5), digests[3_100:]])
    index = RowIndex([digests], 10_000)
    found = np.concatenate([index.match(new[start : start + 512]) for start in range(0, len(new), 512)])
    assert np.array_equal(np.flatnonzero(found < 0), np.arange(3_000, 3_050))
    assert np.array_equal(index.unmatched(), np.arange(3_000, 3_100))


def test_equal_rows_are_given_out_one_by_one():
    """A table of one row a thousand times matches exactly a thousand of them, over many batches and orders."""
    digests = np.repeat(row_digests(pa.record_batch({"a": [1]})), 1_000, axis=0)
    index = RowIndex([digests], 1_000)
    index.match(np.concatenate([digests[:10], digests[:1] ^ np.uint64(1)]))  # run, then a row that is nowhere
    found = np.concatenate([index.match(digests[:300]) for _ in range(4)])
    assert (found >= 0).sum() == 990
    assert len(index.unmatched()) == 0


@pytest.mark.parametrize("rows", [1_000, 1_023, 1_024])
def test_memory_is_seventeen_bytes_a_row_and_two_once_sorted(rows):
    """Both lanes and one byte; and where the buckets start, once the rows were sorted, which is done in place."""
    digests = row_digests(pa.record_batch({"a": np.arange(rows)}))
    index = RowIndex([digests], rows)
    assert sum(getattr(index, name).nbytes for name in ("_lane0", "_lane1", "_state", "_starts")) == 17 * rows
    index.match(digests[::-1])
    assert np.shares_memory(index._keys, index._lane0)
    assert index._starts.nbytes <= 2 * rows + 4


def test_missing_blocks_are_an_error():
    """An index of fewer rows than announced would give false answers."""
    with pytest.raises(ValueError, match="3 rows were announced and 2 came"):
        RowIndex([array([(1, 1), (2, 2)])], 3)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 9), st.text("ab", max_size=2)), max_size=9),
    st.lists(st.tuples(st.integers(0, 9) | st.none(), st.text("ab", max_size=2)), max_size=30),
)
def test_keys_are_found_where_they_are(keys, rows):
    """`find` gives the rows whose key is in the set, in order, and the first place of that key in it."""
    schema = pa.schema([("i", pa.int16()), ("s", pa.string()), ("v", pa.float64())])
    names = ["i", "s"]

    def batch(pairs):
        return pa.record_batch([[i for i, _ in pairs], [s for _, s in pairs], [0.5] * len(pairs)], schema=schema)

    places, which = KeySet(batch(keys), names).find(batch(rows))
    expected = [(row, keys.index(key)) for row, key in enumerate(rows) if key in keys]
    assert list(zip(places.tolist(), which.tolist(), strict=True)) == expected


def test_keys_match_across_types():
    """Keys from a table of narrower integers and dictionary strings are the same keys."""
    narrow = pa.record_batch({"k": pa.array([3, 5], pa.int8()), "s": pa.array(["x", "y"]).dictionary_encode()})
    wide = pa.table({"s": pa.array(["y", "x", "y"], pa.large_string()), "k": [5, 3, 3]})
    places, which = KeySet(narrow, ["k", "s"]).find(wide)
    assert places.tolist() == [0, 1]
    assert which.tolist() == [1, 0]


@given(st.lists(st.tuples(WORDS, WORDS), max_size=9), st.lists(st.tuples(WORDS, WORDS), max_size=20))
def test_both_lanes_decide(keys, rows):
    """Digests that share a lane with a key are not that key."""
    found = KeySet(pa.record_batch({"k": range(len(keys))}), ["k"], array(keys)).index(array(rows)).tolist()
    assert found == [keys.index(row) if row in keys else -1 for row in rows]


def test_a_large_batch_is_searched_in_pieces():
    """Positions count through the whole batch, not its pieces."""
    rows = 200_000
    batch = pa.record_batch({"k": np.arange(rows), "v": np.zeros(rows)})
    wanted = np.arange(7, rows, 9_999)
    places, which = KeySet(pa.record_batch({"k": wanted}), ["k"]).find(batch)
    assert np.array_equal(places, wanted)
    assert np.array_equal(which, np.arange(len(wanted)))


@pytest.mark.parametrize("step", [1, -1])
def test_few_rows_pass_and_those_of_the_set_are_among_them(step):
    """What `passing` lets through holds all rows that `find` finds, and few others, in sorted rows and in any other order."""
    rows = 100_000
    batch = pa.record_batch({"k": np.arange(rows)[::step]})
    keys = KeySet(pa.record_batch({"k": np.arange(7, rows, 999)}), ["k"])
    passed, (places, _) = keys.passing(batch), keys.find(batch)
    assert set(places.tolist()) <= set(passed.tolist())
    assert len(places) == 101
    assert len(passed) < rows // 25
    assert (np.diff(passed) > 0).all()


def test_keys_with_nulls_are_found():
    """Where each key column has a null among the keys no filter is safe: every row is digested."""
    kind = pa.schema([("k", pa.int64()), ("s", pa.string())])
    keys = pa.record_batch({"k": [1, None], "s": [None, "x"]}, schema=kind)
    rows = pa.record_batch({"k": [None, 1, 1, None], "s": ["x", None, "x", None]}, schema=kind)
    places, which = KeySet(keys, ["k", "s"]).find(rows)
    assert (places.tolist(), which.tolist()) == ([0, 1], [1, 0])


def test_a_missing_key_column_is_named():
    """A batch without the key cannot be searched."""
    with pytest.raises(SchemaError, match="'k' is missing"):
        KeySet(pa.record_batch({"k": pa.array([], pa.int64())}), ["k"]).find(pa.record_batch({"a": [1]}))
