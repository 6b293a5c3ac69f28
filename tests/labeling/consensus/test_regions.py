"""Regions that people mean alike become one; what they do not agree on is kept apart, and nothing is lost."""

import json
import math
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataplat.errors import ConfigError
from dataplat.labeling.consensus import consensus_regions
from dataplat.labeling.consensus._shapes import overlaps, shape_of
from dataplat.labeling.tables import schema

BLANK = dict.fromkeys(schema("regions").names)


def span(start, end, *labels, **more):
    """Return the columns of a span."""
    return {
        "start": start,
        "end": end,
        "labels": list(labels),
        "type": "labels",
        "from_name": "ner",
        "to_name": "text",
    } | more


def box(x, y, width, height, *labels, **more):
    """Return the columns of a box."""
    shape = {"x": x, "y": y, "width": width, "height": height, "rotation": 0.0}
    return shape | {"labels": list(labels), "type": "rectanglelabels", "from_name": "boxes", "to_name": "image"} | more


def answered(said):
    """Return regions and annotations of {(task, annotator): regions}."""
    annotations, regions = [], []
    for number, ((task, annotator), drawn) in enumerate(said.items()):
        name = f"u{number}"
        annotations.append(
            {"annotation": name, "task": task, "annotator": annotator, "result": json.dumps([]), "skipped": drawn is None, "updated_at": datetime(2026, 1, 1, tzinfo=UTC)}
        )  # fmt: skip
        regions += [
            BLANK
            | {"annotation": name, "item": item, "task": task, "annotator": annotator, "region": f"r{item}"}
            | each
            for item, each in enumerate(drawn or ())
        ]
    return pa.Table.from_pylist(regions, schema("regions")), pa.Table.from_pylist(annotations, schema("annotations"))


def found(said, **options):
    """Return the agreed and the disputed regions of {(task, annotator): regions}."""
    result = consensus_regions(*answered(said), **options)
    return result.table.to_pylist(), result.disputed.to_pylist()


def test_spans_that_cover_each_other_are_one():
    """The one that covers most of the others stands for them, with the label that most gave; the rest is disputed."""
    agreed, disputed = found(
        {
            ("a", "ann"): [span(0, 10, "PER", text="Ada Lovela"), span(30, 34, "ORG")],
            ("a", "bob"): [span(0, 12, "PER", text="Ada Lovelace")],
            ("a", "eve"): [span(0, 12, "ORG", text="Ada Lovelace")],
        }
    )
    (one,) = agreed
    assert (one["start"], one["end"], one["text"], one["labels"]) == (0, 12, "Ada Lovelace", ["PER"])
    assert (one["votes"], one["answers"], one["confidence"], one["decided"]) == (3, 3, 1.0, "votes")
    assert one["label_share"] == pytest.approx(2 / 3)
    assert one["overlap"] == pytest.approx((10 / 12 + 10 / 12 + 1) / 3)
    assert one["annotators"] == ["ann", "bob", "eve"]
    assert [(row["start"], row["votes"]) for row in disputed] == [(30, 1)]


def test_it_can_be_read_as_one_more_annotators_regions():
    """The first columns are those of `regions`, with keys of their own."""
    result = consensus_regions(
        *answered({("a", "ann"): [span(0, 3, "X"), span(5, 6, "Y")], ("b", "ann"): [span(0, 3, "X")]})
    )
    plain = result.table.select(schema("regions").names)
    assert plain.schema == schema("regions")
    assert [(row["annotation"], row["item"], row["annotator"]) for row in plain.to_pylist()] == [
        ("consensus/a", 0, "consensus"),
        ("consensus/a", 1, "consensus"),
        ("consensus/b", 0, "consensus"),
    ]


def test_who_saw_nothing_counts_and_who_skipped_does_not():
    """An empty answer is one against; a skip is none."""
    said = {("a", "ann"): [span(0, 3, "X")], ("a", "bob"): [], ("b", "ann"): [span(0, 3, "X")], ("b", "bob"): None}
    agreed, disputed = found(said)
    assert [(row["task"], row["answers"]) for row in agreed] == [("b", 1)]
    assert [(row["task"], row["confidence"]) for row in disputed] == [("a", 0.5)]
    assert len(found(said, share=0.4)[0]) == 2


