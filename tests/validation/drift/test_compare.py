"""Verdicts: an interval against the least effect that counts, all columns of a report taken together."""

import math

import numpy as np
import pyarrow as pa
import pytest

from dataplat.errors import BadColumn, ConfigError
from dataplat.validation.drift import Pair, Question, TableColumns, Usual, compare, drift_between
from dataplat.validation.drift._compare import _verdict
from dataplat.validation.drift._measures import METHODS, Interval


def sides(before, after):
    """Return two tables as columns."""
    return TableColumns.of(pa.table(before)), TableColumns.of(pa.table(after))


def verdicts(report):
    """Return the verdict of each column."""
    return {column.column: column.verdict for column in report.columns}


def normal(rows, shift=0.0, seed=1):
    """Return normal numbers."""
    return np.random.default_rng(seed).normal(shift, size=rows)


@pytest.mark.parametrize(
    ("interval", "p", "expected"),
    [
        (Interval(0.021, 0.5), 0.04, "drift"),
        (Interval(0.021, 0.5), 0.06, "undecided"),
        (Interval(0.02, 0.5), 0.0, "undecided"),
        (Interval(0.0, 0.021), 0.0, "undecided"),
        (Interval(0.0, 0.02), 0.0, "none"),
        (Interval(0.01, 0.019), 0.0, "none"),
    ],
)
def test_the_interval_decides(interval, p, expected):
    """Above what counts is drift, below it none, across it undecided; a p-value beyond alpha is no drift."""
    assert _verdict(interval, p, 0.02, 0.05) == expected


def test_many_rows_make_no_drift_of_nothing_and_few_rows_no_certainty():
    """The same small shift is significant and no drift with many rows, and undecided with few."""
    found = drift_between(*sides({"x": normal(400_000)}, {"x": normal(400_000, 0.02, seed=2)}))
    assert verdicts(found) == {"x": "none"}
    assert found.columns[0].p_value < 1e-6
    few = drift_between(*sides({"x": normal(300)}, {"x": normal(300, 0.02, seed=2)}))
    assert verdicts(few) == {"x": "undecided"}
    assert found.ok
    assert few.ok


def test_every_kind_of_column_has_its_statistic():
    """KS for numbers and times, chi-square for texts, booleans and bytes; PSI beside both; nested columns are left out."""
    table = {
        "float": [1.5, 2.5],
        "decimal": pa.array([1, 2], pa.decimal128(5, 2)),
        "date": pa.array([1, 2], pa.date32()),
        "instant": pa.array([1, 2], pa.timestamp("ns", "UTC")),
        "clock": pa.array([1, 2], pa.time32("ms")),
        "took": pa.array([1, 2], pa.duration("s")),
        "text": ["a", "b"],
        "dictionary": pa.array(["a", "b"]).dictionary_encode(),
        "flag": [True, None],
        "bytes": [b"\x00", b"\xff"],
        "list": [[1], [2]],
        "nothing": pa.array([None, None]),
    }
    found = drift_between(*sides(table, table))
    methods = {column.column: column.method for column in found.columns}
    assert methods.pop("nothing") == "chi2"
    assert methods == dict.fromkeys(["float", "decimal", "date", "instant", "clock", "took"], "ks") | dict.fromkeys(
        ["text", "dictionary", "flag", "bytes"], "chi2"
    )
    assert all(column.psi == 0 and column.statistic == 0 for column in found.columns)
    assert set(verdicts(found).values()) == {"undecided"}, "two rows tell nothing"


def test_times_of_other_units_are_the_same_times():
    """A timestamp in seconds and one in nanoseconds are compared as instants."""
    one = pa.array(range(1000), pa.timestamp("s", "UTC"))
    found = drift_between(*sides({"t": one}, {"t": one.cast(pa.timestamp("ns", "Europe/Paris"))}))
    assert found.columns[0].statistic == 0


