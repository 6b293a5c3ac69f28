"""Krippendorff's α at every level: against another implementation, against his own example, and at its edges."""

import math
import warnings

import krippendorff
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataplat.errors import ConfigError
from dataplat.labeling.agreement import Coincidences, _coincidences, krippendorff_alpha

LEVELS = ("nominal", "ordinal", "interval", "ratio")

PAPER = [
    [1, 2, 3, 3, 2, 1, 4, 1, 2, None, None, None],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, None, 3],
    [None, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, None],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, None],
]
"""Four observers and twelve units: example C of Computing Krippendorff's Alpha-Reliability (2011)."""


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


tables = st.integers(1, 5).flatmap(
    lambda units: st.lists(
        st.lists(st.one_of(st.none(), st.integers(0, 4).map(float)), min_size=units, max_size=units),
        min_size=2,
        max_size=5,
    )
)


@settings(deadline=None)
@given(tables, st.sampled_from(LEVELS))
def test_it_is_equal_to_another_implementation(ratings, level):
    """On any table with gaps it is what the package `krippendorff` gives, and undefined where that refuses."""
    array = np.array(ratings, np.float64)
    found, expected = krippendorff_alpha(ratings, level), theirs(array, level)
    assert found == pytest.approx(expected, abs=1e-12, nan_ok=True)
    assert krippendorff_alpha(array, level) == pytest.approx(found, abs=1e-15, nan_ok=True)
