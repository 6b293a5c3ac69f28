"""Spans and boxes of several people are matched by what they share."""

import itertools
import math

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from dataplat.errors import BadColumn, ConfigError
from dataplat.labeling.agreement import RegionAgreement, _overlaps, box_agreement, span_agreement
from dataplat.labeling.agreement._iou import box_iou, span_iou
from dataplat.labeling.agreement._matching import assignment, matched
from dataplat.labeling.tables import schema

CONTROL = {"from_name": "label", "to_name": "text"}


def spans(*rows):
    """Return regions as a queue has them: task, annotator, start, end, labels."""
    names = ("task", "annotator", "start", "end", "labels")
    found = [
        {"annotation": f"{row[0]}/{row[1]}", "item": number} | CONTROL | dict(zip(names, row, strict=True))
        for number, row in enumerate(rows)
    ]
    return pa.Table.from_pylist(found, schema("regions"))


def boxes(*rows):
    """Return regions as a queue has them: task, annotator, x, y, width, height, rotation, labels."""
    names = ("task", "annotator", "x", "y", "width", "height", "rotation", "labels")
    found = [
        {"annotation": f"{row[0]}/{row[1]}", "item": number} | dict(zip(names, row, strict=True))
        for number, row in enumerate(rows)
    ]
    return pa.Table.from_pylist(found, schema("regions"))


@settings(deadline=None)
@given(st.integers(1, 7), st.integers(1, 7), st.integers(0, 2**32 - 1))
def test_the_assignment_is_that_of_scipy(rows, columns, seed):
    """Its sum is the greatest that there is, for any sides."""
    draw = np.random.default_rng(seed)
    weights = np.where(draw.random((rows, columns)) < 0.5, 0.0, draw.random((rows, columns)))
    one, other = assignment(weights)
    assert len(one) == len(set(one.tolist())) == len(set(other.tolist())) == min(rows, columns)
    best = linear_sum_assignment(weights, maximize=True)
    assert weights[one, other].sum() == pytest.approx(weights[best].sum(), abs=1e-12)


@settings(deadline=None)
@given(st.integers(1, 6), st.integers(1, 6), st.integers(0, 2**32 - 1))
def test_as_many_regions_as_can_be_are_matched(rows, columns, seed):
    """No other matching has more pairs above the threshold, and none as many that share more."""
    draw = np.random.default_rng(seed)
    shares = np.where(draw.random((rows, columns)) < 0.4, draw.random((rows, columns)), 0.0)
    one, other = matched(shares, np.zeros(shares.shape, bool), 0.3)
    assert (shares[one, other] >= 0.3).all()
    best = linear_sum_assignment(np.where(shares >= 0.3, 100 + shares, 0.0), maximize=True)
    kept = shares[best] >= 0.3
    assert len(one) == kept.sum()
    assert shares[one, other].sum() == pytest.approx(shares[best][kept].sum(), abs=1e-12)


regions_drawn = st.lists(
    st.tuples(
        st.sampled_from(["t1", "t2", "t3"]),
        st.sampled_from(["ann", "ben", "cid"]),
        st.integers(0, 12),
        st.integers(1, 6),
        st.sampled_from("AB"),
    ),
    max_size=25,
)


@settings(deadline=None)
@given(regions_drawn, st.sampled_from([0.2, 0.5, 1.0]), st.booleans())
def test_comparing_all_at_once_is_comparing_two_people_at_a_time(drawn, threshold, few):
    """Sums of every task and pair are those of the best assignment by SciPy, however many tasks are compared at once."""
    rows = [(task, who, start, start + length, [label]) for task, who, start, length, label in drawn]
    with pytest.MonkeyPatch.context() as patch:
        if few:
            patch.setattr(_overlaps, "_AT_ONCE", 1)
        found = span_agreement(spans(*rows), threshold=threshold).pairs.to_pylist()
    expected = []
    for task in sorted({row[0] for row in rows}):
        people = sorted({row[1] for row in rows if row[0] == task})
        for one, other in itertools.combinations(people, 2):
            sides = [[row for row in rows if row[:2] == (task, who)] for who in (one, other)]
            shares = np.array([[share(a, b) for b in sides[1]] for a in sides[0]])
            near = shares >= threshold
            same = np.array([[a[4] == b[4] for b in sides[1]] for a in sides[0]])
            best = linear_sum_assignment(np.where(near, 1000 + shares + 1e-6 * same, 0.0), maximize=True)
            sums = int(near[best].sum()), int((same & near)[best].sum()), float((shares * near)[best].sum())
            expected.append((task, one, other, len(sides[0]) + len(sides[1]), *sums))
    assert [tuple(row.values()) for row in found] == [(*row[:6], pytest.approx(row[6])) for row in expected]


