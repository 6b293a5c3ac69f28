"""What options and settings change of a read, and what conditions and columns spare it."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import dataplat as dp
from dataplat._spark._source import READ, DataplatSource, Settings
from dataplat.errors import ConfigError

PARTS = 8
NEW_YORK = "America/New_York"


@pytest.fixture
def lake(tmp_path):
    """Return a lake with a dataset of eight parts, each of which has keys of its own."""
    lake = dp.open(tmp_path / "lake")
    for at in range(PARTS):
        keys = range(1000 * at, 1000 * (at + 1))
        lake.ingest(pa.table({"n": keys, "wide": [f"{k:0100}" for k in keys]}), into="t")
    return lake


def file_of(lake, part):
    """Return where a part lies."""
    return Path(lake.url) / "objects" / part[:2] / f"{part[2:]}.parquet"


def test_a_lake_is_found_by_the_environment(lake, monkeypatch):
    """`DATAPLAT_LAKE` where no option says which lake; the option counts where both do."""
    monkeypatch.setenv("DATAPLAT_LAKE", lake.url)
    assert DataplatSource({"path": "t"}).schema().names == ["n", "wide"]
    assert Settings.of({"path": "t"}, READ).lake == lake.url
    assert Settings.of({"path": "t", "lake": "/elsewhere"}, READ).lake == "/elsewhere"


def test_a_store_is_told_by_options_where_it_is_and_who_asks(s3_server, monkeypatch):
    """`store.NAME`: a read reaches a store of which the environment knows no address; secrets are named, not given."""
    for name in s3_server.environment():
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OUR_KEY", s3_server.access_key)
    monkeypatch.setenv("OUR_SECRET", s3_server.secret_key)
    url = f"s3://{s3_server.new_bucket()}/lake"
    told = {"endpoint_url": s3_server.url, "key": "env:OUR_KEY", "secret": "env:OUR_SECRET"}
    dp.open(url, options=told).ingest(pa.table({"n": range(10)}), into="t")
    options = {"path": "t", "lake": url, **{f"store.{name}": value for name, value in told.items()}}
    source = DataplatSource(options)
    read = source.reader(source.schema())
    rows = [row for each in read.partitions() for batch in read.read(each) for row in batch.column("n").to_pylist()]
    assert rows == list(range(10))
    with pytest.raises(ConfigError, match="key"):
        DataplatSource(options | {"store.key": "AKIA123"}).schema()


def test_the_zone_of_a_session_moves_no_instant(spark, tmp_path):
    """In New York, where an hour is missing and one is there twice: the same instants and wall clocks, read and written."""
    lake = dp.open(tmp_path / "lake")
    hours = [dt.datetime(2026, month, day, hour, 30) for month, day in ((3, 8), (11, 1)) for hour in range(9)]  # noqa: DTZ001
    zoned = pa.array([hour.replace(tzinfo=dt.UTC) for hour in hours], pa.timestamp("us", "UTC"))
    lake.ingest(pa.table({"at": range(len(hours)), "z": zoned, "w": pa.array(hours, pa.timestamp("us"))}), into="t")
    session = spark.newSession()
    session.conf.set("spark.sql.session.timeZone", NEW_YORK)
    by_source = session.read.format("dataplat").option("lake", lake.url).load("t")
    instants = [hour.replace(tzinfo=dt.UTC) for hour in hours]
    for read in (by_source, lake["t"].to_spark(session)):
        seen = read.selectExpr("at", "unix_micros(z) AS z", "string(w) AS w").sort("at").collect()
        assert [row.z for row in seen] == [int(instant.timestamp()) * 10**6 for instant in instants]
        assert [row.w for row in seen] == [f"{hour:%Y-%m-%d %H:%M:%S}" for hour in hours]
        late = read.where("z >= timestamp'2026-11-01 06:30:00Z'").sort("at").collect()
        assert [row.at for row in late] == [15, 16, 17]
        assert [row.at for row in read.where("w = timestamp_ntz'2026-03-08 02:30:00'").collect()] == [2]
    by_source.write.format("dataplat").option("lake", lake.url).mode("append").save("u")
    assert lake["u"].schema.equals(lake["t"].schema)
    assert lake["u"].content_id == lake["t"].content_id


def test_bytes_under_a_condition_and_columns_are_few(lake, reads):
    """A condition reads the bytes of the part it selects, one column those of that column: counted by row group."""
    everything = bytes_read(lake, reads)
    assert everything > 0.5 * sum(part.size for part in lake["t"].parts)
    assert bytes_read(lake, reads, where="n >= 5000 and n < 5010") < 1.2 * everything / PARTS
    assert bytes_read(lake, reads, columns="n") < everything / 2


def bytes_read(lake, reads, **options):
    """Return how many bytes of columns a read takes from parts."""
    reads.clear()
    source = DataplatSource({"path": "t", "lake": lake.url, **options})
    read = source.reader(source.schema())
    for partition in read.partitions():
        assert all(batch.num_rows for batch in read.read(partition))
    total = 0
    for part, group, columns in reads.calls:
        found = pq.read_metadata(file_of(lake, part)).row_group(group)
        chunks = [found.column(at) for at in range(found.num_columns)]
        total += sum(chunk.total_compressed_size for chunk in chunks if chunk.path_in_schema in columns)
    return total
