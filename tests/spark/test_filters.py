"""Filters that Spark pushes down: what a scan takes prunes parts, and the rest is left to Spark."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pyarrow as pa
import pytest
from pyspark.sql import datasource as ds

import dataplat as dp
from dataplat._spark._read import reader
from dataplat._spark._source import READ, Settings
from dataplat.connectors.spark.filters import pushed
from dataplat.connectors.spark.types import spark_schema

MOMENT = dt.datetime(2026, 11, 28, 12, tzinfo=dt.UTC)
TABLE = pa.table(
    {
        "n": pa.array([1, 2, 3, None], pa.int32()),
        "x": [1.5, float("nan"), -0.0, None],
        "s": ["a", "ab", "%", None],
        "b": [True, False, True, None],
        "d": [dt.date(2026, 1, 1), dt.date(2026, 1, 2), dt.date(1, 1, 1), None],
        "z": pa.array([MOMENT, MOMENT + dt.timedelta(hours=1), MOMENT, None], pa.timestamp("us", "Europe/Berlin")),
        "u": pa.array([1, 2, 3, None], pa.uint8()),
        "c": [Decimal("1.50"), Decimal("2.00"), None, None],
        "l": [[1], [2], None, None],
    }
)
TAKEN = [
    (ds.EqualTo(("n",), 2), [1]),
    (ds.Not(ds.EqualTo(("n",), 2)), [0, 2]),
    (ds.EqualNullSafe(("n",), None), [3]),
    (ds.EqualNullSafe(("n",), 2), [1]),
    (ds.Not(ds.EqualNullSafe(("n",), 2)), [0, 2, 3]),
    (ds.In(("n",), (1, 3, 99)), [0, 2]),
    (ds.Not(ds.In(("n",), (1, 3))), [1]),
    (ds.GreaterThan(("n",), 2**40), []),
    (ds.LessThanOrEqual(("n",), 2), [0, 1]),
    (ds.IsNull(("s",)), [3]),
    (ds.IsNotNull(("s",)), [0, 1, 2]),
    (ds.GreaterThan(("x",), 1.0), [0, 1]),
    (ds.EqualTo(("x",), 0.0), [2]),
    (ds.StringStartsWith(("s",), "a"), [0, 1]),
    (ds.StringContains(("s",), "%"), [2]),
    (ds.StringEndsWith(("s",), "b"), [1]),
    (ds.EqualTo(("b",), True), [0, 2]),
    (ds.GreaterThanOrEqual(("d",), dt.date(2026, 1, 2)), [1]),
    (ds.GreaterThan(("z",), MOMENT), [1]),
]
LEFT = [
    ds.EqualTo(("n", "inner"), 1),
    ds.EqualTo(("gone",), 1),
    ds.EqualTo(("x",), float("nan")),  # no JSON: a filter travels as such
    ds.In(("n",), (1, None)),
    ds.EqualTo(("u",), 300),
    ds.EqualTo(("c",), Decimal("1.5")),
    ds.EqualTo(("l",), [1]),
]


@pytest.mark.parametrize(("given", "rows"), TAKEN, ids=lambda value: str(value)[:60])
def test_a_filter_that_is_taken_selects_what_spark_would(given, rows):
    """Nulls are neither true nor false, NaN is above all, zeros are equal."""
    where, left = pushed([given], TABLE.schema)
    assert not left
    assert where is not None
    assert [at for at, selected in enumerate(where.mask(TABLE).to_pylist()) if selected] == rows


@pytest.mark.parametrize("given", LEFT, ids=str)
def test_a_filter_that_is_not_understood_is_left_to_spark(given):
    """Those of other columns and types, and lists with null: returned, beside those that are taken."""
    where, left = pushed([given, ds.EqualTo(("n",), 1)], TABLE.schema)
    assert left == [given]
    assert where is not None
    assert where.columns == ("n",)


def test_parts_that_cannot_match_are_no_task(tmp_path, reads, monkeypatch):
    """Of four parts only the one that a filter may select is in a partition, and is read; the rows are those selected."""
    lake = dp.open(tmp_path / "lake")
    for start in range(0, 400, 100):
        lake.ingest(pa.table({"n": range(start, start + 100), "s": [f"s{i}" for i in range(100)]}), into="t")
    monkeypatch.setattr("dataplat._spark._read.GROUP", 1)
    monkeypatch.setitem(__import__("sys").modules, "pyspark.sql.worker.data_source_pushdown_filters", object())
    settings = Settings.of({"path": "t", "lake": str(tmp_path / "lake")}, READ)
    read = reader(settings, "t", spark_schema(lake["t"].schema))
    assert len(read.partitions()) == 4
    assert read.pushFilters([ds.GreaterThanOrEqual(("n",), 250), ds.LessThan(("n",), 260)]) == []
    partitions = read.partitions()
    assert [[part.id for part in each.parts] for each in partitions] == [[lake["t"].parts[2].id]]
    rows = [row for each in partitions for batch in read.read(each) for row in batch.column("n").to_pylist()]
    assert rows == list(range(250, 260))
    assert reads.parts == {lake["t"].parts[2].id}
