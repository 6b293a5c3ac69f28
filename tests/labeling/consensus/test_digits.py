"""Of real pictures with a known truth, the consensus of unsteady people comes close to it."""

import numpy as np
import pyarrow as pa
import pytest
from sklearn.datasets import load_digits

from dataplat.labeling.consensus import consensus

ALIKE = [(1, 7), (3, 8), (4, 9), (5, 6)]


def person(right, alike):
    """Return the confusion (truth × said) of somebody who takes digits that look alike for each other, and slips."""
    confusion = np.full((10, 10), (1 - right - alike) / 9)
    np.fill_diagonal(confusion, right)
    for one, two in ALIKE:
        confusion[one, two] += alike
        confusion[two, one] += alike
    return confusion / confusion.sum(axis=1, keepdims=True)


PEOPLE = {
    "careful": person(0.97, 0.02),
    "steady": person(0.9, 0.05),
    "usual": person(0.85, 0.08),
    "hasty": person(0.75, 0.15),
    "confused": person(0.6, 0.35),
    "spammer": np.full((10, 10), 0.1),
    "lazy": np.eye(10)[np.zeros(10, np.int64)],  # says 0 whatever it is
}


@pytest.fixture(scope="module")
def digits():
    """Return votes of four of seven people on each of 1,797 digits, and the truth by task."""
    truth = load_digits().target
    draw = np.random.default_rng(1797)
    rows = []
    for number, digit in enumerate(truth):
        people = draw.choice(list(PEOPLE), 4, replace=False)
        said = [str(draw.choice(10, p=PEOPLE[who][digit])) for who in people]
        rows += [(f"digit-{number:04d}", str(who), label) for who, label in zip(people, said, strict=True)]
    table = pa.table([list(column) for column in zip(*rows, strict=True)], names=["task", "annotator", "label"])
    return table, {f"digit-{number:04d}": str(digit) for number, digit in enumerate(truth)}


def share_right(found, truth, among=None):
    """Return how many of the labels that were voted about are true."""
    rows = [
        row for row in found.table.to_pylist() if row["decided"] == "votes" and (among is None or row["task"] in among)
    ]
    return sum(row["label"] == truth[row["task"]] for row in rows) / len(rows)


def test_consensus_comes_close_to_the_truth(digits):
    """Majority is right of most; weights by gold tasks and Dawid and Skene's method of nearly all."""
    votes, truth = digits
    gold = {task: label for number, (task, label) in enumerate(truth.items()) if number % 10 == 0}
    single = np.mean([row["label"] == truth[row["task"]] for row in votes.to_pylist()])
    majority, weighted, model = (
        share_right(consensus(votes, method, truth=gold), truth) for method in ("majority", "weighted", "dawid-skene")
    )
    assert single < 0.65
    assert majority > 0.82
    assert weighted > 0.92
    assert model > 0.93
    assert share_right(consensus(votes, "dawid-skene"), truth) > 0.93


def test_spammers_are_found_out(digits):
    """The model knows who is careful and who is not, without any gold, and how people err."""
    votes, _ = digits
    found = consensus(votes, "dawid-skene")
    accuracy = dict(zip(*(found.annotators[name].to_pylist() for name in ("annotator", "accuracy")), strict=True))
    for name, confusion in PEOPLE.items():
        assert accuracy[name] == pytest.approx(np.diag(confusion).mean(), abs=0.06)
    confused = {
        (row["truth"], row["label"]): row["probability"]
        for row in found.confusion.to_pylist()
        if row["annotator"] == "confused"
    }
    for one, two in ALIKE:
        assert confused[str(one), str(two)] > 0.2
    weights = consensus(votes, "weighted", truth=dict(list(digits[1].items())[:180])).annotators
    order = [row["annotator"] for row in sorted(weights.to_pylist(), key=lambda row: -row["weight"])]
    assert order[0] == "careful"
    assert set(order[-2:]) == {"spammer", "lazy"}


def test_confidence_tells_right_from_wrong(digits):
    """What is said to be certain is nearly always right; among the uncertain are most of the errors."""
    votes, truth = digits
    rows = consensus(votes, "dawid-skene").table.to_pylist()
    sure = [row["label"] == truth[row["task"]] for row in rows if row["confidence"] > 0.95]
    unsure = [row["label"] == truth[row["task"]] for row in rows if row["confidence"] <= 0.95]
    assert len(sure) > 0.8 * len(rows)
    assert np.mean(sure) > 0.97
    assert np.mean(unsure) < 0.9
