"""The distributions that p-values come from are SciPy's."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special, stats

from dataplat.validation.drift import _distributions as own


@settings(deadline=None)
@given(st.floats(0, 12))
def test_kolmogorov_is_that_of_scipy(x):
    """Both series of Kolmogorov's limit agree with SciPy."""
    assert own.kolmogorov_sf(x) == pytest.approx(special.kolmogorov(x), rel=1e-12, abs=1e-15)


@settings(deadline=None)
@given(st.floats(0, 20_000), st.integers(1, 5000))
def test_chi_square_is_that_of_scipy(x, df):
    """Series and continued fraction agree with SciPy, far into the tail."""
    assert own.chi2_sf(x, df) == pytest.approx(stats.chi2.sf(x, df), rel=1e-9, abs=1e-13)


@settings(deadline=None)
@given(st.floats(1e-12, 0.999), st.integers(1, 2000))
def test_the_inverses_lead_back(p, df):
    """A value that is exceeded with chance p is exceeded with chance p."""
    assert own.chi2_sf(own.chi2_isf(p, df), df) == pytest.approx(p, rel=1e-6)
    assert own.kolmogorov_sf(own.kolmogorov_isf(p)) == pytest.approx(p, rel=1e-6)
    assert own.normal_isf(p) == pytest.approx(stats.norm.isf(p), abs=1e-8)


@pytest.mark.parametrize("df", [1, 9, 60, 255])
@pytest.mark.parametrize("more", [0.5, 2, 10, 1000])
def test_the_bounds_of_noncentrality_hold(df, more):
    """SciPy's noncentral chi-square is at the level where the bounds say it is."""
    x = df + more * np.sqrt(2 * df)
    low, high = own.noncentrality(x, df, 0.05)
    assert stats.ncx2.cdf(x, df, high) == pytest.approx(0.025, rel=0.1)
    if low:
        assert stats.ncx2.sf(x, df, low) == pytest.approx(0.025, rel=0.1)
    else:
        assert stats.chi2.sf(x, df) >= 0.025


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), max_size=12))
def test_holm_is_what_its_paper_says(p_values):
    """Rejecting at alpha by adjusted values is rejecting step by step by raw ones."""
    adjusted = own.holm(p_values)
    for alpha in (0.01, 0.05, 0.3):
        rejected = set()
        for rank, number in enumerate(sorted(range(len(p_values)), key=lambda each: p_values[each])):
            if (len(p_values) - rank) * p_values[number] > alpha:
                break
            rejected.add(number)
        assert rejected == {number for number, p in enumerate(adjusted) if p <= alpha}
