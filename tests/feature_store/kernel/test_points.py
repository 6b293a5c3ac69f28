"""Exact sums of one window at a time, against those of arrays (PIT 23)."""

from __future__ import annotations

import math
import struct
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from dataplat.feature_store.kernel.points import Point, points
from dataplat.feature_store.kernel.tiles import answers, tiles
from dataplat.feature_store.windows import Mean, Std, Sum

FEATURES: list[Any] = [kind("x", window=None) for kind in (Sum, Mean, Std)]
VALUES = st.one_of(
    st.none(), st.integers(-3, 3).map(float), st.floats(width=64), st.sampled_from([0.1, math.nan, math.inf, -math.inf])
)


def bits(value: float | None) -> Any:
    """Return the bits of a float; all NaN are one."""
    return None if value is None else "nan" if math.isnan(value) else struct.pack("<d", value)


def of(values: list[Any], kind: pa.DataType) -> tuple[Any, list[Point]]:
    """Return tiles of one event each, and their points."""
    key = np.zeros(len(values), np.uint64)
    kept = tiles(1, key, key, np.arange(len(values)), {"x": pa.array(values, kind)}, FEATURES)
    return kept, points(kept.moments["x"])


@settings(deadline=None)
@given(st.lists(VALUES, min_size=1, max_size=10))
def test_23_one_window_is_what_many_are(values: list[float | None]) -> None:
    """Sum, mean and standard deviation of added tiles, and of what is left of them, to the last bit."""
    kept, each = of(values, pa.float64())
    total = sum(each, Point())
    zero = np.zeros(1, np.uint64)
    expected = [column.to_pylist()[0] for column in answers(kept, zero, zero, np.array([len(values)]), FEATURES)]
    assert list(map(bits, (total.sum(), total.mean(), total.std()))) == list(map(bits, expected))
    rest = total - each[0]
    again = sum(each[1:], Point())
    assert list(map(bits, (rest.sum(), rest.mean(), rest.std()))) == list(
        map(bits, (again.sum(), again.mean(), again.std()))
    )


@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=6))
@settings(deadline=None)
def test_24_integers_are_integers(values: list[int]) -> None:
    """Beyond int64, too."""
    assert sum(of(values, pa.int64())[1], Point()).integer() == sum(values)


def test_23_nothing_is_null() -> None:
    """Of no values there is no sum, and of one no deviation."""
    assert (Point().sum(), Point().integer(), Point().mean(), Point().std()) == (None, None, None, None)
    assert sum(of([1.0], pa.float64())[1], Point()).std() is None
