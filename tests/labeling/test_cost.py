"""What answers cost is added up by annotator and label; skips and replaced answers took time, too."""

import json
import math

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataplat.errors import ConfigError
from dataplat.labeling.config import LabelConfig
from dataplat.labeling.cost import cost_of
from dataplat.labeling.tables import schema

CONFIG = LabelConfig.from_xml(
    '<View><Text name="t" value="$text"/><Choices name="c" toName="t"><Choice value="a"/><Choice value="b"/></Choices></View>'
)


def annotations(*rows):
    """Return annotations of rows (task, annotator, label or None for a skip, seconds)."""
    return pa.Table.from_pylist(
        [
            {
                "annotation": str(number),
                "task": task,
                "annotator": annotator,
                "result": json.dumps([] if label is None else CONFIG.result_of(label)),
                "skipped": label is None,
                "lead_time": seconds,
            }
            for number, (task, annotator, label, seconds) in enumerate(rows)
        ],
        schema("annotations"),
    )


ROWS = [
    ("1", "ann", "a", 10.0),
    ("1", "bob", "b", 30.0),
    ("2", "ann", "a", 20.0),
    ("2", "ann", None, 5.0),
    ("3", "bob", "a", None),
    ("4", "bob", None, 7200.0),
]


def test_time_is_added_up_by_annotator_and_by_label():
    """Answers, skips, how many say how long they took, their sum, the usual and the slow ones, and the price."""
    found = cost_of(annotations(*ROWS), CONFIG, longest=600, per_hour=36)
    ann, bob = found.annotators.to_pylist()
    assert ann == {"annotator": "ann", "answers": 2, "skips": 1, "timed": 3, "seconds": 35.0, "median": 10.0, "p90": 18.0, "price": pytest.approx(0.35)}  # fmt: skip
    assert (bob["answers"], bob["skips"], bob["timed"], bob["seconds"]) == (2, 1, 2, 630.0)
    assert [(row["label"], row["answers"], row["skips"], row["seconds"]) for row in found.labels.to_pylist()] == [
        ("a", 3, 0, 30.0),
        ("b", 1, 0, 30.0),
        (None, 0, 2, 605.0),
    ]
    assert (found.tasks, found.seconds, found.price, found.cut) == (3, 665.0, pytest.approx(6.65), 1)
    assert found.seconds_per_task == pytest.approx(665 / 3)
    assert str(found) == "0.18 hours for 3 tasks, 221.7 s each, 6.65 in all; 1 answers took longer than counts"


def test_without_a_bound_everything_counts():
    """And without a price there is none."""
    found = cost_of(annotations(*ROWS), CONFIG)
    assert (found.seconds, found.price, found.cut) == (7265.0, None, 0)
    assert found.annotators["price"].null_count == 2
    assert found.to_dict()["tasks"] == 3


def test_times_that_are_none_are_not_counted():
    """A missing time, NaN or one below 0 says nothing; no answers cost nothing."""
    found = cost_of(annotations(("1", "ann", "a", math.nan), ("1", "bob", "a", -3.0), ("1", "eve", "a", None)), CONFIG)
    assert (found.seconds, found.annotators["timed"].to_pylist()) == (0.0, [0, 0, 0])
    empty = cost_of(annotations(), CONFIG)
    assert (empty.seconds, empty.seconds_per_task, empty.tasks) == (0.0, None, 0)


def test_bounds_below_nothing_are_refused():
    """Neither time nor price is negative."""
    for options in ({"longest": -1}, {"per_hour": math.nan}):
        with pytest.raises(ConfigError, match="a number from 0 on"):
            cost_of(annotations(), CONFIG, **options)


rows = st.tuples(
    st.sampled_from("123"), st.sampled_from(["ann", "bob"]), st.sampled_from(["a", "b", None]), st.floats(0, 1e4)
)


@settings(deadline=None)
@given(st.lists(rows, min_size=1, max_size=20), st.randoms())
def test_order_says_nothing_and_parts_add_up(given_rows, chance):
    """Any order of the answers gives the same tables; annotators together took what labels together did."""
    table = annotations(*given_rows)
    mixed = table.take(pa.array(chance.sample(range(len(table)), len(table))))
    one, two = cost_of(table, CONFIG, longest=500), cost_of(mixed, CONFIG, longest=500)
    assert one.annotators == two.annotators
    assert one.labels == two.labels
    assert one.seconds == two.seconds
    assert sum(one.annotators["seconds"].to_pylist()) == pytest.approx(one.seconds)
    assert sum(one.labels["seconds"].to_pylist()) == pytest.approx(one.seconds)
