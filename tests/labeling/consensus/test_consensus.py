"""Votes come to one label a task: the same whatever their order, with what stands behind each."""

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataplat.errors import BadColumn, ConfigError, KeyViolation, LabelError
from dataplat.labeling.consensus import Consensus, consensus

METHODS = ["majority", "weighted", "dawid-skene"]


def votes_from(*rows, **more):
    """Return a table of votes of rows (task, annotator, label)."""
    columns = [pa.array([row[n] for row in rows], pa.string()) for n in range(3)]
    return pa.table([*columns, *map(pa.array, more.values())], names=["task", "annotator", "label", *more])


def labels_of(found):
    """Return the label of each task."""
    return dict(zip(found.table["task"].to_pylist(), found.table["label"].to_pylist(), strict=True))


def test_the_most_votes_decide_and_their_share_is_the_confidence():
    """A row a task in their order: label, share, how many voted, who, whether tied, bits of disagreement."""
    found = consensus(
        votes_from(("b", "x", "yes"), ("a", "y", "no"), ("a", "x", "no"), ("b", "z", "no"), ("a", "z", "yes"))
    )
    first, second = found.table.to_pylist()
    assert first == {
        "task": "a", "label": "no", "confidence": pytest.approx(2 / 3), "votes": 3, "annotators": ["x", "y", "z"],
        "tied": False, "entropy": pytest.approx(0.9182958), "decided": "votes",
    }  # fmt: skip
    assert (second["label"], second["confidence"], second["tied"], second["entropy"]) == ("no", 0.5, True, 1.0)
    assert found.tied == 1
    assert [row["agreement"] for row in found.annotators.to_pylist()] == [0.5, 1.0, 0.5]


def test_weights_decide_where_people_do_not_count_the_same():
    """One who weighs more than two others is right; the confidence is the share of the weight."""
    votes = votes_from(("a", "x", "1"), ("a", "y", "2"), ("a", "z", "2"))
    found = consensus(votes, "weighted", weights={"x": 3, "y": 1, "z": 1})
    assert found.table.to_pylist()[0]["label"] == "1"
    assert found.table.to_pylist()[0]["confidence"] == pytest.approx(0.6)
    by_column = consensus(votes.append_column("weight", pa.array([3, 1, 1])), "weighted")
    assert by_column.table.equals(found.table)


def test_who_answers_gold_rightly_counts_more():
    """Weights come from the score where the truth is known; one no better than chance hardly counts."""
    gold = [
        (f"g{n}", who, "yes" if n % 2 or who == "good" else "no") for n in range(8) for who in ("good", "bad", "worse")
    ]
    votes = votes_from(*gold, ("a", "good", "yes"), ("a", "bad", "no"), ("a", "worse", "no"))
    truth = {f"g{n}": "yes" for n in range(8)}
    assert labels_of(consensus(votes))["a"] == "no"
    found = consensus(votes, "weighted", truth=truth)
    assert labels_of(found)["a"] == "yes"
    weights = {row["annotator"]: row["weight"] for row in found.annotators.to_pylist()}
    assert weights["good"] > 3 * weights["bad"] > 0
    assert set(found.table["decided"].to_pylist()) == {"truth", "votes"}


@pytest.mark.parametrize("method", METHODS)
def test_the_adjudicator_decides(method):
    """An adjudicated task has that label whatever the votes, also where nobody else voted."""
    votes = votes_from(("a", "x", "1"), ("a", "y", "1"), ("a", "judge", "2"), ("b", "judge", "3"), ("c", "x", "1"))
    weights = {"x": 1.0, "y": 1.0, "judge": 1.0} if method == "weighted" else None
    found = consensus(votes, method, adjudicator="judge", weights=weights)
    assert labels_of(found) == {"a": "2", "b": "3", "c": "1"} or method == "dawid-skene"
    rows = {row["task"]: row for row in found.table.to_pylist()}
    assert (rows["a"]["label"], rows["a"]["confidence"], rows["a"]["decided"]) == ("2", 1.0, "adjudicator")
    assert (rows["b"]["label"], rows["b"]["votes"], rows["c"]["decided"]) == ("3", 1, "votes")


