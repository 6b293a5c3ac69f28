"""κ of two and of many raters, against scikit-learn and the examples of the literature."""

import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from dataplat.errors import ConfigError
from dataplat.labeling.agreement import Contingency, cohen_kappa, fleiss_kappa, pairwise_kappa

FLEISS = [
    [0, 0, 0, 0, 14],
    [0, 2, 6, 4, 2],
    [0, 0, 3, 5, 6],
    [0, 3, 9, 2, 0],
    [2, 2, 8, 1, 1],
    [7, 7, 0, 0, 0],
    [3, 2, 6, 3, 0],
    [2, 5, 3, 2, 2],
    [6, 5, 2, 1, 0],
    [0, 2, 2, 3, 7],
]
"""Ten subjects, fourteen raters, five categories: the well-known example, whose κ is 0.210."""


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=40),
    st.sampled_from([None, "linear", "quadratic"]),
)
def test_cohen_is_that_of_scikit_learn(pairs, weights):
    """With any weights it is scikit-learn's, and undefined where that is."""
    one, other = zip(*pairs, strict=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = cohen_kappa_score(one, other, weights=weights)
    if len({*one, *other}) == 1:
        expected = math.nan
    assert cohen_kappa(one, other, weights) == pytest.approx(expected, abs=1e-12, nan_ok=True)


def test_categories_that_nobody_chose_are_steps_of_a_scale_that_is_given():
    """Weights go by the order of the categories, all of them where they are said."""
    one, other = ["low", "high", "low"], ["high", "high", "low"]
    scale = ["low", "mid", "high"]
    number = [scale.index(value) for value in one], [scale.index(value) for value in other]
    expected = cohen_kappa_score(*number, labels=[0, 1, 2], weights="quadratic")
    assert cohen_kappa(one, other, "quadratic", categories=scale) == pytest.approx(expected)
    with pytest.raises(ConfigError, match="none of the categories"):
        cohen_kappa(one, ["hihg", "high", "low"], categories=scale)


def test_units_of_one_rater_alone_are_left_out():
    """A gap on either side leaves the unit out."""
    assert cohen_kappa(["a", "b", None, "a"], ["a", "b", "b", None]) == 1
    found = Contingency.of(["a", "b", None], ["a", "a", "c"])
    assert found.categories == ("a", "b")
    assert found.counts.tolist() == [[1, 0], [1, 0]]
    assert found.agreement == 0.5


def test_without_variation_kappa_is_not_defined():
    """One category alone, or no unit: 0/0."""
    assert math.isnan(cohen_kappa(["a", "a"], ["a", "a"]))
    assert math.isnan(cohen_kappa([], []))
    assert math.isnan(cohen_kappa(["a", None], [None, "a"], "linear"))
    assert math.isnan(fleiss_kappa([["a", "a"], ["a", "a"]]))
    assert math.isnan(fleiss_kappa([["a", "b"]]))


def test_bad_calls_are_said_to_be_so():
    """Lists of two lengths and unknown weights are refused."""
    with pytest.raises(ConfigError, match="a place for every unit"):
        cohen_kappa(["a"], ["a", "b"])
    with pytest.raises(ConfigError, match="no weights 'cubic'"):
        cohen_kappa(["a"], ["a"], "cubic")


def test_fleiss_has_the_value_of_the_literature():
    """The example with fourteen raters comes to 0.210."""
    ratings = np.array([np.repeat(np.arange(5), counts) for counts in FLEISS]).T
    assert fleiss_kappa(ratings) == pytest.approx(0.20993070442195522, abs=1e-12)


@settings(deadline=None)
@given(st.lists(st.lists(st.sampled_from(["a", "b", "c", None]), min_size=3, max_size=3), min_size=1, max_size=15))
def test_fleiss_with_gaps_is_the_mean_of_the_units_own_agreement(units):
    """Units of differing numbers of ratings count alike, each with the share of its pairs that agree."""
    there = [[value for value in unit if value] for unit in units]
    there = [unit for unit in there if len(unit) > 1]
    everything = [value for unit in there for value in unit]
    if len(set(everything)) < 2:
        expected = math.nan
    else:
        agreed = np.mean([sum(v == w for v in u for w in u) - len(u) for u in there] / np.array([len(u) * (len(u) - 1) for u in there]))  # fmt: skip
        chance = sum((everything.count(value) / len(everything)) ** 2 for value in set(everything))
        expected = (agreed - chance) / (1 - chance)
    ratings = [list(column) for column in zip(*units, strict=True)]
    assert fleiss_kappa(ratings) == pytest.approx(expected, abs=1e-12, nan_ok=True)


def test_who_agrees_with_whom_is_a_table():
    """Every two people with tasks in common are there, those who agree least first."""
    votes = [
        ("t1", "ann", "x"), ("t1", "ben", "x"), ("t1", "cid", "y"),
        ("t2", "ann", "y"), ("t2", "ben", "y"), ("t2", "cid", "x"),
        ("t3", "ann", "x"), ("t3", "dee", None),
    ]  # fmt: skip
    found = pairwise_kappa(*zip(*votes, strict=True)).to_pylist()
    assert [(row["one"], row["other"], row["tasks"], row["agreement"], row["kappa"]) for row in found] == [
        ("ann", "cid", 2, 0.0, -1.0),
        ("ben", "cid", 2, 0.0, -1.0),
        ("ann", "ben", 2, 1.0, 1.0),
    ]
    assert pairwise_kappa([], [], []).num_rows == 0
    with pytest.raises(ConfigError, match="has not"):
        pairwise_kappa(["t"], [None], ["x"])