def test_nothing_compared_is_not_ok():
    """Where no column has a distribution nothing was compared, which is no pass."""
    found = drift_between(*sides({"l": [[1]]}, {"l": [[1]]}))
    assert found.columns == ()
    assert not found.ok
    assert found.summary == "before → after: no column to compare"


def test_a_date_is_an_instant_and_nulls_are_of_any_kind():
    """Dates that came back as timestamps are the same; a column of nulls without a type is one of missing values."""
    days = pa.array(range(9000), pa.date32())
    found = drift_between(
        *sides({"t": days, "x": normal(9000)}, {"t": days.cast(pa.timestamp("ns")), "x": pa.nulls(9000)})
    )
    assert verdicts(found) == {"t": "undecided", "x": "drift"}
    assert [column.statistic for column in found.columns] == [0, 1]
    found = drift_between(*sides({"x": pa.nulls(9000)}, {"x": ["a"] * 9000}))
    assert verdicts(found) == {"x": "drift"}


def huge():
    """Return numbers whose differences are beyond all floats, infinities, and the least there are."""
    return {"huge": [1e308, -1e308] * 50, "infinite": [np.inf, -np.inf] * 50, "least": [5e-324, 0.0] * 50}


@pytest.mark.parametrize("method", METHODS)
def test_numbers_at_the_edge_of_floats_are_compared(method):
    """Nothing overflows: like sides are alike, and a move from one end to the other is drift."""
    table = huge() | {"moved": [-1e308] * 50 + [-0.9e308] * 50, "gone": [1.0] * 100}
    after = table | {"moved": [1e308] * 50 + [0.9e308] * 50, "gone": [np.inf] * 100}
    found = drift_between(*sides(table, after), Question(method=method))
    assert verdicts(found) == dict.fromkeys(["huge", "infinite", "least"], "undecided") | {
        "moved": "drift",
        "gone": "drift",
    }
    assert found.to_html().startswith("<!doctype html>")


def test_a_column_that_is_gone_or_of_another_kind_is_not_comparable():
    """That is no pass; a new column is named and no failure."""
    found = drift_between(*sides({"x": [1], "y": ["a"], "z": [1]}, {"x": ["1"], "z": [1], "new": [1]}))
    assert verdicts(found) == {"x": "not comparable", "y": "not comparable", "z": "undecided"}
    assert {column.column: column.detail for column in found.columns if column.detail} == {
        "x": "it was number and is text",
        "y": "there is no such column after",
    }
    assert not found.ok
    assert found.new_columns == ("new",)


def test_no_rows_are_undecided():
    """An empty side says nothing."""
    empty = pa.array([], pa.float64())
    assert verdicts(drift_between(*sides({"x": empty}, {"x": [1.0] * 3}))) == {"x": "undecided"}
    assert verdicts(drift_between(*sides({"x": [1.0] * 3}, {"x": empty}))) == {"x": "undecided"}
    assert verdicts(drift_between(*sides({"x": empty}, {"x": empty}))) == {"x": "undecided"}


@pytest.mark.parametrize("method", [None, "psi", "js", "hellinger", "wasserstein"])
def test_values_that_went_missing_are_drift(method):
    """Whatever the statistic, a column of which half the values are gone drifts; one of nulls only has not changed."""
    rows = normal(20_000)
    gone = pa.array(rows, mask=np.arange(20_000) % 2 == 0)
    nulls = pa.nulls(20_000, pa.float64())
    found = drift_between(
        *sides({"x": rows, "nan": rows, "all": rows, "still": nulls},
               {"x": gone, "nan": np.where(np.arange(20_000) % 2, rows, np.nan), "all": nulls, "still": nulls}),
        Question(method=method),
    )  # fmt: skip
    assert {column.verdict for column in found.columns[:3]} == {"drift"}
    assert found.columns[3].verdict != "drift"


