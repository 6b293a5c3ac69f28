"""Where a partition is read on, decided from what is held and what is there."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataplat.connectors.kafka import Bounds, Topic
from dataplat.connectors.kafka._positions import Gap, Start, held_of, moved, refuse, source_id, start_of

TOPIC = Topic("events", "id-1", "c", (0, 1, 2))


def held(end, *, id="id-1", partitions=3):
    """Return the position of a partition that was read up to `end`."""
    return {"topic_id": id, "start": 0, "end": end, "epoch": 1, "records": end, "partitions": partitions}


@pytest.mark.parametrize(
    ("bounds", "position", "found"),
    [
        (Bounds(0, 10), None, (0, None)),
        (Bounds(5, 10), None, (5, None)),  # nobody has read it: what is gone was never promised
        (Bounds(0, 10), held(4), (4, None)),
        (Bounds(0, 10), held(10), (10, None)),
        (Bounds(4, 10), held(4), (4, None)),
        (Bounds(5, 10), held(4), (5, Gap("retention", 4, 5))),
        (Bounds(0, 3), held(4), (3, Gap("truncated", 4, 3))),
        (Bounds(2, 10), held(4, id="id-0"), (2, Gap("recreated", 4, 2))),
        (Bounds(0, 0), held(4, id="id-0"), (0, Gap("recreated", 4, 0))),
    ],
)
def test_where_it_goes_on(bounds, position, found):
    """Held and there: from there on. Gone before it was read, cut back, or another topic: a gap that says which."""
    start = start_of(TOPIC, 1, bounds, {} if position is None else {1: position})
    assert (start.offset, start.gap) == found
    assert start.held == position


def test_a_partition_that_came_later():
    """Of a partition that came while the topic was read nothing may be gone."""
    other = {0: held(4, partitions=2), 1: held(4, partitions=2)}
    assert start_of(TOPIC, 2, Bounds(3, 9), other).gap == Gap("retention", 0, 3)
    assert start_of(TOPIC, 2, Bounds(0, 9), other).gap is None
    assert start_of(TOPIC, 2, Bounds(3, 9), {0: held(4)}).gap is None


@given(st.integers(0, 100), st.integers(0, 100), st.none() | st.integers(0, 100), st.sampled_from(["id-0", "id-1"]))
def test_nothing_is_passed_over_in_silence(earliest, length, end, id):
    """Whatever is held and there: reading begins within the log, and unless a gap is said, exactly where it ended."""
    bounds = Bounds(earliest, earliest + length)
    position = None if end is None else held(end, id=id)
    start = start_of(TOPIC, 0, bounds, {} if position is None else {0: position})
    assert bounds.earliest <= start.offset <= bounds.end
    if position is not None and start.gap is None:
        assert (start.offset, position["topic_id"]) == (end, TOPIC.id)
    if start.gap is not None:
        assert (start.gap.begin, start.gap.end) == (end, start.offset)


@given(st.integers(0, 9), st.integers(0, 9), st.integers(0, 9))
def test_a_position_is_held_next(begin, length, records):
    """What is written down is where the next one begins, under the id of its partition."""
    position = moved(TOPIC, Start(begin, None), begin + length, records=records, epoch=None)
    found = held_of(TOPIC, {source_id(TOPIC, 1): position, "file:x": {"end": 99}, "kafka:c/events2/1": {"end": 98}})
    assert found == {1: position}
    assert start_of(TOPIC, 1, Bounds(0, 100), found) == Start(begin + length, position)


def test_a_gap_is_written_down():
    """A position keeps the gap before it."""
    position = moved(TOPIC, Start(5, held(4), Gap("retention", 4, 5)), 7, records=2, epoch=3)
    assert position["gap"] == {"why": "retention", "from": 4, "to": 5}
    assert (position["start"], position["end"], position["records"], position["epoch"]) == (5, 7, 2, 3)


@pytest.mark.parametrize(
    ("gap", "words"),
    [
        (Gap("retention", 4, 1005), "offset 4 up to 1,005 are gone"),
        (Gap("truncated", 4, 3), "read up to offset 4, and ends at 3"),
        (Gap("recreated", 4, 0), "made again"),
    ],
)
def test_a_refusal(gap, words):
    """It says where, what and how to go on."""
    text = str(refuse(TOPIC, 2, gap))
    assert text.startswith("events[2]: ")
    assert words in text
    assert "--on-gap mark" in text
