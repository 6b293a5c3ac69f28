"""Labels that were made wrong on purpose are found, each with its row, the better label, and how sure that is."""

import sys

import numpy as np
import pyarrow as pa
import pytest
from sklearn.datasets import load_digits
from sklearn.model_selection import cross_val_predict
from sklearn.neighbors import KNeighborsClassifier

from dataplat.errors import BadColumn, ConfigError, KeyViolation, LabelError, MissingExtra
from dataplat.labeling.errors_in import errors_in

DIGITS = [str(digit) for digit in range(10)]
COLOURS = pa.table(
    {
        "id": list(range(40)),
        "label": ["red" if n % 2 else "blue" for n in range(40)],
        "red": [0.9 if n % 2 or n == 8 else 0.1 for n in range(40)],
        "blue": [0.1 if n % 2 or n == 8 else 0.9 for n in range(40)],
    }
)


@pytest.fixture(scope="module")
def digits():
    """Return digits of which 90 have a wrong label, and what a model that has not seen each label says of it."""
    pictures, truth = load_digits(return_X_y=True)
    draw = np.random.default_rng(0)
    wrong = draw.choice(len(truth), 90, replace=False)
    given = truth.copy()
    given[wrong] = (given[wrong] + draw.integers(1, 10, 90)) % 10
    chances = cross_val_predict(KNeighborsClassifier(10), pictures, given, cv=5, method="predict_proba")
    names = [f"d{n:04d}" for n in range(len(truth))]
    labels = pa.table({"name": names, "label": [str(each) for each in given]})
    predictions = pa.table([names, *chances.T], names=["name", *DIGITS])
    return labels, predictions.take(pa.array(draw.permutation(len(names)))), {names[n]: str(truth[n]) for n in wrong}


def test_wrong_digits_are_found(digits):
    """Of 90 labels made wrong most are found, few others are, and what is suggested is the truth."""
    labels, predictions, wrong = digits
    found = errors_in(labels, predictions=predictions, key="name")
    rows = found.table.to_pylist()
    hits = [row for row in rows if row["name"] in wrong]
    assert len(hits) > 65
    assert len(rows) < 120
    assert np.mean([row["suggested"] == wrong[row["name"]] for row in hits]) > 0.95
    assert [row["quality"] for row in rows] == sorted(row["quality"] for row in rows)
    assert all(row["given"] != row["suggested"] and row["probability"] > row["quality"] for row in rows)
    assert (found.judged, found.unjudged, found.too_few) == (1797, 0, ())


def test_probabilities_may_lie_beside_the_labels():
    """Without a key the row's number names it; columns may be given by label."""
    found = errors_in(COLOURS)
    assert found.table.to_pylist() == [
        {
            "row": 8,
            "given": "blue",
            "suggested": "red",
            "quality": pytest.approx(0.1),
            "probability": pytest.approx(0.9),
        }
    ]
    assert str(found) == "1 of 40 labels are in doubt (2.5%)"
    renamed = COLOURS.rename_columns(["id", "label", "p1", "p2"])
    assert errors_in(renamed, probabilities={"red": "p1", "blue": "p2"}, key="id").table["id"].to_pylist() == [8]
    swapped = errors_in(COLOURS, probabilities=["blue", "red"])
    assert swapped.table == found.table


def test_rows_without_label_or_prediction_are_not_judged():
    """They are counted, never guessed."""
    labels = COLOURS.select(["id", "label"]).set_column(1, "label", pa.array([None, *COLOURS["label"].to_pylist()[1:]]))
    predictions = COLOURS.select(["id", "red", "blue"]).slice(0, 30)
    found = errors_in(labels, predictions=predictions, key=["id"])
    assert (found.judged, found.unjudged) == (29, 11)
    assert found.table["id"].to_pylist() == [8]
    assert "11 rows without label or prediction" in found.summary
    assert errors_in(COLOURS.slice(0, 0), probabilities=["red", "blue"]).table.num_rows == 0


def test_labels_with_few_examples_are_said():
    """Where a label hardly occurs not all that is wrong with it can be found, and the result says so."""
    few = COLOURS.filter(pa.array([n % 2 == 1 or n == 8 for n in range(40)]))
    assert errors_in(few, probabilities=["red", "blue"]).too_few == ("blue",)


@pytest.mark.parametrize(
    ("change", "options", "error", "match"),
    [
        ({}, {"label": "labl"}, BadColumn, "did you mean 'label'"),
        ({}, {"probabilities": ["red", "bleu"]}, BadColumn, "did you mean 'blue'"),
        ({}, {"probabilities": ["red"]}, ConfigError, "one label only"),
        ({"label": ["x"] * 40}, {}, ConfigError, "no columns are called as the labels are"),
        ({"label": ["red"] * 39 + ["rod"]}, {"probabilities": ["red", "blue"]}, LabelError, "row 39: label 'rod' has no probability; did you mean 'red'"),
        ({"red": [0.9] * 39 + [-0.1]}, {}, LabelError, "row 0: 0.9, 0.9 are no probabilities"),
        ({}, {"predictions": COLOURS}, ConfigError, "by key="),
        ({}, {"predictions": pa.concat_tables([COLOURS, COLOURS]), "key": "id"}, KeyViolation, "two predictions have the same id"),
        ({}, {"predictions": COLOURS, "key": "it"}, BadColumn, "'it'"),
    ],
)  # fmt: skip
def test_what_cannot_be_judged_says_why(change, options, error, match):
    """Columns, labels and numbers that do not fit are named with their row."""
    data = COLOURS
    for name, values in change.items():
        data = data.set_column(data.column_names.index(name), name, pa.array(values))
    with pytest.raises(error, match=match):
        errors_in(data, **options)


def test_a_missing_cleanlab_names_the_extra(monkeypatch):
    """What to install is said."""
    monkeypatch.setitem(sys.modules, "cleanlab.filter", None)
    with pytest.raises(MissingExtra, match=r"dataplat\[label-errors\]"):
        errors_in(COLOURS)
