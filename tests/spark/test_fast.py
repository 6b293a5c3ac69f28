"""A version read by Spark's own Parquet reader."""

from __future__ import annotations

import datetime as dt
import os
import re
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyspark.sql import DataFrame

import dataplat as dp
from dataplat._lake import Lake
from dataplat._spark._fast import _with_nans, located, numbered
from dataplat._version import Version
from dataplat.errors import ConfigError, SchemaError

MANY = int(os.environ.get("DATAPLAT_SPARK_PARTS", "60"))
"""Parts of the version of many parts; `make proofs` asks for thousands."""


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """Return a lake in a folder."""
    return dp.open(tmp_path / ".dataplat")


def by_scan(version: Version, like: pa.Schema) -> pa.Table:
    """Return the rows of a version as dataplat reads them, in the types of a frame."""
    return version.to_arrow(columns=like.names).cast(like)


def same_rows(frame: DataFrame, version: Version) -> bool:
    """Say whether a frame holds the rows of a version, in whatever order."""
    found = frame.toArrow()
    wanted = by_scan(version, found.schema)
    return sorted(map(repr, found.to_pylist())) == sorted(map(repr, wanted.to_pylist()))


def test_rows_of_every_type_are_those_of_a_scan(spark, lake):
    """Unsigned, times, durations, decimals, nested values and nulls come as `format("dataplat")` would give them."""
    days = pa.array([0, -719_000, None], pa.int32())
    micros = pa.array([0, -1, None], pa.int64())
    whole = pa.array([1_000, -86_399_000, None], pa.int64())
    table = pa.table(
        {
            "u8": pa.array([0, 255, None], pa.uint8()),
            "u16": pa.array([0, 65_535, None], pa.uint16()),
            "u32": pa.array([0, 2**32 - 1, None], pa.uint32()),
            "u64": pa.array([0, 2**64 - 1, None], pa.uint64()),
            "i8": pa.array([1, -128, None], pa.int8()),
            "f32": pa.array([1.5, float("nan"), None], pa.float32()),
            "f64": pa.array([-0.0, float("inf"), None], pa.float64()),
            "text": ["é", "", None],
            "bytes": pa.array([b"\0", b"", None], pa.binary()),
            "fixed": pa.array([b"abcd", b"efgh", None], pa.binary(4)),
            "day": days.cast(pa.date32()),
            "ms": micros.cast(pa.timestamp("ms")),
            "us": micros.cast(pa.timestamp("us", "Europe/Paris")),
            "ns": whole.cast(pa.timestamp("ns")),
            "zoned": whole.cast(pa.timestamp("ns", "UTC")),
            "lasted": whole.cast(pa.duration("ns")),
            "lasted_ms": micros.cast(pa.duration("ms")),
            "lasted_us": micros.cast(pa.duration("us")),
            "at": pa.array([0, 86_399_999_999, None], pa.time64("us")),
            "at_ms": pa.array([0, 86_399_999, None], pa.time32("ms")),
            "price": pa.array([Decimal("1.50"), Decimal("-" + "9" * 36 + ".99"), None], pa.decimal128(38, 2)),
            "nothing": pa.nulls(3),
            "list": pa.array([[1, None], [], None], pa.list_(pa.uint8())),
            "pair": pa.array([[1, 2], [3, 4], None], pa.list_(pa.int32(), 2)),
            "struct": pa.array(
                [{"a": 1, "b": None}, {"a": 2, "b": "x"}, None], pa.struct([("a", pa.uint32()), ("b", pa.string())])
            ),
            "map": pa.array([[("k", dt.timedelta(microseconds=1))], [], None], pa.map_(pa.string(), pa.duration("us"))),
            "`a.b c": [True, False, None],
        }
    )
    version = lake.ingest(table, into="t").version
    frame = version.to_spark(spark)
    assert frame.columns == table.column_names
    assert same_rows(frame, version)
    assert same_rows(version.to_spark(spark, columns=["u64", "nothing", "`a.b c"]), version)


