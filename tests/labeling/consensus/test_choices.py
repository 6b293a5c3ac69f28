"""Answers of several choices: each choice is agreed on by itself."""

import numpy as np
import pyarrow as pa
import pytest

from dataplat.errors import KeyViolation
from dataplat.labeling.consensus import consensus, consensus_of_choices

METHODS = ["majority", "weighted", "dawid-skene"]


def votes_from(*rows):
    """Return a table of votes of rows (task, annotator, label)."""
    return pa.table(
        [pa.array([row[n] for row in rows], pa.string()) for n in range(3)], names=["task", "annotator", "label"]
    )


def test_people_agree_on_a_choice_though_not_on_all():
    """Of a|b, a|c and a the label is a; as whole answers nothing is shared."""
    votes = votes_from(
        ("t", "x", "a|b"), ("t", "y", "a|c"), ("t", "z", "a"), ("u", "x", "b|c"), ("u", "y", "c|b"), ("u", "z", "a")
    )
    found = consensus_of_choices(votes)
    first, second = found.table.to_pylist()
    assert (first["label"], first["confidence"], first["votes"], first["tied"]) == ("a", pytest.approx(2 / 3), 3, False)
    assert (second["label"], second["confidence"]) == ("b|c", pytest.approx(2 / 3))
    assert found.labels.to_pylist() == ["a", "b", "c"]
    assert found.probabilities[0] == pytest.approx([1, 1 / 3, 1 / 3])
    assert [row["agreement"] for row in found.annotators.to_pylist()] == [0.5, 0.5, 0.5]
    assert consensus(votes).table["tied"].to_pylist()[0]


def test_where_no_choice_is_believed_the_nearest_is_taken():
    """The first of equal ones; a label is never empty."""
    found = consensus_of_choices(votes_from(("t", "x", "c"), ("t", "y", "b"), ("t", "z", "a")))
    assert found.table["label"].to_pylist() == ["a"]
    assert consensus_of_choices(votes_from(("t", "x", "b"), ("t", "y", "a|b"))).table.to_pylist()[0]["tied"]


@pytest.mark.parametrize("method", METHODS)
def test_truth_and_adjudicator_hold_for_every_choice(method):
    """What is known is the label whatever the votes, and a choice may itself contain the bar."""
    votes = votes_from(("t", "x", "a"), ("t", "y", "a"), ("t", "judge", r"b|c\|d"), ("u", "x", "a"), ("u", "y", "a|b"))
    options = {"weights": {"x": 1, "y": 1, "judge": 1}} if method == "weighted" else {}
    found = consensus_of_choices(votes, method, truth={"u": "b"}, adjudicator="judge", **options)
    assert found.table.select(["label", "decided", "confidence"]).to_pylist() == [
        {"label": r"b|c\|d", "decided": "adjudicator", "confidence": 1.0},
        {"label": "b", "decided": "truth", "confidence": 1.0},
    ]
    assert found.labels.to_pylist() == ["a", "b", "c|d"]
    assert consensus_of_choices(votes.slice(0, 0), method, **options).table.num_rows == 0


def test_votes_twice_are_refused():
    """As of whole answers."""
    with pytest.raises(KeyViolation, match="votes twice"):
        consensus_of_choices(votes_from(("t", "x", "a"), ("t", "x", "a")))


def test_who_overlooks_a_choice_is_understood():
    """By Dawid and Skene's method those who never tick one choice count for the others; the truth is nearly always found."""
    draw = np.random.default_rng(3)
    truth = {f"t{n:03d}": {choice for choice in "abc" if draw.random() < 0.4} or {"a"} for n in range(400)}
    rows = []
    for task, choices in truth.items():
        for who in range(6):
            blind = {"c"} if who < 3 else set()
            said = {each for each in "abc" if (each in choices) == (draw.random() < 0.9)} - blind
            rows.append((task, f"w{who}", "|".join(sorted(said)) or "a"))
    votes = votes_from(*rows)
    right = {}
    for method in ("majority", "dawid-skene"):
        found = consensus_of_choices(votes, method)
        right[method] = np.mean([set(row["label"].split("|")) == truth[row["task"]] for row in found.table.to_pylist()])
    assert right["dawid-skene"] > 0.85 > right["majority"] + 0.1
    seen = {
        (row["annotator"], row["choice"]): row["probability"]
        for row in found.confusion.to_pylist()
        if row["truth"] == row["label"] == "yes"
    }
    assert seen.get(("w0", "c"), 0) < 0.1
    assert seen["w5", "c"] > 0.8
    accuracy = dict(zip(*(found.annotators[name].to_pylist() for name in ("annotator", "accuracy")), strict=True))
    assert accuracy["w5"] > accuracy["w0"]