@settings(deadline=None, max_examples=50)
@given(
    st.dictionaries(st.tuples(st.sampled_from("abcde"), st.sampled_from("xyz")), st.sampled_from("123"), min_size=1),
    st.randoms(),
)
def test_the_order_of_votes_says_nothing(said, chance):
    """The same votes in any order give the same table to the last bit, by every method."""
    rows = [(task, who, label) for (task, who), label in said.items()]
    other = chance.sample(rows, len(rows))
    for method in METHODS:
        options = {"weights": {"x": 0.1, "y": 0.7, "z": 0.3}} if method == "weighted" else {}
        one, two = (consensus(votes_from(*each), method, **options) for each in (rows, other))
        assert one.table.equals(two.table)
        assert one.annotators.equals(two.annotators)
        assert set(one.table["task"].to_pylist()) == {task for task, *_ in rows}


@pytest.mark.parametrize("method", METHODS)
def test_no_votes_give_no_labels(method):
    """A table without rows, or of null labels only, comes to a table without rows."""
    for votes in (votes_from(), votes_from(("a", "x", None))):
        found = consensus(votes, method, weights={} if method == "weighted" else None)
        assert isinstance(found, Consensus)
        assert found.table.num_rows == 0


def test_labels_keep_their_type():
    """Numbers stay numbers, and are ordered as such."""
    votes = pa.table({"task": [1, 1, 2], "annotator": ["x", "y", "x"], "label": [10, 9, 10]})
    assert consensus(votes, truth={2: 9}).table.select(["task", "label"]).to_pylist() == [
        {"task": 1, "label": 9}, {"task": 2, "label": 9}
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("votes", "options", "error", "match"),
    [
        (votes_from(("a", "x", "1")), {"method": "majorty"}, ConfigError, "did you mean 'majority'"),
        (votes_from(("a", "x", "1")), {"method": "weighted"}, ConfigError, "nothing to weigh"),
        (votes_from(("a", "x", "1")), {"method": "weighted", "weights": {"y": 1}}, LabelError, "no weight for annotator 'x'"),
        (votes_from(("a", "x", "1")), {"method": "weighted", "weights": {"x": -1}}, LabelError, "'x' is -1"),
        (votes_from(("a", "x", "1")), {"iterations": 0}, ConfigError, "iterations is 1 or more"),
        (votes_from(("a", "x", "1")), {"smoothing": -1.0}, ConfigError, "smoothing a number from 0 on"),
        (votes_from(("a", "x", "1"), ("a", "x", "2")), {}, KeyViolation, "'x' votes twice on task 'a'"),
        (votes_from((None, "x", "1")), {}, LabelError, "1 votes say no task"),
        (pa.table({"task": ["a"], "anotator": ["x"], "label": ["1"]}), {}, BadColumn, "did you mean 'anotator'"),
        (votes_from(("a", "x", "1"), weight=[-1.0]), {"method": "weighted"}, LabelError, "weight of a vote"),
        (votes_from(("a", "x", "1")), {"truth": {"a": [1]}}, LabelError, "labels of the truth are list"),
        (votes_from(("a", "x", "1")), {"truth": {(1,): "1"}}, LabelError, "tasks of the truth are list"),
    ],
)  # fmt: skip
def test_what_cannot_be_counted_says_why(votes, options, error, match):
    """Unknown methods, missing weights, double votes and votes of nobody are named."""
    with pytest.raises(error, match=match):
        consensus(votes, **options)


@pytest.mark.parametrize("method", METHODS)
def test_votes_of_other_libraries_count_the_same(method):
    """Dictionaries, wide texts, views and pieces are the texts in them; a table that says no types is empty."""
    plain = votes_from(("a", "x", "2"), ("a", "y", "1"), ("b", "x", "1"), ("b", "y", "1"), ("b", "z", "2"))
    truth = pa.table({"task": ["b"], "label": ["1"]})
    expected = consensus(plain, method, truth=truth).table
    for kind in (pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string())):
        other = plain.cast(pa.schema([(name, kind) for name in plain.column_names]))
        wide = truth.cast(pa.schema([("task", kind), ("label", kind)]))
        pieces = pa.concat_tables([other.slice(0, 2), other.slice(2)])
        assert consensus(pieces, method, truth=wide).table == expected
    untyped = pa.table({"task": [], "annotator": [], "label": []})
    assert consensus(untyped, method, weights={}).table.num_rows == 0


def test_truth_of_tasks_nobody_voted_on_says_nothing():
    """Nor does a truth that nobody voted for stay unknown: it is the label."""
    found = consensus(votes_from(("a", "x", "1")), "dawid-skene", truth={"a": "never said", "z": "2"})
    assert found.table.select(["task", "label", "decided"]).to_pylist() == [
        {"task": "a", "label": "never said", "decided": "truth"}
    ]
    numbers = pa.table({"task": [1], "annotator": ["x"], "label": [1]})
    assert consensus(numbers, truth={}).table["decided"].to_pylist() == ["votes"]
