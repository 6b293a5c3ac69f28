"""Indexes keep a root small, and sum up what is below them as segments sum up their parts."""

from __future__ import annotations

import pytest

from dataplat.versioning._index import children, indexed
from dataplat.versioning._root import SegmentRef


def refs(*bounds):
    """Return a segment for each (low, high) of column `x`."""
    return [
        SegmentRef(id=str(at), size=1, parts=1, rows=10, first=at, last=at, stats={"x": (*pair, 1, 0)})
        for at, pair in enumerate(bounds)
    ]


def test_neighbours_are_put_under_one_index(stage):
    """Of 33 segments 32 go below an index, from which they come back; the one left over stays."""
    segments = refs(*[(n, n + 5) for n in range(33)])
    index, last = indexed(segments, set(), stage)
    assert last == segments[-1]
    assert (index.level, index.parts, index.rows, index.first, index.last) == (1, 32, 320, 0, 31)
    assert list(children(index, stage.read)) == segments[:32]


@pytest.mark.parametrize(
    ("bounds", "decimals", "expected"),
    [
        ([(n, n + 5) for n in range(32)], set(), (0, 36, 32, 0)),
        ([(f"{n}.50", f"{n + 5}.50") for n in range(32)], {"x"}, ("0.50", "36.50", 32, 0)),
        ([(f"{n}.50", f"{n + 5}.50") for n in range(32)], set(), ("0.50", "9.50", 32, 0)),
        ([(n, n) for n in range(31)] + [(None, None)], set(), (None, None, 32, 0)),
    ],
    ids=["numbers", "decimals", "strings", "one without bounds"],
)
def test_an_index_sums_up_its_segments(stage, bounds, decimals, expected):
    """Its bounds are the least and the greatest below it: of decimals as numbers, whatever their scale."""
    (index,) = indexed(refs(*bounds), decimals, stage)
    assert index.stats == {"x": expected}
