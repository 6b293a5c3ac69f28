"""Order statistics, against sorted lists."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from dataplat.feature_store.kernel.ranks import dense, extremes, smallest
from dataplat.feature_store.kernel.spans import Span, Timeline, arranged

INTS = st.one_of(st.integers(-4, 4), st.integers(-(2**63), 2**63 - 1))


def ints(values: Any) -> Any:
    """Return an array."""
    return np.array(values, np.int64)


@st.composite
def ranges(draw: st.DrawFn) -> tuple[list[int], Span]:
    """Draw values, and questions about ranges of them."""
    values = draw(st.lists(INTS, min_size=1, max_size=20))
    pairs = draw(st.lists(st.tuples(*(st.integers(0, len(values)),) * 2), min_size=1, max_size=6))
    low, high = ints([min(pair) for pair in pairs]), ints([max(pair) for pair in pairs])
    return values, Span(np.arange(len(values)), high, None, low, 0 * low)


@settings(deadline=None)
@given(ranges(), st.data())
def test_the_smallest_of_ranges(case: tuple[list[int], Span], data: st.DataObject) -> None:
    """The r-th smallest of a range is that of the sorted range."""
    values, span = case
    keys, codes = dense(ints(values))
    ranks = ints([data.draw(st.integers(0, max(int(count) - 1, 0))) for count in span.count])
    found = smallest(span, codes, ranks)
    for place, (low, high, rank) in enumerate(zip(span.gone, span.came, ranks, strict=True)):
        if low < high:
            assert keys[found[place]] == sorted(values[low:high])[rank]


@settings(deadline=None)
@given(ranges())
def test_extremes_of_ranges(case: tuple[list[int], Span]) -> None:
    """The least and the greatest of a range."""
    values, span = case
    for greatest, pick in ((False, min), (True, max)):
        found = extremes(span, ints(values), greatest=greatest)
        for place, (low, high) in enumerate(zip(span.gone, span.came, strict=True)):
            assert low == high or found[place] == pick(values[low:high])


@settings(deadline=None)
@given(st.lists(st.integers(0, 9), max_size=12), st.data())
def test_the_smallest_of_what_came_and_did_not_go(values: list[int], data: st.DataObject) -> None:
    """Without ranges: what is left is counted as what came less what went."""
    come = data.draw(st.permutations(range(len(values))))
    came = data.draw(st.integers(0, len(values)))
    went = data.draw(st.lists(st.sampled_from(come[:came]), unique=True)) if came else []
    go = went + [each for each in range(len(values)) if each not in went]
    left = sorted(values[each] for each in come[:came] if each not in went)
    for rank, expected in enumerate(left):
        span = Span(ints(come), ints([came]), ints(go), ints([len(went)]), ints([0]))
        assert smallest(span, ints(values), ints([rank])).tolist() == [expected]


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 3), INTS), max_size=12), st.lists(st.tuples(st.integers(0, 3), INTS), max_size=6)
)
def test_timelines_are_searched_by_key_and_time(times: list[tuple[int, int]], asked: list[tuple[int, int]]) -> None:
    """However far times reach."""
    times.sort()
    key, time, of, t = (ints([pair[at] for pair in pairs]) for pairs in (times, asked) for at in range(2))
    found = Timeline.of(key, time, 4).upto(of, t)
    assert found.tolist() == [sum(each <= question for each in times) for question in asked]


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), INTS), max_size=12))
def test_arranged_is_the_stable_order(times: list[tuple[int, int]]) -> None:
    """By key and time; what agrees in both stays as it was."""
    key, time = (ints([pair[at] for pair in times]) for at in range(2))
    assert arranged(key, time).tolist() == sorted(range(len(times)), key=times.__getitem__)
