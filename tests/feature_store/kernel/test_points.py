"""Exact sums of one window at a time, against those of arrays (PIT 23)."""

from __future__ import annotations

import math
import struct
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from dataplat.feature_store.kernel.lives import lives
from dataplat.feature_store.kernel.points import Point
from dataplat.feature_store.kernel.windows import windows
from dataplat.feature_store.online.values import point
from dataplat.feature_store.windows import Mean, Std, Sum

FEATURES: list[Any] = [kind("x", window=None) for kind in (Sum, Mean, Std)]
VALUES = st.one_of(
    st.none(), st.integers(-3, 3).map(float), st.floats(width=64), st.sampled_from([0.1, math.nan, math.inf, -math.inf])
)


def bits(value: float | None) -> Any:
    """Return the bits of a float; all NaN are one."""
    return None if value is None else "nan" if math.isnan(value) else struct.pack("<d", value)


def each(values: list[Any]) -> list[Point]:
    """Return the points of values, one by one."""
    return [point([value] if value is not None else [], squares=True) for value in values]


def many(values: list[Any], kind: pa.DataType) -> list[Any]:
    """Return sum, mean and deviation of all of them, as arrays have it."""
    at = np.arange(len(values))
    found = lives(np.array([0, len(values)]), at, at)
    asked = np.zeros(1, np.int64), np.array([len(values)])
    return [column.to_pylist()[0] for column in windows(found, {"x": pa.array(values, kind)}, *asked, FEATURES)]


@settings(deadline=None)
@given(st.lists(VALUES, min_size=1, max_size=10))
def test_23_one_window_is_what_many_are(values: list[float | None]) -> None:
    """Sum, mean and standard deviation of added points, and of what is left of them, to the last bit."""
    first, *others = each(values)
    rest = sum(others, Point())
    total = first + rest
    assert list(map(bits, (total.sum(), total.mean(), total.std()))) == list(map(bits, many(values, pa.float64())))
    left = total - first
    assert list(map(bits, (left.sum(), left.mean(), left.std()))) == list(map(bits, many(values[1:], pa.float64())))


@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=6))
@settings(deadline=None)
def test_24_integers_are_integers(values: list[int]) -> None:
    """Beyond int64, too."""
    assert sum(each(values), Point()).integer() == sum(values)


def test_23_nothing_is_null() -> None:
    """Of no values there is no sum, and of one no deviation."""
    assert (Point().sum(), Point().integer(), Point().mean(), Point().std()) == (None, None, None, None)
    assert sum(each([1.0]), Point()).std() is None
