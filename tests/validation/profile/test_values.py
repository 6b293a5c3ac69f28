"""Distinct and frequent values: exact where they are few, else within what is said."""

from collections import Counter

import numpy as np
import pytest

from dataplat.validation.profile._values import VALUES


def zipf(seed, size, exponent=1.3):
    """Return integers of which some are frequent and many rare."""
    return np.random.default_rng(seed).zipf(exponent, size).clip(max=10**6)


def test_few_values_are_known_exactly(column_of):
    """However many parts, below 1,024 values all counts are exact."""
    parts = [np.random.default_rng(seed).integers(0, 1_000, 3_000) for seed in range(40)]
    column = column_of(*parts)
    assert column.frequent_error == 0
    assert dict(column.frequent()) == Counter(np.concatenate(parts).tolist())
    assert column.distinct == 1_000
    assert column.distinct_bounds == (1_000, 1_000)


def test_a_single_part_knows_its_distinct_values(column_of):
    """Sorting tells them all."""
    assert column_of(np.arange(50_000)).distinct == 50_000
    assert column_of([f"v{number}" for number in range(5_000)]).distinct == 5_000


@pytest.mark.parametrize("distinct", [1_500, 40_000, 300_000])
def test_the_estimate_is_as_good_as_it_says(column_of, distinct):
    """Of 40 columns all but a few are within the bounds for nineteen of twenty, and none is off by much."""
    within = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        parts = [rng.integers(0, distinct, 20_000) + seed * 10**7 for _ in range(3)]
        true = len(np.unique(np.concatenate(parts)))
        column = column_of(*parts)
        low, high = column.distinct_bounds
        within += low <= true <= high
        assert abs(column.distinct - true) < 0.16 * true
    assert within >= 33


def test_the_estimate_is_held_by_what_parts_know(column_of):
    """It is never below what one part has, nor above what all have together."""
    for seed in range(10):
        start = seed * 10**6
        column = column_of(np.arange(start, start + 2_000), np.arange(start, start + 10))
        assert 2_000 <= column.distinct_bounds[0] <= column.distinct <= column.distinct_bounds[1] <= 2_010


@pytest.mark.parametrize("sizes", [[5_000] * 12, [200] * 400, [60_000, 10, 2_000]], ids=["large", "small", "unequal"])
def test_counts_are_never_too_high_and_too_low_by_less_than_is_said(column_of, sizes):
    """Of every value, listed or not."""
    parts = [zipf(seed, size) for seed, size in enumerate(sizes)]
    true = Counter(np.concatenate(parts).tolist())
    column = column_of(*parts)
    told = dict(column.frequent())
    assert column.values.wide
    assert all(0 <= count - told.get(value, 0) <= column.frequent_error for value, count in true.items())
    assert set(told) <= set(true)
    ((first, _),) = true.most_common(1)
    assert column.frequent(1)[0][0] == first


def test_equal_counts_are_in_order(column_of):
    """What comes first among equals does not depend on chance."""
    assert column_of(["b", "a", "c", "a", "c"]).frequent() == (("a", 2), ("c", 2), ("b", 1))


def test_the_list_stays_bounded(column_of):
    """Values that are unique are not listed by large parts."""
    column = column_of(*(np.arange(start, start + 5_000) for start in range(0, 50_000, 5_000)))
    assert column.frequent() == ()
    assert len(column.values.hashes) == VALUES
