"""Krippendorff's α at every level: against another implementation, against his own example, and at its edges."""

import math
import warnings

import krippendorff
import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataplat.errors import ConfigError
from dataplat.labeling.agreement import _coincidences, krippendorff_alpha

LEVELS = ("nominal", "ordinal", "interval", "ratio")

PAPER = [
    [1, 2, 3, 3, 2, 1, 4, 1, 2, None, None, None],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, None, 3],
    [None, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, None],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, None],
]
"""Four observers and twelve units: example C of Computing Krippendorff's Alpha-Reliability (2011)."""

WORDS = {1: "very low", 2: "low", 3: "mid", 4: "high", 5: "very high", None: None}


def theirs(ratings, level):
    """Return what the package `krippendorff` gives, NaN where it refuses."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        try:
            return float(krippendorff.alpha(ratings, level_of_measurement=level))
        except ValueError:
            return math.nan


@pytest.mark.parametrize(
    ("level", "expected"), [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849), ("ratio", 0.797)]
)
def test_the_paper_s_example_comes_out(level, expected):
    """Krippendorff's own example with gaps has his values at every level."""
    assert krippendorff_alpha(PAPER, level=level) == pytest.approx(expected, abs=5e-4)


cells = st.one_of(st.none(), st.integers(0, 4).map(float))
tables = st.tuples(st.integers(2, 5), st.integers(1, 6)).flatmap(
    lambda shape: st.lists(st.lists(cells, min_size=shape[1], max_size=shape[1]), min_size=shape[0], max_size=shape[0])
)


@settings(deadline=None)
@given(tables, st.sampled_from(LEVELS))
def test_it_is_equal_to_another_implementation(ratings, level):
    """On any table with gaps it is what the package `krippendorff` gives, and undefined where that refuses."""
    array = np.array(ratings, np.float64)
    found = krippendorff_alpha(ratings, level)
    assert found == pytest.approx(theirs(array, level), abs=1e-12, nan_ok=True)
    assert krippendorff_alpha(array, level) == pytest.approx(found, abs=1e-15, nan_ok=True)


@pytest.mark.parametrize("level", LEVELS)
def test_measurements_that_never_repeat_are_equal_too(level, monkeypatch):
    """Counting pair by pair, as for values of which each is there once, gives what counting by value does."""
    draw = np.random.default_rng(5)
    ratings = np.abs(draw.normal(10, 3, (4, 60)))
    ratings[draw.random(ratings.shape) < 0.3] = np.nan
    assert krippendorff_alpha(ratings, level) == pytest.approx(theirs(ratings, level), abs=1e-12)
    counted = krippendorff_alpha(np.rint(ratings), level)
    monkeypatch.setattr(_coincidences, "_DENSE", 0)
    assert krippendorff_alpha(np.rint(ratings), level) == pytest.approx(counted, abs=1e-15)


@settings(deadline=None)
@given(tables, st.sampled_from(LEVELS), st.randoms())
def test_the_order_of_people_and_units_does_not_matter(ratings, level, random):
    """Nobody's column is special: α is the same for any order of the rows and of the units."""
    found = krippendorff_alpha(ratings, level)
    places = random.sample(range(len(ratings[0])), len(ratings[0]))
    other = [[row[at] for at in places] for row in random.sample(ratings, len(ratings))]
    assert krippendorff_alpha(other, level) == pytest.approx(found, abs=1e-12, nan_ok=True)


@pytest.mark.parametrize(
    "form",
    [
        lambda rows: np.array(rows, object),
        lambda rows: np.array(rows, np.float64),
        lambda rows: [np.array(row, np.float64) for row in rows],
        lambda rows: tuple(map(tuple, rows)),
        lambda rows: [pa.array(row) for row in rows],
        lambda rows: [pl.Series(row) for row in rows],
        lambda rows: pl.DataFrame({str(number): list(unit) for number, unit in enumerate(zip(*rows, strict=True))}),
        lambda rows: np.ma.masked_invalid(np.array(rows, np.float64)),
        lambda rows: [[WORDS[value] for value in row] for row in rows],
        lambda rows: np.array([[WORDS[value] for value in row] for row in rows], object),
        lambda rows: np.array([[WORDS[value] or np.nan for value in row] for row in rows]),
        lambda rows: [[None if value is None else str(value) for value in row] for row in rows],
    ],
)
def test_ratings_come_in_many_forms(form):
    """Lists, tuples, arrays (masked, too), frames and texts with gaps give the same."""
    assert krippendorff_alpha(form(PAPER)) == pytest.approx(0.7434210526315789, abs=1e-12)


