"""Each value lies in the bin in which it is counted."""

import datetime as dt
import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataplat.errors import SchemaError
from dataplat.validation.drift import slices_of

numbers = st.lists(
    st.one_of(st.none(), st.floats(-5, 5), st.just(float("nan")), st.integers(-3, 3).map(float)), max_size=60
)


def chunked(values, kind=None):
    """Return values as a column of several chunks."""
    array = pa.array(values, kind)
    return pa.chunked_array([array.slice(0, 7), array.slice(7)], array.type)


@settings(deadline=None)
@given(numbers, numbers)
def test_numbers_are_where_they_are_counted(before, after):
    """Counting the bins of the rows gives the bins' counts, with NaN and null in their own."""
    found = slices_of(chunked(before, pa.float64()), chunked(after, pa.float64()))
    assert np.bincount(found.of, minlength=len(found.labels)).tolist() == found.after.tolist()
    for value, place in zip(after, found.of, strict=True):
        assert (found.labels[place] == "(null)") == (value is None)
        assert (found.labels[place] == "(NaN)") == (value is not None and math.isnan(value))


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_texts_are_where_they_are_counted(seed):
    """Frequent values have bins of their own; of the others the reference tells the rare from the unseen."""
    draw = np.random.default_rng(seed)
    before = [str(value) if value < 7 else None for value in draw.integers(0, 8, 300)]
    after = [str(value) if value < 9 else None for value in draw.integers(3, 10, 300)] + ["once"]
    found = slices_of(chunked(before), chunked(after))
    labels = [found.labels[place] for place in found.of]
    assert all(label == value for label, value in zip(labels, after, strict=True) if value in set("3456"))
    assert {label for label, value in zip(labels, after, strict=True) if value in {"7", "8", "once"}} == {"(unseen)"}
    counted = np.bincount(found.of, minlength=len(found.labels))
    assert counted[:-3].tolist() == found.after[:-3].tolist()
    assert counted[-3:].sum() == found.after[-3:].sum()


def test_times_decimals_and_booleans_have_bins_too():
    """What is compared as numbers or as texts is binned so, whatever its type."""
    days = [dt.date(2026, 1, 1) + dt.timedelta(days=each) for each in range(40)]
    for values in (days, [True, False] * 20, [b"a", b"b"] * 20, [1, 2] * 20):
        found = slices_of(chunked(values), chunked(values[:30]))
        assert len(found.of) == 30
        assert np.bincount(found.of, minlength=len(found.labels)).tolist() == found.after.tolist()
    times = slices_of(chunked(days, pa.date32()), chunked([dt.datetime(2026, 3, 1, tzinfo=dt.UTC)]))
    assert found.labels[found.of[0]] != "(null)"
    assert times.of[0] == len(times.labels) - 3  # beyond the last edge: the last bin before NaN and null


def test_columns_of_two_kinds_have_no_bins_in_common():
    """Numbers and texts cannot be laid side by side."""
    with pytest.raises(SchemaError, match="cannot be compared"):
        slices_of(chunked([1.0]), chunked(["a"]))