def test_the_adjudicators_regions_are_the_ones():
    """Of a task that was adjudicated, nothing else is asked."""
    said = {("a", "ann"): [span(0, 3, "X")], ("a", "bob"): [span(0, 3, "X")], ("a", "judge"): [span(1, 9, "Y")], ("b", "ann"): [span(0, 3, "X")]}  # fmt: skip
    agreed, disputed = found(said, adjudicator="judge")
    assert [(row["task"], row["start"], row["labels"], row["decided"]) for row in agreed] == [
        ("a", 1, ["Y"], "adjudicator"),
        ("b", 0, ["X"], "votes"),
    ]
    assert disputed == []


def test_one_person_never_votes_twice_for_one_region():
    """Two regions of the same person at the same place stay two, and the other's joins the one of its label."""
    agreed, disputed = found({("a", "ann"): [span(0, 9, "X"), span(0, 9, "Y")], ("a", "bob"): [span(0, 9, "Y")]})
    assert [(row["labels"], row["annotators"]) for row in agreed] == [(["Y"], ["ann", "bob"])]
    assert [(row["labels"], row["annotators"]) for row in disputed] == [(["X"], ["ann"])]


def test_a_chain_of_regions_is_not_one():
    """Neighbours that each cover the next are put together only where all of them cover each other."""
    agreed, disputed = found(
        {("a", who): [box(10 * n, 0, 20, 20, "car")] for n, who in enumerate(["ann", "bob", "eve"])}, iou=0.3
    )
    assert [row["annotators"] for row in agreed] == [["ann", "bob"]]
    assert [row["annotators"] for row in disputed] == [["eve"]]


def test_controls_objects_and_regions_with_several_controls():
    """Regions of other controls or objects are never one; choices about a region are not its label."""
    about = {"type": "choices", "labels": ["big"], "from_name": "size", "to_name": "image", "region": "r0"}
    agreed, disputed = found(
        {
            ("a", "ann"): [box(0, 0, 5, 5, "car"), box(0, 0, 5, 5) | about],
            ("a", "bob"): [box(0, 0, 5, 5, "car")],
            ("a", "eve"): [box(0, 0, 5, 5, "car", to_name="other")],
        }
    )
    assert [(row["labels"], row["votes"]) for row in agreed] == [(["car"], 2)]
    assert [row["to_name"] for row in disputed] == ["other"]


def test_what_has_no_shape_is_counted():
    """Brush strokes and single points are left out, and said so; choices about the task are none of them."""
    brush = {"type": "brushlabels", "labels": ["sky"], "from_name": "b", "to_name": "image"}
    choice = {"type": "choices", "labels": ["good"], "from_name": "c", "to_name": "image"}
    result = consensus_regions(*answered({("a", "ann"): [brush, choice]}))
    assert (result.table.num_rows, result.left_out) == (0, 1)
    assert str(result) == "0 regions agreed on, 0 disputed, 1 without a shape left out"


def test_shares_that_are_none_are_refused():
    """An overlap of 0 would make everything one thing."""
    for options in ({"iou": 0.0}, {"share": 1.0}):
        with pytest.raises(ConfigError, match="iou is above 0"):
            consensus_regions(*answered({}), **options)


def nearest(region, truth):
    """Return how much a region shares with the nearest true box."""
    return max(overlaps([shape_of(region), shape_of(BLANK | box(*true))])[0, 1] for true in truth)


