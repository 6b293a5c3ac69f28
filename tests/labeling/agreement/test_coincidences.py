"""Coincidences add up: agreement after every pull is that of all answers together."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataplat.errors import ConfigError, LabelError
from dataplat.labeling.agreement import Coincidences, fleiss_kappa, krippendorff_alpha

units = st.lists(st.lists(st.sampled_from(["a", "b", "c", "d", None]), min_size=4, max_size=4), max_size=12)


def table(rows):
    """Return units as raters x units."""
    return [list(column) for column in zip(*rows, strict=True)] if rows else [[]] * 4


@settings(deadline=None)
@given(units, units)
def test_parts_add_up_to_the_whole_and_are_taken_away_again(one, other):
    """Sums of units are those of all of them, exactly, and what is taken away leaves what was there."""
    first, second = Coincidences.of(table(one)), Coincidences.of(table(other))
    whole = Coincidences.of(table(one + other))
    pairable = Coincidences.of_votes([], [])
    assert first + second == second + first == whole + pairable
    assert (first + second) - second == first + pairable
    assert (first + second).alpha() == pytest.approx(krippendorff_alpha(table(one + other)), nan_ok=True, abs=1e-15)
    assert (first + second).fleiss() == pytest.approx(fleiss_kappa(table(one + other)), nan_ok=True, abs=1e-15)


@settings(deadline=None)
@given(units)
def test_votes_one_by_one_are_the_same_as_a_table(rows):
    """Answers in a row, each with its task, in any order, are counted as raters x units are."""
    votes = [(f"t{number}", value) for number, row in enumerate(rows) for value in row]
    votes.sort(key=lambda vote: hash(vote) % 7)
    found = Coincidences.of_votes([task for task, _ in votes], [value for _, value in votes])
    assert found + Coincidences.of([]) == Coincidences.of(table(rows)) + Coincidences.of([])


@settings(deadline=None)
@given(units)
def test_it_is_kept_as_plain_values(rows):
    """It comes back from JSON as it was."""
    found = Coincidences.of(table(rows))
    assert Coincidences.from_dict(json.loads(json.dumps(found.to_dict()))) == found


def test_a_changed_answer_is_the_old_unit_taken_away_and_the_new_one_added():
    """A pull in which one task's answers changed costs that task alone, and a new category is no trouble."""
    before = Coincidences.of([[1, 2, 3, 3], [1, 2, 3, 4]])
    after = before - Coincidences.of([[3], [4]]) + Coincidences.of([[7], [7]])
    assert after == Coincidences.of([[1, 2, 3, 7], [1, 2, 3, 7]])
    assert after.values == (1, 2, 3, 7)
    assert after.alpha("interval") == 1


def test_it_says_how_much_it_counted():
    """Units, ratings and frequencies are those of pairable units alone."""
    found = Coincidences.of([["a", "a", "b"], ["a", "b", None], ["a", None, None]])
    assert (found.units, found.ratings) == (2, 5)
    assert dict(zip(found.values, found.frequencies.tolist(), strict=True)) == {"a": 4, "b": 1}


def test_what_was_not_there_is_not_taken_away():
    """Units that were never added are refused, as are numbers among texts."""
    one = Coincidences.of([["a", "b"], ["a", "b"]])
    with pytest.raises(LabelError, match="had not been added"):
        one - Coincidences.of([["a", "b"], ["b", "b"]])
    with pytest.raises(ConfigError, match="numbers here and texts there"):
        one + Coincidences.of([[1], [1]])
    with pytest.raises(ConfigError, match="every vote has a unit"):
        Coincidences.of_votes(["t"], ["a", "b"])
    with pytest.raises(ConfigError, match="one has none"):
        Coincidences.of_votes(["t", None], ["a", "b"])


def test_nothing_is_no_agreement():
    """Without any unit nothing is defined."""
    empty = Coincidences.of([])
    assert (empty.units, empty.ratings, empty.values) == (0, 0, ())
    assert math.isnan(empty.alpha())
    assert math.isnan(empty.fleiss())


def test_many_pulls_do_not_drift():
    """Sums are whole numbers: after many additions and removals α is bit for bit that of what is there."""
    draw = np.random.default_rng(2)
    kept = Coincidences.of(draw.integers(0, 4, (3, 40)))
    found = kept
    batches = [Coincidences.of(draw.integers(0, 6, (number % 4 + 2, 25))) for number in range(40)]
    for batch in batches:
        found += batch
    for batch in reversed(batches):
        found -= batch
    assert found == kept
    assert found.alpha("ordinal") == kept.alpha("ordinal")