def test_columns_that_were_renamed_widened_added_and_dropped_read_as_they_are_now(spark, lake):
    """Parts of four schemas and deletes give one frame; a duration in another unit is no other duration."""
    first = pa.table(
        {
            "k": pa.array([1, 2, 3], pa.int32()),
            "old": ["a", "b", "c"],
            "lasted": pa.array([1, 2, None], pa.duration("ms")),
            "size": pa.array([1, 2, 3], pa.uint32()),
            "later": pa.nulls(3),
            "price": pa.array([Decimal("1.50")] * 3, pa.decimal128(5, 2)),
            "gone": [1, 2, 3],
        }
    )
    lake.ingest(first, into="t")
    widen = {"k": "int64", "lasted": "duration[us]", "size": "uint64", "price": "decimal(20, 2)"}
    lake.evolve("t", drop=["gone"], rename={"old": "new"}, widen=widen)
    lake.evolve("t", add={"gone": "string"})
    second = pa.table(
        {
            "k": pa.array([2**40], pa.int64()),
            "new": ["d"],
            "lasted": pa.array([7], pa.duration("us")),
            "size": pa.array([2**63], pa.uint64()),
            "later": ["text"],
            "price": pa.array([Decimal("123456789.01")], pa.decimal128(20, 2)),
            "gone": ["again"],
        }
    )
    lake.ingest(second, into="t")
    lake.delete("t", "k = 2")
    version = lake["t"]
    assert same_rows(version.to_spark(spark), version)
    assert version.to_spark(spark).count() == 3
    assert same_rows(lake["t@main~4"].to_spark(spark), lake["t@main~4"])


def test_deleted_rows_are_left_out_by_file_and_position(spark, lake):
    """Whatever filters prune, a row that was deleted does not come back, nor does another one go."""
    rows = 200_000
    lake.ingest(pa.table({"k": np.arange(rows), "v": np.arange(rows) % 97}), into="t")
    lake.delete("t", "k % 64 in (0, 63) or k between 70000 and 80000")
    lake.ingest(pa.table({"k": np.arange(rows, rows + 5), "v": np.zeros(5, np.int64)}), into="t")
    version = lake["t"]
    frame = version.to_spark(spark)
    kept = version.to_arrow()["k"].to_numpy()
    assert np.array_equal(np.sort(frame.select("k").toArrow()["k"].to_numpy()), np.sort(kept))
    high = np.sort(frame.where("k >= 190000").select("k").toArrow()["k"].to_numpy())
    assert np.array_equal(high, np.sort(kept[kept >= 190_000]))


def test_files_are_told_apart_by_numbers_that_spark_computes_too(spark):
    """However long files are, their words do not meet: another seed is taken where they would."""
    names = [f"{at:062x}.parquet" for at in range(40)]
    seeds = set()
    for words in (1, 2**52, 2**54):
        seed, firsts = numbered([(name, words) for name in names])
        laid = sorted(firsts)
        assert all(one + words <= other for one, other in pairwise(laid))
        frame = spark.createDataFrame(pa.table({"name": names})).selectExpr(f"shiftright(xxhash64({seed}, name), 1)")
        assert [row[0] for row in frame.collect()] == firsts
        seeds.add(seed)
    assert len(seeds) > 1


def test_a_column_that_was_renamed_keeps_its_nan(lake):
    """What is known of parts is of the names of now; files are asked by the names that they were written with."""
    lake.ingest(pa.table({"x": [1.0, float("nan")]}), into="t")
    lake.evolve("t", rename={"x": "y"})
    version = lake["t"]
    assert _with_nans(version.manifest.schema, located(version.objects, version.parts)) == {"x"}


def test_a_folder_may_be_called_anything(spark, tmp_path):
    """Spaces, percent signs, letters of all kinds and what else is a pattern are parts of its name."""
    lake = dp.open(tmp_path / "a %41 ü [x] {y,z} *?,#'" / ".dataplat")
    lake.ingest(pa.table({"k": range(200)}), into="t")
    lake.ingest(pa.table({"k": range(200, 300)}), into="t")
    lake.delete("t", "k < 50")
    assert sorted(row[0] for row in lake["t"].to_spark(spark).collect()) == list(range(50, 300))


