"""Diffs by tasks of Spark: rows meet in buckets by key, and what is told of them is what one process tells."""

from __future__ import annotations

import pyarrow as pa
import pytest

import dataplat as dp
from dataplat._spark import _diff
from dataplat._spark._engine import SparkEngine
from dataplat.errors import IntegrityError
from dataplat.lake._object_keys import object_key
from dataplat.lake.engine import Local
from dataplat.versioning.diff._meeting import KINDS


def table(numbers, factor=1.5):
    """Return rows by key, some of them null."""
    return pa.table(
        {
            "k": pa.array(numbers, pa.int64()),
            "v": pa.array([None if number % 17 == 0 else number * factor for number in numbers]),
            "s": [f"text {number % 7}" for number in numbers],
        }
    )


@pytest.fixture
def lake(tmp_path):
    """Return a lake in which `keyed` and `loose` changed in every way."""
    lake = dp.open(tmp_path / "lake")
    lake.ingest(table(range(3000)), into="keyed", key="k")
    lake.ingest(table(range(2500, 3100), 2.5), into="keyed", mode="upsert")
    lake.delete("keyed", "k < 20")
    lake.evolve("keyed", add={"z": "int64"}, rename={"s": "text"})
    lake.ingest(table([*range(400), *range(200)]), into="loose")
    lake.ingest(table([*range(100, 450), *range(50, 120)]), into="loose", mode="replace")
    return lake


@pytest.fixture(params=["local", "spark"])
def engine(request, monkeypatch):
    """Return each of the engines; of Spark some hundred rows meet in a bucket."""
    monkeypatch.setattr(_diff, "ROWS", 400)
    return Local() if request.param == "local" else SparkEngine(request.getfixturevalue("spark"))


@pytest.mark.parametrize(
    ("before", "after"), [("keyed@main~3", "keyed"), ("keyed", "keyed@main~2"), ("loose@main~1", "loose")]
)
def test_what_differs_is_the_same(lake, engine, reads, before, after):
    """Counts, the first rows of each kind, all of them in their order, and cells by column."""
    expected = lake.diff(before, after)
    heads = {(kind, limit): expected.head(kind, limit) for kind in KINDS for limit in (5, None)}
    columns = expected.columns
    reads.clear()
    found = lake.diff(before, after, engine=engine)
    assert found.summary == expected.summary
    assert found.summary.added
    assert found.columns == columns
    for (kind, limit), rows in heads.items():
        assert found.head(kind, limit).equals(rows)
    assert found.to_dict() == expected.to_dict()
    assert bool(reads.parts) == (engine.name == "local")


def test_rows_are_handed_out_as_they_are_taken(lake, spark, monkeypatch, reads):
    """As batches of one bucket at a time, and as a frame that Spark goes on with; none is read here."""
    monkeypatch.setattr(_diff, "ROWS", 400)
    expected = lake.diff("keyed@main~3", "keyed").head("changed")
    reads.clear()
    engine = SparkEngine(spark)
    found = lake.diff("keyed@main~3", "keyed", engine=engine)
    assert found.buckets > 1
    batches = list(found.batches("changed"))
    assert pa.Table.from_batches(batches).sort_by("k").equals(expected.sort_by("k").combine_chunks())
    frame = found.frame("added")
    assert frame.columns == ["k", "v", "text", "z"]
    assert frame.selectExpr("count(*)", "min(k)", "max(k)").collect() == [(100, 3000, 3099)]
    assert engine.returned == 0
    assert not reads.parts


def test_little_comes_back_however_many_rows_differ(lake, spark):
    """Counts of buckets, and the rows that are asked for."""
    engine = SparkEngine(spark)
    lake.evolve("keyed", rename={"text": "s"}, drop=["z"])
    lake.ingest(table(range(10_000, 50_000)), into="keyed", mode="upsert")
    lake.ingest(table(range(5000, 40_000), 9.5), into="keyed", mode="upsert")
    found = lake.diff("keyed@main~1", "keyed", engine=engine)
    assert found.summary.added == 5000
    assert found.summary.changed == sum(number % 17 > 0 for number in range(10_000, 40_000))
    assert found.head("changed", 3).num_rows == 3
    assert engine.returned < 20_000


def test_a_damaged_part_is_named(lake, spark):
    """The error of the task that reads it is the one that this process would raise."""
    part = lake["loose"].parts[0]
    file = lake.store.root / object_key(part.id, ".parquet")
    file.chmod(0o644)
    data = bytearray(file.read_bytes())
    data[100:300] = bytes(200)
    file.write_bytes(bytes(data))
    with pytest.raises(IntegrityError, match=part.id[:12]):
        _ = lake.diff("loose@main~1", "loose", engine=SparkEngine(spark)).summary
