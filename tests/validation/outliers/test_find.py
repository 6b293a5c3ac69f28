"""Outliers are found by three methods, each row with its place and its reason."""

import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from dataplat.errors import BadColumn, ConfigError
from dataplat.validation.outliers import find_outliers
from dataplat.validation.outliers._score import iqr, robust_z
from dataplat.validation.subject import TableSubject


def found(data, key=(), **options):
    """Return the outliers of columns as rows."""
    return find_outliers(TableSubject(pa.table(data), key=key), **options).to_pylist()


numbers = st.lists(
    st.one_of(st.integers(-5, 5).map(float), st.floats(-1e9, 1e9, allow_subnormal=False)), min_size=1, max_size=80
)


@settings(deadline=None)
@given(numbers)
def test_robust_z_is_from_median_and_median_distance(values):
    """Scores are those of SciPy's median_abs_deviation, in normal units, where it is not 0."""
    values = np.array(values)
    unit = float(stats.median_abs_deviation(values, scale="normal"))
    bounds = robust_z(values, 3.5)
    if unit:
        assert bounds.scores(values) == pytest.approx((values - np.median(values)) / unit, rel=1e-6, abs=1e-9)
    else:
        assert bounds.unit == pytest.approx(np.abs(values - np.median(values)).mean() * math.sqrt(math.pi / 2))


def test_a_unit_may_be_as_small_as_numbers_are():
    """What lies beyond the greatest number of units is infinitely far out, without a warning."""
    values = np.array([0.0, 5e-324, 1e9, -5e-324, 1e-323])
    assert robust_z(values, 3.5).scores(values)[2] == math.inf


@settings(deadline=None)
@given(numbers)
def test_the_fences_are_those_of_tukey(values):
    """A value is beyond the fence exactly where its score is beyond the bound."""
    values = np.array(values)
    lower, upper = np.quantile(values, [0.25, 0.75])
    bounds = iqr(values, 1.5)
    if upper > lower:
        width = upper - lower
        out = np.maximum(lower - values, values - upper) / width
        assert np.abs(bounds.scores(values)) == pytest.approx(np.maximum(out, 0), rel=1e-6, abs=1e-9)
        assert (bounds.low, bounds.high) == pytest.approx((lower - 1.5 * width, upper + 1.5 * width))


@pytest.mark.parametrize("method", ["robust_z", "iqr"])
def test_a_row_is_named_with_its_reason(method):
    """Place, key, column, value, score, and the bounds that the value is beyond; the farthest out comes first."""
    rows = found(
        {"id": [f"r{i}" for i in range(9)], "x": [1, 2, 3, 4, 5, 6, 7, 8, 1000], "y": [0.1] * 4 + [-5.0] + [0.2] * 4},
        key=("id",),
        method=method,
    )
    first, second = rows
    assert (first["row"], first["id"], first["column"], first["value"]) == (8, "r8", "x", 1000.0)
    assert (second["row"], second["id"], second["column"], second["value"]) == (4, "r4", "y", -5.0)
    assert first["score"] > 0 > second["score"]
    assert first["high"] < 1000
    assert second["low"] > -5
    assert abs(first["score"]) > abs(second["score"])


def test_missing_values_are_no_outliers_and_infinities_are():
    """NaN and null say nothing; an infinity is beyond every bound; a column of nothing has none."""
    rows = found({"x": [1.0, 2.0, 3.0, None, math.nan, -math.inf], "y": pa.array([None] * 6, pa.float64())})
    assert [(row["row"], row["value"]) for row in rows] == [(5, -math.inf)]


def test_a_constant_column_has_outliers_only_beside_it():
    """Where most values are equal the mean distance is the measure; where all are, there is none."""
    assert found({"x": [7] * 50}) == []
    assert [row["row"] for row in found({"x": [7] * 50 + [8]}, method="robust_z")] == [50]
    assert [row["row"] for row in found({"x": [0] * 50 + [900]}, method="iqr")] == [50]


def test_the_forest_sees_rows_that_no_column_shows():
    """A row off the line of two columns, usual in both, is found, always the same, and a missing value is none."""
    draw = np.random.default_rng(3)
    x = draw.normal(size=2000)
    y = x + draw.normal(scale=0.05, size=2000)
    x[77], y[77] = 2.5, -2.5
    y[100] = math.nan
    rows = found({"x": x, "y": y}, method="isolation_forest", bound=0.66)
    assert rows == found({"x": x, "y": y}, method="isolation_forest", bound=0.66)
    places = [row["row"] for row in rows]
    assert 77 in places
    assert 100 not in places
    assert all(row["score"] > 0.66 and row["low"] is None for row in rows)
    assert 77 not in {row["row"] for row in found({"x": x, "y": y})}, "neither column alone shows it"


def test_the_forest_blames_the_column_that_sets_the_row_apart():
    """Of four columns the one that is far out is named."""
    draw = np.random.default_rng(4)
    columns = {f"c{i}": draw.normal(size=300) for i in range(4)}
    columns["c2"][5] = 40.0
    (row, *_) = found(columns, method="isolation_forest", bound=0.5)
    assert (row["row"], row["column"], row["value"]) == (5, "c2", 40.0)


def test_infinities_and_huge_numbers_do_not_break_the_forest():
    """They are taken for numbers that are as far as scikit-learn can hold."""
    rows = found({"x": [*range(500), math.inf], "y": [*range(500), 1e300]}, method="isolation_forest", bound=0.5)
    assert 500 in {row["row"] for row in rows}


def test_the_key_is_no_number_and_a_limit_keeps_the_farthest():
    """Key columns are left out unless named, and only so many outliers are returned as were asked for."""
    columns = {"id": [*range(100), 10**9], "x": [*range(99), 5000, 9000]}
    rows = found(columns, key=("id",))
    assert [(row["column"], row["row"], row["id"]) for row in rows] == [("x", 100, str(10**9)), ("x", 99, "99")]
    assert [row["row"] for row in found(columns, key=("id",), limit=1)] == [100]
    assert {row["column"] for row in found(columns, key=("id",), columns=["id"])} == {"id"}


def test_bad_questions_are_refused():
    """No such method, no such column, one of text, a bound that is none."""
    with pytest.raises(ConfigError, match="robust_z"):
        found({"x": [1]}, method="robust")
    with pytest.raises(BadColumn, match="did you mean 'x'"):
        found({"x": [1]}, columns=["X"])
    with pytest.raises(BadColumn, match="string, not numbers"):
        found({"x": ["a"]}, columns=["x"])
    with pytest.raises(ConfigError, match="above 0"):
        found({"x": [1]}, bound=0)


def test_an_empty_table_has_none():
    """No rows, no columns of numbers: an empty table of the same form."""
    for columns in ({"x": pa.array([], pa.float64())}, {"t": ["a", "b"]}):
        for method in ("robust_z", "iqr", "isolation_forest"):
            table = find_outliers(TableSubject(pa.table(columns)), method=method)
            assert table.num_rows == 0
            assert table.column_names == ["part", "row", "column", "value", "score", "low", "high"]
