"""Rows followed in their order: whatever is called the same is the same, each base row once, and none is lost."""

from __future__ import annotations

import math
from collections import Counter

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from dataplat.lake.content_id import row_digests
from dataplat.lake.scan import PART_COLUMN, ROW_COLUMN
from dataplat.versioning.modes._in_order import InOrder, same_rows

SCHEMA = pa.schema([("n", pa.int64()), ("x", pa.float64()), ("s", pa.list_(pa.string()))])
ROW = st.tuples(
    st.none() | st.integers(0, 3),
    st.none() | st.sampled_from([0.0, -0.0, math.nan, 1.5]),
    st.none() | st.lists(st.none() | st.sampled_from(["", "a"]), max_size=1),
)


def rows_of(rows):
    """Rows as a batch."""
    return pa.RecordBatch.from_pylist([dict(zip(SCHEMA.names, row, strict=True)) for row in rows], SCHEMA)


def scanned(rows, size):
    """Rows as a scan gives them: one part, in blocks."""
    for start in range(0, len(rows), size):
        batch = rows_of(rows[start : start + size])
        places = pa.array(range(start, start + batch.num_rows), pa.uint32())
        batch = batch.append_column(PART_COLUMN, pa.array([0] * batch.num_rows, pa.uint32()))
        yield batch.append_column(ROW_COLUMN, places)


def bag(batch):
    """The rows of a batch as a multiset of digests."""
    return Counter(map(tuple, row_digests(batch).tolist()))


@st.composite
def edited(draw):
    """A list of rows, and another made from it by changing, removing and inserting rows, or in another order."""
    base = draw(st.lists(ROW, max_size=40))
    other = list(base)
    for at, what, row in draw(st.lists(st.tuples(st.integers(0, 40), st.sampled_from("cri"), ROW), max_size=5)):
        at = min(at, len(other))
        other[at : at + (what != "i")] = [] if what == "r" else [row]
    return base, draw(st.permutations(other)) if draw(st.booleans()) else other


@settings(max_examples=300, deadline=None)
@given(edited(), st.integers(1, 9), st.integers(1, 9))
def test_what_is_followed_is_the_same_on_both_sides(pair, block, size):
    """The rows of the input that were found are, as multisets, those of the base that are not left."""
    base, given_rows = pair
    follow = InOrder(scanned(base, block), SCHEMA.names)
    found = Counter()
    for start in range(0, len(given_rows), size):
        batch = rows_of(given_rows[start : start + size])
        missed = follow.take(batch)
        found += bag(batch) - bag(batch.take(pa.array(missed)))
        assert missed.tolist() == sorted(set(missed.tolist()))
    left = list(follow.rest())
    places = [place for piece in left for place in piece.places.tolist()]
    assert len(places) == len(set(places))
    assert bag(rows_of(base)) - bag(rows_of([base[place] for place in places])) == found
    assert [tuple(row) for piece in left for row in piece.digests.tolist()] == [
        tuple(row) for row in row_digests(rows_of([base[place] for place in places])).tolist()
    ]


def test_a_dump_in_order_leaves_what_changed():
    """Of 1,000 rows with one changed, one row is missed and one is left."""
    base = [(i, float(i), None) for i in range(1000)]
    other = [*base[:500], (500, -1.0, None), *base[501:]]
    follow = InOrder(scanned(base, 300), SCHEMA.names)
    assert follow.take(rows_of(other)).tolist() == [500]
    assert [piece.places.tolist() for piece in follow.rest()] == [[500]]


def test_behind_rows_that_came_it_goes_on():
    """Rows put in, or taken out, cost one look by digests; then the order holds again."""
    base = [(i, float(i), None) for i in range(1000)]
    other = [*base[:100], (-1, 0.0, None), (-2, 0.0, None), *base[100:700], *base[710:]]
    follow = InOrder(scanned(base, 128), SCHEMA.names)
    missed = [row + start for start in range(0, 992, 62) for row in follow.take(rows_of(other[start : start + 62]))]
    assert not follow.lost
    assert {other[row][0] for row in missed} >= {-1, -2}
    left = {base[place][0] for piece in follow.rest() for place in piece.places.tolist()}
    assert left == {*range(700, 710), *(other[row][0] for row in missed)} - {-1, -2}


def test_another_order_is_given_up():
    """Rows in another order are left to the index, without going through all of the base first."""
    base = [(i, float(i), None) for i in range(1000)]
    follow = InOrder(scanned(base, 100), SCHEMA.names)
    for start in (900, 500):
        follow.take(rows_of(base[start : start + 100]))
    assert follow.lost


@given(st.lists(st.tuples(ROW, ROW), min_size=1, max_size=20))
def test_rows_called_the_same_have_one_digest(pairs):
    """Values that compare equal are equal in the content id, too; only zeros of two signs may be missed."""
    one, other = rows_of([a for a, _ in pairs]), rows_of([b for _, b in pairs])
    same = same_rows(one, other)
    equal = (row_digests(one) == row_digests(other)).all(axis=1)
    assert not (same & ~equal).any()
    zeros = [{str(a[1]), str(b[1])} == {"0.0", "-0.0"} for a, b in pairs]
    assert all(same | ~equal | zeros)
