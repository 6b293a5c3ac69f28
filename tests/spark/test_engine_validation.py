"""Validation by tasks of Spark: the report of one process, and no part is read by the driver."""

from __future__ import annotations

from dataclasses import replace

import pyarrow as pa
import pytest

import dataplat as dp
from dataplat._spark._engine import SparkEngine
from dataplat.errors import IntegrityError
from dataplat.lake._object_keys import object_key
from dataplat.lake.engine import Local
from dataplat.validation import _spread
from dataplat.validation._digests import DigestReader
from dataplat.validation._distinct import Distinct
from dataplat.validation._unique import find_repeats

CONTRACT = """
import pandera.polars as pa
import polars as pl

import dataplat as dp

LIMIT = 90


def is_small(value):
    return value < LIMIT


class Flights(pa.DataFrameModel):
    id: int = pa.Field(ge=0, unique=True)
    delay: float = pa.Field(ge=-100, lt=400, nullable=True)
    carrier: str = pa.Field(isin=["AA", "BB", "CC"])
    n: int

    @pa.check("n", element_wise=True)
    def small(cls, value):
        return is_small(value)

    @pa.dataframe_check
    def positive(cls, data):
        return data.lazyframe.select(pl.col("n") > 0)

    class Config:
        unique = ["carrier", "n", "delay"]


held = dp.Contract(
    Flights,
    [
        dp.unique("id"),
        dp.mean("delay", 0, 300),
        dp.null_share("delay", 0.05),
        dp.distinct_share("n", 0, 0.5),
        dp.quantile("delay", 0.5, 0, 400),
        dp.foreign_key("carrier", "carriers"),
        dp.sql_check("select * from {data} where id > 1195"),
        dp.no_drift("@main~1", columns=["delay"]),
    ],
)
"""


def rows(start, count):
    """Return rows of which some fail each of the checks."""
    numbers = range(start, start + count)
    return pa.table(
        {
            "id": pa.array([max(number - (number % 401 == 400), 0) for number in numbers]),
            "delay": pa.array([None if number % 11 == 3 else number * 7919 % 4210 / 10 for number in numbers]),
            "carrier": ["AABBCCDD"[number * 2 % 8 :][:2] if number % 5 else "AA" for number in numbers],
            "n": [number * 31 % 97 for number in numbers],
        }
    )


@pytest.fixture
def lakes(tmp_path):
    """Return two lakes of the same rows in the same parts, and the contract."""

    def made(name):
        lake = dp.open(tmp_path / name)
        lake.ingest(pa.table({"carrier": ["AA", "BB", "CC"]}), into="carriers")
        for start in (0, 390, 800):
            lake.ingest(rows(start, 400), into="flights")
        lake.delete("flights", "id % 50 = 7")
        return lake

    (tmp_path / "held.py").write_text(CONTRACT)
    return made("one"), made("two"), f"{tmp_path / 'held.py'}:held"


@pytest.fixture(params=["local", "spark"])
def engine(request):
    """Return each of the engines."""
    return Local() if request.param == "local" else SparkEngine(request.getfixturevalue("spark"))


def plain(report):
    """Return all that a report says, but for the time it took."""
    return replace(report, seconds=0).to_dict()


def test_the_report_is_that_of_one_process(lakes, engine, reads):
    """Every outcome, example and way of settling is the same; what tasks looked at is scanned, and then remembered."""
    one, two, contract = lakes
    expected, again = (one["flights"].validate(contract) for _ in range(2))
    assert {check.status for check in expected.checks} == {"passed", "failed"}
    reads.clear()
    assert plain(two["flights"].validate(contract, engine=engine)) == plain(expected)
    assert bool(reads.parts) == (engine.name == "local")
    assert plain(two["flights"].validate(contract, engine=engine)) == plain(again)


def test_no_digest_is_read_by_the_driver(lakes, spark, monkeypatch):
    """What rows are compared by is compared in tasks, also where there are several shares of it."""
    one, two, contract = lakes
    monkeypatch.setattr(Distinct.__init__, "__defaults__", (64,))
    read = []
    for name in ("of", "distinct"):
        kept = getattr(DigestReader, name)
        monkeypatch.setattr(DigestReader, name, lambda *a, kept=kept, **b: read.append(a) or kept(*a, **b))
    monkeypatch.setattr(find_repeats, "__kwdefaults__", {"digests": 64, "classes": 50})
    expected = one["flights"].validate(contract)
    assert read
    read.clear()
    assert plain(two["flights"].validate(contract, engine=SparkEngine(spark))) == plain(expected)
    assert not read


def test_the_driver_looks_for_what_would_be_too_much_to_tell(lakes, spark, monkeypatch):
    """Where very many values repeat, or are not there, the report is the same, and tasks tell no more than they may."""
    one, two, contract = lakes
    monkeypatch.setattr(_spread, "TOLD", 0)
    expected = one["flights"].validate(contract)
    assert plain(two["flights"].validate(contract, engine=SparkEngine(spark))) == plain(expected)


def test_what_tasks_found_is_remembered_for_all(lakes, spark, reads):
    """A validation in this process asks of no row that a task looked at, and the next version costs what is new."""
    _, two, contract = lakes
    engine = SparkEngine(spark)
    row_checks = contract.replace(":held", ":Flights")
    two["flights"].validate(row_checks, engine=engine)
    assert two["flights"].validate(row_checks).new_rows == 0
    two.ingest(rows(1200, 50), into="flights")
    assert two["flights"].validate(row_checks, engine=engine).new_rows == 50
    few = engine.returned
    two.ingest(rows(5000, 20_000), into="flights")
    two["flights"].validate(row_checks, engine=engine)
    assert engine.returned - few < 80_000  # counts and ten examples of a check, however many rows


def test_a_damaged_part_is_named(lakes, spark):
    """The task that finds it raises what this process would."""
    _, two, contract = lakes
    part = two["flights"].parts[1]
    file = two.store.root / object_key(part.id, ".parquet")
    file.chmod(0o644)
    data = bytearray(file.read_bytes())
    data[200:400] = bytes(200)
    file.write_bytes(bytes(data))
    with pytest.raises(IntegrityError, match=part.id[:12]):
        two["flights"].validate(contract, engine=SparkEngine(spark))


def test_a_sample_is_the_same_one(lakes, spark):
    """Of a sample tasks read the row groups that this process would."""
    one, two, contract = lakes
    expected = one["flights"].validate(contract, sample=0.5)
    assert plain(two["flights"].validate(contract, sample=0.5, engine=SparkEngine(spark))) == plain(expected)