def test_many_peoples_boxes_come_near_the_true_ones():
    """Of five people who draw unsteadily, miss one in ten and see some that are not there, nearly all is found, nearer than one draws."""
    draw = np.random.default_rng(7)
    said, truth = {}, {}
    for task in range(30):
        truth[str(task)] = [
            (x * 100.0, y * 100.0, 60.0, 40.0)
            for x, y in draw.permutation([(i, j) for i in range(4) for j in range(4)])[:5]
        ]
        for who in range(5):
            drawn = [
                box(*(np.array(each) + draw.normal(0, 3, 4)), "car") for each in truth[str(task)] if draw.random() > 0.1
            ]
            said[str(task), f"w{who}"] = [*drawn, box(*draw.uniform(0, 400, 2), 30.0, 30.0, "car")]
    agreed, _ = found(said)
    near = [nearest(row, truth[row["task"]]) for row in agreed]
    alone = [nearest(BLANK | each, truth[task]) for (task, _), drawn in said.items() for each in drawn[:-1]]
    assert len(agreed) == pytest.approx(150, abs=4)
    assert min(near) > 0.5
    assert np.mean(near) > np.mean(alone) + 0.04


whole = st.integers(0, 12)


@settings(deadline=None)
@given(st.lists(st.tuples(whole, whole, st.integers(1, 8), st.integers(1, 8)), min_size=2, max_size=4))
def test_boxes_and_spans_share_what_counting_says(boxes):
    """The share is that of unit squares, and of characters."""
    cells = [{(i, j) for i in range(x, x + w) for j in range(y, y + h)} for x, y, w, h in boxes]
    shared = overlaps([shape_of(BLANK | box(*map(float, each))) for each in boxes])
    lines = overlaps([shape_of(BLANK | span(x, x + w)) for x, _, w, _ in boxes])
    for one, first in enumerate(cells):
        for two, second in enumerate(cells):
            assert shared[one, two] == pytest.approx(len(first & second) / len(first | second))
            rows = [{i for i, _ in each} for each in (first, second)]
            joined = rows[0] & rows[1]
            assert (lines[one, two] > 0) == bool(joined)
            if joined:
                assert lines[one, two] == pytest.approx(len(joined) / len(rows[0] | rows[1]))


def test_outlines_share_what_geometry_says():
    """Turned boxes turn clockwise about their top left corner; outlines are right to a hundredth or two."""
    turned = shape_of(BLANK | box(10, 0, 10, 20, rotation=90.0))
    assert overlaps([turned, shape_of(BLANK | box(-10, 0, 20, 10))])[0, 1] == pytest.approx(1, abs=0.02)
    diamond = shape_of(BLANK | box(10, 0, 10 * math.sqrt(2), 10 * math.sqrt(2), rotation=45.0))
    assert overlaps([diamond, shape_of(BLANK | box(0, 0, 20, 20))])[0, 1] == pytest.approx(0.5, abs=0.02)
    hook = shape_of(BLANK | {"points": [0, 0, 20, 0, 20, 20, 10, 20, 10, 10, 0, 10]})
    assert overlaps([hook, shape_of(BLANK | box(0, 0, 20, 20))])[0, 1] == pytest.approx(0.75, abs=0.02)
    assert overlaps([hook, shape_of(BLANK | box(50, 50, 5, 5))])[0, 1] == 0
    assert shape_of(BLANK | {"points": [1, 2]}) is None
    assert shape_of(BLANK | box(1, 2, 0, 5)) is None


@settings(deadline=None, max_examples=30)
@given(
    st.lists(
        st.tuples(st.sampled_from("ab"), st.sampled_from("xyz"), whole, st.integers(0, 5), st.sampled_from("PQ")),
        min_size=1,
        max_size=12,
    ),
    st.randoms(),
)
def test_nothing_is_lost_and_order_says_nothing(drawn, chance):
    """Every region is behind exactly one row, agreed or not, whatever the order of the rows."""
    said = {}
    for task, who, start, length, label in drawn:
        said.setdefault((task, who), []).append(span(start, start + length, label))
    regions, annotations = answered(said)
    result = consensus_regions(regions, annotations)
    assert sum(row["votes"] for row in result.table.to_pylist() + result.disputed.to_pylist()) == len(drawn)
    mixed = (
        table.take(pa.array(chance.sample(range(len(table)), len(table)), pa.int64()))
        for table in (regions, annotations)
    )
    again = consensus_regions(*mixed)
    assert again.table.equals(result.table)
    assert again.disputed.equals(result.disputed)
