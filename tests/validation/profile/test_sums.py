"""Sums are exact, whatever the numbers and their order."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataplat.validation.profile._sums import SCALE, float_sums, int_sums

FINITE = st.floats(allow_nan=False, allow_infinity=False)


def plainly(values):
    """Return the sums of numbers and squares as fractions."""
    fractions = [Fraction(value) for value in values]
    return sum(fractions, Fraction(0)), sum((each * each for each in fractions), Fraction(0))


@settings(deadline=None)
@given(st.lists(FINITE, max_size=60))
def test_floats_are_summed_exactly(values):
    """From the least to the greatest float, in one list, nothing is rounded."""
    total, squares = float_sums(np.array(values, np.float64))
    assert (Fraction(total, 1 << SCALE), Fraction(squares, 1 << 2 * SCALE)) == plainly(values)


@pytest.mark.parametrize("spread", [0, 3, 20, 200])
def test_blocks_of_floats_are_summed_exactly(spread):
    """More than a block, of full mantissas and a spread of exponents, all of one sign: the largest sums there are."""
    rng = np.random.default_rng(spread)
    values = np.nextafter(2.0, 0) * 2.0 ** rng.uniform(-spread, spread, 40_000)
    total, squares = float_sums(values)
    assert (Fraction(total, 1 << SCALE), Fraction(squares, 1 << 2 * SCALE)) == plainly(values.tolist())


@settings(deadline=None)
@given(st.lists(st.integers(-(2**63), 2**63 - 1), max_size=60))
def test_integers_are_summed_exactly(values):
    """The whole range of int64 is."""
    assert int_sums(np.array(values, np.int64)) == (sum(values), sum(each * each for each in values))


@pytest.mark.parametrize("value", [2**63 - 1, -(2**63), 2**19 - 1, 2**38 - 1, -1, 0])
def test_blocks_of_integers_are_summed_exactly(value):
    """More than a block of one number, where slices are full, is summed exactly."""
    assert int_sums(np.full(40_000, value, np.int64)) == (40_000 * value, 40_000 * value**2)


def test_unsigned_and_wide_integers_are_summed_exactly():
    """So are uint64, and Python's own."""
    assert int_sums(np.array([2**64 - 1, 1], np.uint64)) == (2**64, (2**64 - 1) ** 2 + 1)
    wide = np.empty(2, object)
    wide[:] = [10**37, -(10**30)]
    assert int_sums(wide) == (10**37 - 10**30, 10**74 + 10**60)
