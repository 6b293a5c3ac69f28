"""What Spark is asked that cannot be done: a clear error, before a task runs where that is possible, and nothing landed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pyarrow as pa
import pytest

import dataplat as dp
from dataplat._spark._source import READ, WRITE, DataplatSource, Settings
from dataplat._spark._write import Asked
from dataplat.errors import ConfigError, ContractError, DatasetNotFound, KeyViolation, SchemaError, SchemaMismatch
from servers.spark import ROOT

CHILD = """
import json, os, sys
import pyarrow as pa
from dataplat._spark._source import DataplatSource
from dataplat._spark._session import session
from dataplat._spark._write import Writer

lake, killed = sys.argv[1], os.getpid()
spark = session(master="local[2,3]", **json.loads(sys.argv[2]))
frame = spark.range(0, 1000, 1, 4)


def fails_once(batches):
    from pyspark import TaskContext

    task = TaskContext.get()
    for batch in batches:
        yield batch
    if task.partitionId() == 1 and task.attemptNumber() == 0:
        raise RuntimeError("the first attempt of a task fails after all of its rows")


def write(rows, into, name="dataplat"):
    rows.write.format(name).option("lake", lake).mode("append").save(into)


write(frame.mapInArrow(fails_once, "id long"), "retried")
print("retried", flush=True)
java = spark.sparkContext._gateway.proc.pid


class DyingWriter(Writer):
    def commit(self, messages):
        for process in (killed, java, os.getpid()):
            os.kill(process, 9)


class Dying(DataplatSource):
    @classmethod
    def name(cls):
        return "dying"

    def writer(self, schema, overwrite):
        from dataplat._spark._source import WRITE, Settings

        return DyingWriter.of(Settings.of(self.options, WRITE), self.options, schema, overwrite=overwrite)


