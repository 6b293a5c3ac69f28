"""Intervals of agreement hold what they should, as often as they say."""

import math

import numpy as np
import pytest

from dataplat.errors import ConfigError
from dataplat.labeling.agreement import (
    alpha_interval,
    cohen_interval,
    cohen_kappa,
    fleiss_interval,
    fleiss_kappa,
    krippendorff_alpha,
)

LEVELS = ("nominal", "ordinal", "interval", "ratio")


def ratings(seed, units=150, raters=3, right=0.7):
    """Return raters x units who see the truth so often and guess otherwise, with gaps."""
    draw = np.random.default_rng(seed)
    truth = draw.integers(1, 4, units)
    said = np.where(draw.random((raters, units)) < right, truth, draw.integers(1, 4, (raters, units))).astype(float)
    said[draw.random(said.shape) < 0.1] = np.nan
    return said


@pytest.mark.parametrize("level", LEVELS)
def test_the_interval_is_that_of_drawing_units_one_by_one(level):
    """Drawing how many units there are of each kind is drawing units: the quantiles are those of the plain way."""
    said = ratings(1)
    found = alpha_interval(said, level, rounds=500, seed=3)
    assert found.value == pytest.approx(krippendorff_alpha(said, level), abs=1e-12)
    pairable = said[:, (~np.isnan(said)).sum(axis=0) > 1]
    draw = np.random.default_rng(8)
    plain = [
        krippendorff_alpha(pairable[:, draw.integers(0, pairable.shape[1], pairable.shape[1])], level)
        for _ in range(500)
    ]
    assert (found.low, found.high) == pytest.approx(np.quantile(plain, [0.025, 0.975]), abs=0.03)
    assert (found.rounds, found.confidence) == (500, 0.95)


def test_intervals_cover_as_often_as_they_say():
    """Of 60 data sets with known agreement, nine tenths of the 90 % intervals hold it, within three sigma of chance."""
    truth = krippendorff_alpha(ratings(0, units=200_000))
    held = 0
    for seed in range(1, 61):
        found = alpha_interval(ratings(seed), rounds=100, confidence=0.9, seed=seed)
        held += found.low <= truth <= found.high
    sigma = math.sqrt(60 * 0.9 * 0.1)
    assert abs(held - 54) < 3 * sigma + 60 * 0.03  # the percentile interval of 150 units is itself a little short


def test_every_kappa_has_its_interval():
    """Fleiss' and Cohen's hold their numbers, and more confidence is wider."""
    said = ratings(5)
    fleiss = fleiss_interval(said, rounds=200)
    assert fleiss.value == pytest.approx(fleiss_kappa(said))
    assert fleiss.low < fleiss.value < fleiss.high
    cohen = cohen_interval(said[0], said[1], "quadratic", rounds=200)
    assert cohen.value == pytest.approx(cohen_kappa(said[0], said[1], "quadratic"))
    assert cohen.low < cohen.value < cohen.high
    wide = cohen_interval(said[0], said[1], "quadratic", rounds=200, confidence=0.99)
    assert wide.low < cohen.low < cohen.high < wide.high
    assert str(cohen).startswith(f"{cohen.value:.3f} (")


def test_the_same_seed_gives_the_same_interval():
    """Nothing but the seed is left to chance, and another one gives another interval."""
    said = ratings(6)
    assert alpha_interval(said, rounds=50, seed=1) == alpha_interval(said, rounds=50, seed=1)
    assert alpha_interval(said, rounds=50, seed=1) != alpha_interval(said, rounds=50, seed=2)


def test_draws_without_variation_are_left_out_and_counted():
    """Where one category is nearly all there is, some draws have no other, and the interval says how many had."""
    said = [["a"] * 20 + ["b"], ["a"] * 20 + ["b"]]
    found = alpha_interval(said, rounds=200)
    assert found.value == 1
    assert 0 < found.rounds < 200


def test_what_is_not_defined_has_no_interval():
    """No pairable unit, or one category: NaN throughout."""
    for said in ([[1, None], [None, 1]], [[1, 1], [1, 1]], [[], []]):
        found = alpha_interval(said)
        assert math.isnan(found.value)
        assert math.isnan(found.low)
        assert found.rounds == 0


def test_many_distinct_values_are_drawn_as_well():
    """Measurements that never repeat make each unit a kind of its own."""
    draw = np.random.default_rng(2)
    truth = draw.normal(size=80)
    said = truth + draw.normal(scale=0.2, size=(7, 80))
    found = alpha_interval(said, "interval", rounds=100)
    assert found.value == pytest.approx(krippendorff_alpha(said, "interval"))
    assert found.low < found.value < found.high


@pytest.mark.parametrize("options", [{"rounds": 0}, {"confidence": 1.0}, {"confidence": 0}])
def test_bad_options_are_refused(options):
    """There are rounds, and the confidence is a share."""
    with pytest.raises(ConfigError, match="intervals need rounds"):
        alpha_interval([[1, 2], [1, 2]], **options)
