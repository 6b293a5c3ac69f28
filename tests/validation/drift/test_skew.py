"""Skew: rows of one entity and time side by side, as a join of features to a point in time has them."""

import datetime as dt
import math

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataplat.errors import BadColumn, ConfigError, KeyViolation
from dataplat.validation.drift.skew import Pairing, row_skew


def day(number):
    """Return a day of January."""
    return dt.datetime(2026, 1, number, tzinfo=dt.UTC)


TRAINING = pa.table(
    {
        "id": [1, 1, 2, 3, 4],
        "at": [day(1), day(3), day(1), day(1), day(9)],
        "x": [1.0, 2.0, 3.0, math.nan, 5.0],
        "word": ["a", "b", "c", None, "d"],
        "label": [0, 1, 0, 1, 0],
    }
)
SERVING = pa.table(
    {
        "id": [1, 1, 2, 3, 9, 4],
        "at": [day(2), day(4), day(1), day(2), day(1), day(8)],
        "x": [1.0, 2.5, 3.0000001, math.nan, 1.0, 5.0],
        "word": ["a", "b", "X", None, "z", "d"],
    }
)


def test_rows_are_joined_to_the_latest_that_is_not_later():
    """Of an entity of which training has only later rows, or none, nothing is beside a served row."""
    (x, word), joined = row_skew(TRAINING, SERVING, Pairing(["id"], "at"))
    assert joined == 4
    assert (x.rows, x.differing, word.differing) == (4, 2, 1)
    assert x.share == 0.5
    assert x.worst[0] == {
        "id": 1,
        "at": day(4),
        "training:at": day(3),
        "training": 2.0,
        "serving": 2.5,
        "difference": 0.5,
    }
    assert word.worst[0]["serving"] == "X"
    assert x.error == pytest.approx(0.25, abs=1e-6)


def test_a_tolerance_is_relative_and_null_equals_null():
    """What differs by less is equal, NaN equals NaN, null equals null and no value."""
    (x, _), _ = row_skew(TRAINING, SERVING, Pairing(["id"], "at", tolerance=1e-6))
    assert x.differing == 1
    one, two = pa.table({"id": [1, 2, 3], "x": [1.0, None, 0.0]}), pa.table({"id": [1, 2, 3], "x": [None, None, -0.0]})
    (x,), _ = row_skew(one, two, Pairing(["id"], tolerance=10.0))
    assert x.differing == 1
    assert x.worst[0] == {"id": 1, "training": 1.0, "serving": None, "difference": None}


def test_old_rows_are_left_out():
    """A row of training that is older than `within` is not beside the served one."""
    _, joined = row_skew(TRAINING, SERVING, Pairing(["id"], "at", within=dt.timedelta(hours=1)))
    assert joined == 1


def test_without_a_time_there_is_one_row_of_an_entity():
    """Several are refused, naming one; one is joined as it is."""
    with pytest.raises(KeyViolation, match="several rows of id=1"):
        row_skew(TRAINING, SERVING, Pairing(["id"]))
    (_, x, _), joined = row_skew(TRAINING.slice(1), SERVING, Pairing(["id"]), ["at", "x", "word"])
    assert joined == 5
    assert x.differing == 3


def test_a_feature_may_have_any_name():
    """A feature that is called as the report calls differences is compared as any other is."""
    training = pa.table({"id": [1, 2], "difference": [1.0, 2.0], "serving": ["a", "b"]})
    serving = pa.table({"id": [1, 2], "difference": [1.0, 5.0], "serving": ["a", "c"]})
    (number, text), _ = row_skew(training, serving, Pairing(on=("id",)))
    assert (number.differing, number.worst) == (1, ({"id": 2, "training": 2.0, "serving": 5.0, "difference": 3.0},))
    assert text.worst == ({"id": 2, "training": "b", "serving": "c", "difference": None},)


def test_bad_pairings_are_refused():
    """No entity, a negative tolerance, an age without a time, a column that is not on both sides."""
    for wrong in ({"on": []}, {"on": ["id"], "tolerance": -1.0}, {"on": ["id"], "within": dt.timedelta(1)}):
        with pytest.raises(ConfigError):
            Pairing(**wrong)
    with pytest.raises(BadColumn, match="'label' in serving"):
        row_skew(TRAINING, SERVING, Pairing(["id"], "at"), ["label"])
    with pytest.raises(BadColumn, match="'who' in training"):
        row_skew(TRAINING, SERVING, Pairing(["who"]))


cells = st.one_of(st.none(), st.just(math.nan), st.integers(-2, 2).map(float))


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 9), cells), max_size=12, unique_by=lambda row: row[:2]),
       st.lists(st.tuples(st.integers(0, 3), st.integers(1, 9), cells), max_size=12))  # fmt: skip
def test_the_join_is_that_of_a_loop(training, serving):
    """Rows beside each other, and how many of them differ, are what a search row by row finds."""

    def table(rows):
        who, when, what = ([row[at] for row in rows] for at in range(3))
        types = {"id": pa.int64(), "at": pa.timestamp("us", "UTC"), "x": pa.float64()}
        columns = [who, [day(number) for number in when], what]
        return pa.table({name: pa.array(c, types[name]) for name, c in zip(types, columns, strict=True)})

    joined = differing = 0
    for who, when, what in serving:
        past = [row for row in training if row[0] == who and row[1] <= when]
        if past:
            known = max(past, key=lambda row: row[1])[2]
            joined += 1
            differing += repr(known) != repr(what)
    (x,), found = row_skew(table(training), table(serving), Pairing(["id"], "at"))
    assert (found, x.differing) == (joined, differing)