spark.dataSource.register(Dying)
write(frame, "killed", "dying")
print("it lives", flush=True)
"""


@pytest.fixture
def lake(tmp_path):
    """Return a lake with a dataset that has a key."""
    lake = dp.open(tmp_path / "lake")
    lake.ingest(pa.table({"n": [1, 2], "s": ["a", "b"]}), into="t", key="n")
    lake.ingest(pa.table({"n": [1, 2]}), into="keyless")
    return lake


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"path": "t"}, "where the lake is"),
        ({"lake": "x"}, "which dataset"),
        ({"path": "t", "lake": "x", "moed": "append"}, "no option 'moed' here; did you mean 'mode'"),
        ({"path": "t", "lake": "x", "colums": "n"}, "no option 'colums' here; did you mean 'columns'"),
    ],
)
def test_options_that_are_wrong_are_refused(given, said, monkeypatch):
    """What is missing is asked for, what is not known is named beside what is nearest."""
    monkeypatch.delenv("DATAPLAT_LAKE", raising=False)
    with pytest.raises(ConfigError, match=said):
        Settings.of(given, (*READ, *WRITE))


@pytest.mark.parametrize(
    ("given", "overwrite", "error", "said"),
    [
        ({"mode": "upsrt"}, False, ConfigError, "unknown mode 'upsrt'"),
        ({"mode": "upsert", "key": "n"}, True, ConfigError, "replaces all rows"),
        ({"mode": "delete", "contract": "x.py:X"}, False, ConfigError, "takes rows away"),
        ({"order": "n"}, False, ConfigError, "order goes with mode='upsert'"),
        ({"key": "n,n"}, False, ConfigError, "names a column twice"),
        ({"contract": "missing.py:X"}, False, ContractError, "there is no file"),
        ({"on_error": "perhaps"}, False, ConfigError, "unknown on_error"),
    ],
)
def test_writes_that_make_no_sense_are_refused(given, overwrite, error, said):
    """Each before anything is read."""
    with pytest.raises(error, match=said):
        Asked.of("t", given, overwrite=overwrite)


def test_rows_that_do_not_fit_are_refused_before_a_task(lake, in_tasks):
    """Other kinds of types, missing columns, keys that are none: nothing landed."""
    before = lake["t"].id
    for table, options, error, said in (
        (pa.table({"n": ["x"], "s": ["y"]}), {}, SchemaMismatch, "'n' is int64 in the dataset and string"),
        (pa.table({"n": [3]}), {}, SchemaMismatch, "no column 's'"),
        (pa.table({"n": [3], "s": ["c"]}), {"key": "s"}, KeyViolation, "has the key n, not s"),
        (pa.table({"s": ["c"]}), {"mode": "delete"}, SchemaMismatch, "key column 'n' is not in the input"),
        (pa.table({"n": ["1"]}), {"mode": "delete"}, SchemaMismatch, "'n' is int64"),
        (pa.table({"n": [3.5], "s": ["c"]}), {}, SchemaMismatch, "3.5"),
    ):
        with pytest.raises(error, match=said):
            in_tasks(lake, [table], "t", **options)
    for mode in ("upsert", "delete"):
        with pytest.raises(KeyViolation, match="key"):
            in_tasks(lake, [pa.table({"n": [3]})], "keyless", mode=mode)
    with pytest.raises(DatasetNotFound, match="no dataset 'nowhere'"):
        in_tasks(lake, [pa.table({"n": [3]})], "nowhere", mode="delete")
    assert lake["t"].id == before


def test_a_schema_that_is_asked_for_is_checked(lake):
    """Some of the columns, as they are; another type, or a column that is not there, is an error."""
    from pyspark.sql.types import LongType, StringType, StructType

    source = DataplatSource({"path": "t", "lake": lake.url})
    read = source.reader(StructType().add("s", StringType()))
    assert [batch.to_pydict() for each in read.partitions() for batch in read.read(each)] == [{"s": ["a", "b"]}]
    with pytest.raises(SchemaMismatch, match="'s' is string in the version, and bigint was asked for"):
        source.reader(StructType().add("s", LongType()))
    with pytest.raises(SchemaError, match="no column 'x'"):
        source.reader(StructType().add("x", LongType()))


def test_spark_says_what_is_wrong(spark, lake):
    """What a user reads in Spark ends with the words of dataplat; nothing landed, whatever failed where."""
    before = {info.name: lake[info.name].id for info in lake.datasets()}
    frame = spark.range(3, 50, 1, 2).selectExpr("id as n", "'x' as s")

    def write(rows, into, **options):
        rows.write.format("dataplat").options(lake=lake.url, **options).mode("append").save(into)

    for rows, into, options, said in (
        (frame.selectExpr("array(parse_json('1')) as v"), "new", {}, "column 'v' is variant in Spark"),
        (frame.selectExpr("struct(make_ym_interval(1) as i) as v"), "new", {}, "column 'v.i' is interval"),
        (frame.selectExpr("map(struct(n), 1) as v"), "new", {}, "'v' is a map whose keys are struct"),
        (frame, "t", {"mod": "upsert"}, "did you mean 'mode'"),
        (frame.selectExpr("n / 2 as n", "s"), "t", {}, "does not fit int64 without loss"),
        (frame.selectExpr("n % 5 + 10 as n", "s"), "t", {}, "input rows repeat a key"),
    ):
        with pytest.raises(Exception, match=said):
            write(rows, into, **options)
    assert {info.name: lake[info.name].id for info in lake.datasets()} == before


@pytest.mark.slow
def test_tasks_that_fail_and_drivers_that_die_leave_nothing_named(tmp_path, in_tasks):
    """A task that fails first is counted once; a driver killed before its commit leaves no version, and gc clears up."""
    lake = dp.open(tmp_path / "lake")
    settings = {
        "spark.ui.enabled": "false",
        "spark.driver.memory": "1g",
        "spark.sql.warehouse.dir": str(tmp_path / "warehouse"),
        "spark.local.dir": str(tmp_path / "local"),
    }
    command = [sys.executable, "-c", CHILD, lake.url, json.dumps(settings)]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "SPARK_LOCAL_IP": "127.0.0.1"}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr[-3000:]
    assert done.stdout.split() == ["retried"]
    assert [info.name for info in lake.datasets()] == ["retried"]
    assert sorted(lake["retried"].to_arrow().column("id").to_pylist()) == list(range(1000))
    assert lake.gc(grace="0s").done.objects > 0
    in_tasks(lake, [pa.table({"id": range(1000)})], "killed")
    assert lake["killed"].rows == 1000
    assert lake.verify().ok