def test_ordinal_texts_follow_the_order_that_is_given():
    """A scale of words needs its order, words that are numbers have one, and others are refused."""
    words = [[WORDS[value] for value in row] for row in PAPER]
    expected = krippendorff_alpha(PAPER, "ordinal")
    assert krippendorff_alpha(words, "ordinal", categories=[*WORDS.values()][:5]) == pytest.approx(expected, abs=1e-15)
    figures = [[None if value is None else str(value + 8) for value in row] for row in PAPER]  # "9" comes before "10"
    assert krippendorff_alpha(figures, "ordinal") == pytest.approx(expected, abs=1e-15)
    with pytest.raises(ConfigError, match="'high' is none; say their order, categories="):
        krippendorff_alpha(words, "ordinal")
    with pytest.raises(ConfigError, match="'high' is none of the categories"):
        krippendorff_alpha(words, "ordinal", categories=["low", "mid"])
    with pytest.raises(ConfigError, match="ratings of an interval scale are numbers"):
        krippendorff_alpha(words, "interval")


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(
    "ratings",
    [
        [],
        [[], []],
        [[None, None], [None, None]],
        [[1, 2, 3]],
        [[1, None], [None, 2]],
        [[3, 3], [3, 3]],
        [[3, 3, 4], [3, 3, None]],
        [[0.1, 0.1], [0.1, 0.1], [0.1, None]],
    ],
)
def test_without_pairs_or_without_variation_it_is_not_defined(ratings, level):
    """No unit that two people rated, or one category alone: 0/0, and neither agreement nor the lack of it is claimed."""
    assert math.isnan(krippendorff_alpha(ratings, level))


def test_its_ends_are_perfect_agreement_and_systematic_disagreement():
    """Equal ratings give 1, and people who always differ less than chance would."""
    assert krippendorff_alpha([["a", "b", "c"], ["a", "b", "c"]]) == 1
    assert krippendorff_alpha([["a", "b"], ["b", "a"]]) == pytest.approx(-0.5)
    assert krippendorff_alpha([[True, False], [True, False]]) == 1


def test_large_numbers_of_whole_are_told_apart():
    """Ids beyond what floats hold are categories of their own."""
    one, other = 2**53, 2**53 + 1
    assert krippendorff_alpha([[one, other], [one, other]]) == 1
    assert krippendorff_alpha(np.array([[one, other], [other, one]])) == pytest.approx(-0.5)


@pytest.mark.parametrize(
    ("ratings", "level", "message"),
    [
        ([[1, 2], [1, 2, 3]], "nominal", "each rater has a place for every unit"),
        ("ab", "nominal", "one list for each rater"),
        (["ab", "ab"], "nominal", "one list for each rater"),
        ([1, 2], "nominal", "one list for each rater"),
        (np.zeros(3), "nominal", "table of two dimensions"),
        ([[1, "a"], [1, "a"]], "nominal", "all numbers or all texts"),
        ([[{}], [{}]], "nominal", "numbers or texts, not"),
        ([[1, 2], [1, 2]], "ordnal", "did you mean 'ordinal'"),
        ([[-1, 2], [1, 2]], "ratio", "begins at 0"),
        ([[math.inf, 2], [1, 2]], "interval", "infinite"),
    ],
)
def test_bad_ratings_are_said_to_be_so(ratings, level, message):
    """What is no table, no value or of no such level is refused, with the reason."""
    with pytest.raises(ConfigError, match=message):
        krippendorff_alpha(ratings, level)
