"""A version read by Spark."""

import pyarrow as pa

import dataplat as dp


def test_a_version_is_read_as_it_is(spark, tmp_path):
    """The short name is found without registration, and the rows are the version's."""
    lake = dp.open(tmp_path / "lake")
    table = pa.table({"n": [1, 2, 3], "s": ["a", None, "ü"]})
    lake.ingest(table, into="t")
    read = spark.read.format("dataplat").option("lake", str(tmp_path / "lake")).load("t")
    assert sorted(map(tuple, read.collect()), key=str) == [(1, "a"), (2, None), (3, "ü")]