def test_a_method_by_column_and_one_that_does_not_fit():
    """A statistic of numbers leaves texts to chi-square."""
    tables = sides({"x": [1.0, 2.0], "y": [1, 2], "t": ["a", "b"]}, {"x": [1.0, 2.0], "y": [1, 2], "t": ["a", "b"]})
    found = drift_between(*tables, Question(method={"y": "js"}))
    assert [column.method for column in found.columns] == ["ks", "js", "chi2"]
    found = drift_between(*tables, Question(method="wasserstein"))
    assert [column.method for column in found.columns] == ["wasserstein", "wasserstein", "chi2"]


def test_bad_questions_are_refused():
    """No such method, column or chance; a least effect below 0; a nested column by name."""
    tables = sides({"x": [1], "l": [[1]]}, {"x": [1], "l": [[1]]})
    with pytest.raises(ConfigError, match="did you mean 'wasserstein'"):
        Question(method="waserstein")
    with pytest.raises(ConfigError, match="between 0 and 1"):
        Question(alpha=0.0)
    for least in (-1.0, math.nan, math.inf):
        with pytest.raises(ConfigError, match="least effect"):
            Question(min_effect=least)
    with pytest.raises(BadColumn, match="'z'"):
        drift_between(*tables, Question(columns=["z"]))
    with pytest.raises(BadColumn, match="'l'"):
        drift_between(*tables, Question(columns=["l"]))


def test_more_columns_make_intervals_wider():
    """All columns and slices of a report are one family: intervals and adjusted p-values count them all."""
    one = drift_between(*sides({"x": normal(500)}, {"x": normal(500, 0.2, 2)}))
    pairs = [Pair(*sides({"x": normal(500)}, {"x": normal(500, 0.2, 2)}), slice=str(number)) for number in range(20)]
    many = compare(pairs, Question(), usual={}, titles=("a", "b"))
    assert many.columns[0].p_value == one.columns[0].p_value
    assert many.columns[0].p_adjusted == pytest.approx(20 * one.columns[0].p_value)
    assert many.columns[0].low < one.columns[0].low
    assert many.columns[0].high > one.columns[0].high
    assert [column.slice for column in many.columns] == [str(number) for number in range(20)]


def test_what_is_usual_widens_only_its_own_statistic():
    """What was measured by another statistic is no measure here."""
    tables = sides({"x": normal(5000)}, {"x": normal(5000, 0.15, 2)})
    plain = drift_between(*tables)
    wide = drift_between(*tables, usual={"x": Usual("ks", 5.0, 30)})
    assert verdicts(plain) == {"x": "drift"}
    assert verdicts(wide) == {"x": "undecided"}
    assert (plain.columns[0].history, wide.columns[0].history) == (0, 30)
    assert drift_between(*tables, usual={"x": Usual("psi", 5.0, 30)}).columns[0] == plain.columns[0]


def test_a_report_says_the_same_in_every_form():
    """Lines, plain values and the order of what drifts agree."""
    found = drift_between(
        *sides({"x": normal(9000), "y": normal(9000), "t": ["a"] * 9000}, {"x": normal(9000, 1), "y": normal(9000, 3), "z": [1] * 9000}),
        titles=("v1", "v2"),
    )  # fmt: skip
    assert found.summary == "v1 → v2: 2 drift, 1 not comparable"
    assert [column.column for column in found.drifted] == ["y", "x"]
    lines = str(found).splitlines()
    assert repr(found) == str(found)
    assert len(lines) == 5
    assert lines[1].split()[0] == "drift"
    assert lines[-1].endswith("z: there is no such column before")
    plain = found.to_dict()
    assert plain["counts"] == {"drift": 2, "not comparable": 1}
    assert plain["ok"] is False
    assert plain["columns"][2]["statistic"] is None
    bins = plain["columns"][0]["bins"]
    assert sum(each["before"] for each in bins) == pytest.approx(1)
    assert sum(each["after"] for each in bins) == pytest.approx(1)