def test_only_what_is_asked_for_is_read(spark, lake, capsys):
    """The plan reads one column of the files and hands the filter to them, deletes or not; code is compiled whole."""
    lake.ingest(pa.table({"a": [1, 2, 3], "b": ["x", "y", "z"], "c": [1.0, 2.0, 3.0]}), into="t")
    lake.evolve("t", rename={"b": "kind"})
    for _ in range(2):
        frame = lake["t"].to_spark(spark).where("kind = 'y'").select("a")
        frame.explain(mode="formatted")
        scan = capsys.readouterr().out
        assert re.search(r"ReadSchema: struct<a:bigint,b:string(,_tmp_metadata_row_index:bigint)?>", scan)
        assert re.search(r"PushedFilters: \[IsNotNull\(b\), EqualTo\(b,y\)\]", scan)
        assert "BatchEvalPython" not in scan
        assert "ArrowEval" not in scan
        lake.delete("t", "a = 1")
    assert "BroadcastHashJoin" in scan
    assert frame.collect() == [(2,)]


def test_no_number_is_lost_beside_a_nan(spark, lake):
    """NaN is greater than all numbers to Spark, and in no bound of a file: it is not pruned away."""
    version = lake.ingest(
        pa.table({"x": [1.0, float("nan")], "y": pa.array([1.0, 2.0], pa.float32())}), into="t"
    ).version
    assert version.to_spark(spark).where("x > 5").count() == 1
    assert version.to_spark(spark).where("y > 5").count() == 0


def test_the_same_bytes_twice_are_rows_twice(spark, lake):
    """A part that was appended again counts again, with deletes of its own."""
    table = pa.table({"k": [1, 2, 3]})
    lake.ingest(table, into="t")
    lake.ingest(table, into="t")
    assert len({part.id for part in lake["t"].parts}) == 1
    assert lake["t"].to_spark(spark).count() == 6


def test_versions_of_no_part_and_of_many(spark, lake):
    """A version without rows is a frame without rows, and one of many parts has all of theirs."""
    table = pa.table({"k": pa.array(range(MANY), pa.int64())})
    with lake.transaction() as tx:
        for at in range(MANY):
            tx.ingest(table.slice(at, 1), into="many")
    lake.ingest(table, into="none")
    lake.delete("none", "k >= 0")
    assert lake["none"].to_spark(spark).toArrow().schema.names == ["k"]
    assert lake["none"].to_spark(spark).count() == 0
    assert lake["many"].to_spark(spark).count() == MANY


def test_what_spark_would_read_wrongly_is_refused(spark, lake, memory_lake):
    """Names that differ in capitals, nanoseconds in lists, lakes in memory and unknown columns are errors in words."""
    lake.ingest(pa.table({"a": [1], "A": [2]}), into="alike")
    for columns in (None, ["A"]):
        with pytest.raises(SchemaError, match="does not tell capitals"):
            lake["alike"].to_spark(spark, columns)
    lake.ingest(pa.table({"l": pa.array([[1]], pa.list_(pa.timestamp("ns")))}), into="nested")
    with pytest.raises(SchemaError, match=r'format\("dataplat"\)'):
        lake["nested"].to_spark(spark)
    lake.ingest(pa.table({"h": pa.array([1.5], pa.float16())}), into="half")
    with pytest.raises(SchemaError, match="halffloat"):
        lake["half"].to_spark(spark)
    with pytest.raises(SchemaError, match="did you mean 'l'"):
        lake["nested"].to_spark(spark, columns=["L"])
    memory_lake.ingest(pa.table({"a": [1]}), into="t")
    with pytest.raises(ConfigError, match="memory"):
        memory_lake["t"].to_spark(spark)
