"""Votes are the last words of people: skips are none, and the order of delivery says nothing."""

import json
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataplat.errors import LabelConfigError
from dataplat.labeling.config import LabelConfig
from dataplat.labeling.consensus import votes_of
from dataplat.labeling.tables import schema

CONFIG = LabelConfig.from_xml(
    '<View><Text name="t" value="$text"/><Choices name="mood" toName="t"><Choice value="good"/><Choice value="bad"/>'
    '</Choices><Rating name="stars" toName="t"/><Labels name="span" toName="t"><Label value="A"/></Labels></View>'
)
DAY = datetime(2026, 11, 28, tzinfo=UTC)


def choice(*labels):
    """Return the result of somebody who chose these."""
    return [{"id": "r", "from_name": "mood", "to_name": "t", "type": "choices", "value": {"choices": list(labels)}}]


def annotations(*rows):
    """Return annotations of rows (task, annotator, result, minute); a result of None is a skip."""
    return pa.Table.from_pylist(
        [
            {
                "annotation": f"u{number}",
                "task": task,
                "annotator": annotator,
                "result": result if isinstance(result, str) else json.dumps(result or []),
                "skipped": result is None,
                "created_at": DAY,
                "updated_at": DAY + timedelta(minutes=minute),
            }
            for number, (task, annotator, result, minute) in enumerate(rows)
        ],
        schema("annotations"),
    )


def said(table, **options):
    """Return votes as (task, annotator, label)."""
    return [tuple(row.values()) for row in votes_of(table, CONFIG, **options).to_pylist()]


def test_the_last_word_of_a_person_counts():
    """A later answer replaces the earlier one; a later skip takes it back; others keep theirs."""
    table = annotations(
        ("a", "ann", choice("bad"), 5),
        ("a", "ann", choice("good"), 1),
        ("a", "bob", choice("good"), 0),
        ("b", "ann", choice("good"), 1),
        ("b", "ann", None, 2),
        ("c", "ann", None, 1),
        ("c", "ann", choice("bad"), 2),
    )
    assert said(table) == [("a", "ann", "bad"), ("a", "bob", "good"), ("c", "ann", "bad")]


def test_answers_without_a_plain_label_are_no_votes():
    """Skips, empty answers, spans only, and results that cannot be read."""
    span = [
        {
            "id": "s",
            "from_name": "span",
            "to_name": "t",
            "type": "labels",
            "value": {"start": 0, "end": 1, "labels": ["A"]},
        }
    ]
    table = annotations(
        ("a", "ann", None, 0),
        ("b", "ann", [], 0),
        ("c", "ann", span, 0),
        ("d", "ann", "{not JSON", 0),
        ("e", "ann", '["text"]', 0),
        ("f", "ann", span + choice("good"), 0),
    )
    assert said(table) == [("f", "ann", "good")]


def test_several_choices_are_one_label():
    """Who ticks two boxes votes for both together, whatever the order of the ticks."""
    assert said(annotations(("a", "ann", choice("good", "bad"), 0), ("a", "bob", choice("bad", "good"), 0))) == [
        ("a", "ann", "bad|good"),
        ("a", "bob", "bad|good"),
    ]


def test_unknown_people_are_not_taken_for_one():
    """Two answers of nobody known are two votes."""
    assert said(annotations(("a", None, choice("good"), 0), ("a", None, choice("bad"), 0))) == [
        ("a", "unknown (u0)", "good"),
        ("a", "unknown (u1)", "bad"),
    ]


def test_another_control_may_be_voted_on():
    """By name; one that is not there, or takes regions, is refused."""
    stars = [{"id": "x", "from_name": "stars", "to_name": "t", "type": "rating", "value": {"rating": 4}}]
    table = annotations(("a", "ann", stars + choice("good"), 0))
    assert said(table, control="stars") == [("a", "ann", "4")]
    with pytest.raises(LabelConfigError, match="no control 'star' .* did you mean 'stars'"):
        said(table, control="star")
    with pytest.raises(LabelConfigError, match="no control 'span'"):
        said(table, control="span")


rows = st.tuples(
    st.sampled_from("ab"), st.sampled_from(["ann", "bob", None]), st.sampled_from([None, choice("good"), choice("bad")]), st.integers(0, 2)
)  # fmt: skip


@settings(deadline=None, max_examples=50)
@given(st.lists(rows, min_size=1, max_size=12), st.randoms())
def test_the_order_of_delivery_says_nothing(given_rows, chance):
    """The same answers, delivered in any order and many times, are the same votes."""
    table = annotations(*given_rows)
    order = chance.choices(range(len(given_rows)), k=len(given_rows) * 2) + list(range(len(given_rows)))
    assert votes_of(table.take(pa.array(order, pa.int64())), CONFIG).equals(votes_of(table, CONFIG))
