"""Segments hold what was put into them, small enough, and say so when they are damaged."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from math import inf

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from dataplat.errors import IntegrityError
from dataplat.lake.digest import Digest
from dataplat.lake.part import ColumnStats, Part
from dataplat.versioning.segments import SEGMENT_LIMIT, Entries, Segment, column_bounds, encode, encode_parts, merge

scalars = st.one_of(
    st.integers(-(2**63), 2**64 - 1), st.floats(allow_nan=False), st.text(max_size=8), st.booleans(), st.none()
)
column_stats = st.builds(ColumnStats, st.integers(0, 9), st.integers(0, 9), scalars, scalars)
parts = st.builds(
    Part,
    st.text("0123456789abcdef", min_size=64, max_size=64),
    st.integers(1, 2**31),
    st.integers(1, 2**40),
    st.text("0123456789abcdef", min_size=64, max_size=64),
    st.builds(Digest, st.integers(0, 2**31), st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1)),
    st.dictionaries(st.text(max_size=5), column_stats, max_size=4),
    st.none() | st.just("d" * 64),
    st.integers(0, 5),
)


def placed(some):
    """Give parts their places."""
    return [replace(part, place=at) for at, part in enumerate(some)]


@given(
    st.lists(parts, max_size=6),
    st.dictionaries(st.integers(100, 200), st.tuples(st.none() | st.text(max_size=3), st.integers(0, 9))),
)
def test_round_trip(some, overlays):
    """Parts with any statistics (infinities, big integers, missing columns) and overlays come back as they were."""
    entries = Entries(placed(some), overlays, frozenset({7, 8}))
    segment = Segment("s", encode(entries))
    found = segment.parts()
    assert found == list(entries.parts)
    assert [part.place for part in found] == list(range(len(some)))
    assert dict(segment.overlays()) == overlays
    assert set(segment.dropped) == {7, 8}


def test_bounds_keep_their_types(make_part):
    """1 stays an integer, 1.0 a float, True a boolean, and minus infinity itself."""
    bounds = [(1, 2), (1.0, 2.0), (False, True), (-inf, inf), ("1", "2")]
    some = placed([make_part(i, stats={"x": ColumnStats(0, 0, *pair)}) for i, pair in enumerate(bounds)])
    found = [part.stats["x"] for part in Segment("s", encode(Entries(some))).parts()]
    assert [(stats.low, stats.high) for stats in found] == bounds
    assert [type(stats.low) for stats in found] == [int, float, bool, float, str]


def test_segments_stay_below_the_limit(make_part):
    """Many parts with many columns are cut into segments of at most 256 KB, in order, none of them tiny."""
    wide = {f"column {i}": ColumnStats(i, 0, i * 0.123456789, i * 98.7654321) for i in range(40)}
    some = placed([make_part(i, stats=dict(wide)) for i in range(3000)])
    pieces = list(encode_parts(some))
    assert [part for piece, _ in pieces for part in piece] == some
    assert all(len(data) <= SEGMENT_LIMIT for _, data in pieces)
    assert all(len(data) > SEGMENT_LIMIT // 2 for _, data in pieces[:-1])


def test_statistics_are_decoded_when_asked_for(make_part):
    """Listing parts decodes no statistics; asking for a column of one part decodes that column."""
    segment = Segment("s", encode(Entries(placed([make_part(i) for i in range(100)]))))
    found = segment.parts()
    assert not segment._stats
    assert found[3].stats["id"].low == 30
    assert "name" not in found[3].stats or found[3].stats["name"].nulls == 0
    assert "nothing" not in found[3].stats


def test_readable_by_hand(make_part):
    """A segment is zstd frames of JSON: the `zstandard` package prints it, one document a line."""
    data = encode(Entries(placed([make_part(1)])))
    text = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(data), read_across_frames=True).read()
    core, stats = [json.loads(line) for line in text.splitlines()]
    assert core["id"] == [make_part(1).id]
    assert stats["id"]["low"] == [10]


@pytest.mark.parametrize("damage", [b"", b"rubbish", encode(Entries())[:-3]])
def test_damage_is_named(damage):
    """Bytes that are no segment raise IntegrityError, which names it."""
    with pytest.raises(IntegrityError, match="segment abc"):
        Segment("abc", damage)


def test_merge_folds_overlays_into_parts_among_them(make_part):
    """The newest overlay holds; overlays of parts elsewhere stay overlays; dropped parts go."""
    one, two, three = placed([make_part(i) for i in range(3)])
    merged = merge(
        [
            Entries([one, two, three], {50: ("old", 1), 51: ("gone", 1)}),
            Entries((), {0: ("first", 1), 50: ("new", 2)}),
            Entries((), {0: ("second", 2)}, frozenset({1, 51})),
        ]
    )
    assert [(part.place, part.deletes, part.deleted) for part in merged.parts] == [(0, "second", 2), (2, None, 0)]
    assert merged.overlays == {50: ("new", 2)}
    assert merged.dropped == {51}


@pytest.mark.parametrize(
    ("lows", "decimal", "low"),
    [([3, -7, 5], False, -7), (["10", "9"], False, "10"), (["10", "9", "-3"], True, "-3"), ([0.5, None], False, None)],
)
def test_bounds_over_parts(make_part, lows, decimal, low):
    """The summary's bound is the least of the parts', decimals compared as numbers; none if a part has none."""
    some = [make_part(i, stats={"x": ColumnStats(1, 0, bound, bound)}) for i, bound in enumerate(lows)]
    found = column_bounds(some, {"x": decimal})["x"]
    assert (found.low, found.nulls) == (low, len(lows))


def test_bounds_pass_over_parts_without_values(make_part):
    """A part of nulls alone has no bound and hides none; a column that one part has no statistics for has no summary."""
    nulls = make_part(1, rows=4, stats={"x": ColumnStats(4), "y": ColumnStats(0)})
    some = make_part(2, rows=4, stats={"x": ColumnStats(0, 0, 1, 2)})
    assert column_bounds([nulls, some], {"x": False, "y": False}) == {"x": ColumnStats(4, 0, 1, 2)}
