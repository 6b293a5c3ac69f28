"""Gaps between times are found, whatever parts the times came in, to within two slots."""

from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest

from dataplat.validation.profile._times import LADDERS, MOST, Times

HOUR = 3_600_000_000


def times(values, unit="us"):
    """Return microseconds (or days) as an array of times."""
    return pa.array(values, pa.int64()).view(pa.timestamp("us")) if unit == "us" else pa.array(values, pa.date32())


def test_ladders_are_climbed_by_whole_steps():
    """Each width is a multiple of the one before, and the last leaves a handful of slots to all of int64."""
    for ladder in LADDERS.values():
        assert all(after % before == 0 for before, after in pairwise(ladder))
    assert 2**64 // LADDERS["us"][-1] < MOST
    assert 2**32 // LADDERS["d"][-1] < MOST


@pytest.mark.parametrize("parts", [1, 7])
def test_a_gap_is_found_between_parts(column_of, parts):
    """Rows every minute but for two stretches: both are told, within two widths of a slot."""
    minutes = np.arange(0, 20_000)
    kept = minutes[~((minutes > 5_000) & (minutes < 7_000)) & ~((minutes > 15_000) & (minutes < 15_900))] * 60_000_000
    shuffled = np.random.default_rng(3).permutation(kept)
    column = column_of(*map(times, np.array_split(shuffled, parts)))
    width = column.times.width
    found = column.times.gaps(2)
    true = [(5_000 * 60_000_000, 7_000 * 60_000_000), (15_000 * 60_000_000, 15_900 * 60_000_000)]
    for (start, stop), (after, before) in zip(found, true, strict=True):
        assert after <= start <= after + width
        assert before - width <= stop <= before
    assert len(column.times.slots) <= MOST


def test_counts_are_kept(column_of):
    """Every row is in a slot, nulls in none."""
    column = column_of(times([1, 1, None, 5 * HOUR]), times([2]))
    assert column.times.counts.sum() == 4
    assert column.times.width == 1
    assert column.times.gaps() == [(3, 5 * HOUR)]


def test_days_have_slots_of_days(column_of):
    """Dates count in days."""
    column = column_of(times([0, 1, 2, 10, 11, 400], "d"))
    assert column.times.gaps() == [(12, 400), (3, 10)]
    assert column.times.gap_lengths() == [(4, 1), (256, 1)]


@pytest.mark.parametrize("extremes", [[-(2**63), 2**63 - 1], [-(2**62), 0, 2**62]])
def test_the_ends_of_time_are_no_trouble(column_of, extremes):
    """Times that no calendar has are counted, too."""
    many = np.random.default_rng(0).integers(-(2**63), 2**63 - 1, 5_000)
    column = column_of(times(extremes), times(many))
    assert column.times.counts.sum() == 5_000 + len(extremes)
    assert column.low == min(extremes[0], int(many.min()))


def test_a_start_from_few_is_a_start_from_all():
    """The width is the least that does, also where a sample of times is looked at first."""
    ordered = np.unique(np.random.default_rng(5).integers(0, 10**7, 200_000))
    found = Times.of(ordered, np.ones(len(ordered), np.int64), "us")
    slots = [len(np.unique(ordered // width)) for width in LADDERS["us"]]
    assert found.rung == next(rung for rung, number in enumerate(slots) if number <= MOST)