def share(one, other):
    """Return what two spans share, by their sets of characters."""
    ours, theirs = set(range(one[2], one[3])), set(range(other[2], other[3]))
    return len(ours & theirs) / len(ours | theirs)


def test_spans_share_characters():
    """Of spans the shared characters count; marks of no length are equal or not."""
    one = np.array([[0.0, 10], [5, 5], [20, 30]])
    other = np.array([[5.0, 15], [5, 5], [0, 10]])
    places = [(row, column) for row in range(3) for column in range(3)]
    found = span_iou(one[[row for row, _ in places]], other[[column for _, column in places]])
    assert found == pytest.approx([5 / 15, 0, 1, 0, 1, 0, 0, 0, 0])


def test_boxes_share_area_turned_or_not():
    """A box turned by 90 degrees is the upright one beside it; by 45 it is an octagon that it shares with itself."""
    upright = np.array([[10.0, 20, 4, 2, 0]])
    turned = np.array(
        [[12.0, 20, 4, 2, 90]]
    )  # about its upper left corner, clockwise: x from 10 to 12, y from 20 to 24
    assert box_iou(upright, turned)[0] == pytest.approx(4 / 12)
    square = np.array([[-1.0, -1, 2, 2, 0]])
    diamond = np.array([[0.0, -math.sqrt(2), 2, 2, 45]])
    octagon = 8 * (math.sqrt(2) - 1)
    assert box_iou(square, diamond)[0] == pytest.approx(octagon / (8 - octagon))
    assert box_iou(diamond, diamond)[0] == pytest.approx(1)
    assert box_iou(square, np.array([[50.0, 50, 2, 2, 45]]))[0] == 0


numbers = st.tuples(st.floats(-5, 5), st.floats(-5, 5), st.floats(0.5, 5), st.floats(0.5, 5), st.floats(-360, 360))


@settings(deadline=None)
@given(numbers, numbers)
def test_sharing_is_mutual_and_a_share(one, other):
    """What one box shares with another is what that shares with it, between 0 and 1, however they are turned."""
    first, second = np.array([one]), np.array([other])
    share = box_iou(first, second)[0]
    assert -1e-9 <= share <= 1 + 1e-9
    assert box_iou(second, first)[0] == pytest.approx(share, abs=1e-6)


def test_spans_agree_by_place_and_label():
    """F1 counts regions that have their like; places alone and labels alone are told apart."""
    found = span_agreement(
        spans(
            ("t1", "ann", 0, 5, ["PER"]), ("t1", "ann", 10, 20, ["ORG"]), ("t1", "ann", 30, 35, ["LOC"]),
            ("t1", "ben", 0, 5, ["PER"]), ("t1", "ben", 10, 19, ["LOC"]),
        )
    )  # fmt: skip
    assert found.pairs.to_pylist() == [
        {"task": "t1", "one": "ann", "other": "ben", "regions": 5, "matched": 2, "same": 1, "iou": pytest.approx(1.9)}
    ]
    assert (found.f1, found.place_f1, found.label_agreement) == pytest.approx((2 / 5, 4 / 5, 1 / 2))
    assert found.iou == pytest.approx(0.95)


def test_equal_places_are_matched_by_label():
    """Two labels on one span each find their like, whatever the order in which they were given."""
    rows = [("t", "ann", 0, 4, ["A"]), ("t", "ann", 0, 4, ["B"]), ("t", "ben", 0, 4, ["B"]), ("t", "ben", 0, 4, ["A"])]
    assert span_agreement(spans(*rows)).f1 == 1
    several = [("t", "ann", 0, 4, ["A", "B"]), ("t", "ben", 0, 4, ["B", "A"])]
    assert span_agreement(spans(*several)).f1 == 1


def test_who_marked_nothing_disagrees_where_they_answered():
    """An answer without regions counts if it is known of; two such are no regions at all."""
    regions = spans(("t1", "ann", 0, 5, ["PER"]))
    assert math.isnan(span_agreement(regions).f1)
    answers = pa.table({"task": ["t1", "t1", "t2", "t2"], "annotator": ["ann", "ben", "ann", "ben"]})
    found = span_agreement(regions, answers)
    assert found.f1 == 0
    assert [(row["task"], row["regions"], row["f1"]) for row in found.by_task().to_pylist()] == [
        ("t1", 1, 0.0),
        ("t2", 0, None),
    ]


def test_only_regions_of_one_control_and_text_are_matched():
    """A span of another text, or of another control, is not the same, wherever it lies."""
    rows = spans(("t", "ann", 0, 5, ["A"]), ("t", "ben", 0, 5, ["A"])).to_pylist()
    rows[1]["to_name"] = "other text"
    assert span_agreement(pa.Table.from_pylist(rows, schema("regions"))).place_f1 == 0


