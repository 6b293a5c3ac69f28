"""Profiles and drift by tasks of Spark: the same, byte for byte, and no part is read by the driver."""

from __future__ import annotations

import pyarrow as pa
import pytest

import dataplat as dp
from dataplat._spark._engine import SparkEngine
from dataplat.lake.engine import Local
from dataplat.validation.profile._encode import encode


@pytest.fixture
def lakes(tmp_path):
    """Return two lakes of the same rows in many parts."""

    def made(name):
        lake = dp.open(tmp_path / name)
        with lake.transaction() as tx:
            for day in range(3):
                tx.ingest(rows(day), into="t")
        for day in range(3, 22):
            lake.ingest(rows(day), into="t")
        lake.delete("t", "n % 50 = 7")
        return lake

    return made("one"), made("two")


def rows(day):
    """Return the rows of a day, which drift."""
    numbers = range(day * 60, day * 60 + 60)
    return pa.table(
        {
            "n": numbers,
            "x": [None if number % 9 == 4 else number * 7919 % 1000 / 7 + day for number in numbers],
            "s": [f"{'ab' * (number % 4)}{number % 13}" for number in numbers],
        }
    )


@pytest.fixture(params=["local", "spark"])
def engine(request):
    """Return each of the engines."""
    return Local() if request.param == "local" else SparkEngine(request.getfixturevalue("spark"))


def encoded(profile):
    """Return a profile as bytes."""
    return {name: encode(column) for name, column in profile.columns.items()}


def test_a_profile_is_the_same_to_the_last_byte(lakes, engine, reads):
    """Tasks measure parts and merge some of them, and the whole is what one process makes of all."""
    one, two = lakes
    for asked in ({}, {"columns": ["x"], "where": "x > 50"}):
        expected = one["t"].profile(**asked)
        reads.clear()
        found = two["t"].profile(engine=engine, **asked)
        assert encoded(found) == encoded(expected)
        assert (found.remembered, found.parts) == (expected.remembered, expected.parts)
        assert bool(reads.parts) == (engine.name == "local")
    assert two["t"].profile(engine=engine).remembered == two["t"].manifest.n_parts


def test_drift_is_the_same(lakes, engine, reads):
    """By profiles with what is usual between versions, by rows, and slice by slice."""
    one, two = lakes
    for asked in ({}, {"exact": True}, {"by": "s", "columns": ["x"]}):
        expected = one.drift("t@main~9", "t", **asked).to_dict()
        reads.clear()
        assert two.drift("t@main~9", "t", engine=engine, **asked).to_dict() == expected
        assert bool(reads.parts) == (engine.name == "local")