def test_a_region_of_several_controls_is_one():
    """Items of one region are its labels together; what is said of it besides, as a text or a choice, draws nothing."""
    items = []
    for who, said in (("ann", "blurred"), ("ben", "sharp")):
        place = {"task": "t", "annotator": who, "annotation": who, "region": "r1", "to_name": "img"}
        place |= {"x": 1.0, "y": 1.0, "width": 5.0, "height": 5.0}
        items += [
            place | {"item": 0, "type": "rectangle", "from_name": "box"},
            place | {"item": 1, "type": "labels", "from_name": "kind", "labels": ["cat"]},
            place | {"item": 2, "type": "choices", "from_name": "look", "labels": [said]},
            place | {"item": 3, "type": "textarea", "from_name": "note", "text": said},
        ]
    found = box_agreement(pa.Table.from_pylist(items, schema("regions")))
    assert (found.pairs["regions"].to_pylist(), found.f1) == ([2], 1)
    items[1]["labels"] = ["dog"]
    found = box_agreement(pa.Table.from_pylist(items, schema("regions")))
    assert (found.f1, found.place_f1) == (0, 1)


def test_boxes_agree_and_what_is_no_box_is_passed_over():
    """Boxes are matched by area, three people are three pairs, spans among the regions count nowhere."""
    found = box_agreement(
        pa.concat_tables([
            boxes(
                ("p", "ann", 0, 0, 10, 10, 0, ["cat"]),
                ("p", "ben", 1, 0, 10, 10, None, ["cat"]),
                ("p", "cid", 40, 40, 5, 5, 30, ["cat"]),
            ),
            spans(("p", "ann", 0, 5, ["A"])),
        ])
    )  # fmt: skip
    assert [(row["one"], row["other"], row["f1"]) for row in found.by_pair().to_pylist()] == [
        ("ann", "cid", 0.0),
        ("ben", "cid", 0.0),
        ("ann", "ben", 1.0),
    ]
    assert found.f1 == pytest.approx(1 / 3)
    assert found.iou == pytest.approx(90 / 110)


def test_the_threshold_is_what_two_regions_share_at_least():
    """At 1 only equal spans are one, and a threshold that is no share is refused."""
    rows = spans(("t", "ann", 0, 10, ["A"]), ("t", "ben", 0, 9, ["A"]))
    assert [span_agreement(rows, threshold=each).f1 for each in (0.9, 0.91, 1.0)] == [1, 0, 0]
    with pytest.raises(ConfigError, match="share between 0 and 1"):
        span_agreement(rows, threshold=50)
    with pytest.raises(BadColumn, match="no column 'start' in the regions"):
        span_agreement(rows.drop_columns(["start"]))
    with pytest.raises(BadColumn, match="no column 'annotator' in the answers"):
        span_agreement(rows, pa.table({"task": ["t"]}))


def test_a_pull_replaces_the_tasks_that_it_changed():
    """What is known of other tasks stays, and the whole is as if all were compared at once."""
    old = spans(
        ("t1", "ann", 0, 5, ["A"]), ("t1", "ben", 0, 5, ["A"]), ("t2", "ann", 0, 5, ["A"]), ("t2", "ben", 9, 12, ["A"])
    )
    new = spans(("t2", "ann", 0, 5, ["A"]), ("t2", "ben", 0, 5, ["A"]), ("t2", "cid", 0, 5, ["A"]))
    found = span_agreement(old).replaced(span_agreement(new))
    whole = span_agreement(pa.concat_tables([old.slice(0, 2), new]))
    assert (
        pl.DataFrame(found.pairs)
        .sort("task", "one", "other")
        .equals(pl.DataFrame(whole.pairs).sort("task", "one", "other"))
    )
    assert found.f1 == 1


def test_agreement_of_regions_has_an_interval():
    """Tasks are drawn whole; the interval holds the number, and is the same for the same seed."""
    draw = np.random.default_rng(4)
    rows = []
    for task in range(60):
        at = int(draw.integers(0, 50))
        rows += [
            (f"t{task}", "ann", at, at + 10, ["A"]),
            (f"t{task}", "ben", at + int(draw.integers(0, 6)), at + 10, ["A"]),
        ]
    found = span_agreement(spans(*rows), threshold=0.7)
    interval = found.interval(rounds=300, seed=1)
    assert interval.low < found.f1 == interval.value < interval.high
    assert interval == found.interval(rounds=300, seed=1)
    assert math.isnan(RegionAgreement(found.pairs.slice(0, 0)).interval().low)


def test_no_regions_are_no_agreement():
    """Without regions there is nothing to say, and no error."""
    empty = span_agreement(schema("regions").empty_table())
    assert math.isnan(empty.f1)
    assert math.isnan(empty.iou)
    assert math.isnan(empty.label_agreement)
    assert empty.by_pair().num_rows == 0
