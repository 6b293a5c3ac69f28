"""Lakes on a real cluster: a master and workers as processes, executors that get lost, and tasks that run twice."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import dataplat as dp
from servers.spark import QUICK, ROOT

DRIVER = '''
import json, os, signal, sys, time
from pathlib import Path
import pyarrow as pa
import dataplat as dp
from dataplat._spark._source import DataplatSource
from dataplat._spark._write import Writer

folder, master, settings = Path(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3])


def executor():
    """The process of Java that this one works for."""
    pid = os.getpid()
    while "CoarseGrainedExecutorBackend" not in (Path("/proc") / str(pid) / "cmdline").read_text():
        pid = int((Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[1])
    return pid


def note(what):
    """Write down what the attempt of a task does, whatever becomes of it."""
    from pyspark import TaskContext

    task = TaskContext.get()
    line = json.dumps({"what": what, "task": task.partitionId(), "attempt": task.taskAttemptId(), "executor": executor()})
    with open(folder / "notes", "a") as file:
        file.write(line + "\\n")


def first(mark):
    """Say whether nobody asked before, in any process."""
    try:
        os.close(os.open(folder / mark, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False
    return True


def mortal(batches):
    from pyspark import TaskContext

    for number, batch in enumerate(batches):
        yield batch
        if number == 1 and TaskContext.get().partitionId() == 0 and first("killed-among-rows"):
            note("dies among rows")
            os.kill(executor(), signal.SIGKILL)


def signed(batches):
    from pyspark import TaskContext

    attempt = TaskContext.get().taskAttemptId()
    for batch in batches:
        yield pa.record_batch({"id": batch.column("id"), "attempt": pa.array([attempt] * batch.num_rows, pa.int64())})


class MortalWriter(Writer):
    def write(self, iterator):
        from pyspark import TaskContext

        wrote = Writer.write(self, iterator)
        if TaskContext.get().partitionId() == 1 and first("killed-after-its-parts"):
            note("dies after its parts")
            os.kill(executor(), signal.SIGKILL)
            time.sleep(600)
        note("wrote")
        return wrote


class LateWriter(Writer):
    def write(self, iterator):
        from pyspark import TaskContext

        wrote = Writer.write(self, iterator)
        note("signed")
        if TaskContext.get().partitionId() == 0:
            late, end = first("late"), time.monotonic() + 300
            while late and not (folder / "twice").exists() and time.monotonic() < end:
                time.sleep(0.05)
            if not late:
                first("twice")
        return wrote


def source(kind, writer_of):
    class Own(DataplatSource):
        @classmethod
        def name(cls):
            return kind

        def writer(self, schema, overwrite):
            from dataplat._spark._source import WRITE, Settings

            return writer_of.of(Settings.of(self.options, WRITE), self.options, schema, overwrite=overwrite)

    return Own


lake = dp.open(folder / "lake")
spark = lake.spark(master, **settings)
spark.sparkContext.setLogLevel("ERROR")
for kind, writer_of in (("mortal", MortalWriter), ("late", LateWriter)):
    spark.dataSource.register(source(kind, writer_of))


def write(rows, kind, into, **options):
    rows.write.format(kind).option("lake", str(folder / "lake")).options(**options).mode("append").save(into)


read = spark.read.format("dataplat").option("lake", str(folder / "lake")).load("t")
write(read.repartition(4).mapInArrow(mortal, read.schema), "mortal", "copy", key="k")
write(spark.range(0, 400, 1, 4).mapInArrow(signed, "id long, attempt long"), "late", "signed")
by_files = lake.ingest(str(folder / "days" / "*.csv"), into="days_by_spark", engine="spark")
print(json.dumps({
    "read": read.count(),
    "fast": lake["t"].to_spark(spark).selectExpr("sum(v)").first()[0],
    "rejected": by_files.rows_rejected,
}))
spark.stop()
'''


def drive(folder: Path, master: str) -> dict[str, Any]:
    """Run the driver in a process of its own: this one has a session of another Spark."""
    settings = {
        "ui_enabled": False,
        "executor_memory": "512m",
        "executor_extraJavaOptions": " ".join(QUICK),
        "driver_extraJavaOptions": " ".join((*QUICK, f"-Dderby.system.home={folder}")),
        "driver_memory": "1g",
        "driver_host": "127.0.0.1",
        "driver_bindAddress": "127.0.0.1",
        "network_timeout": "600s",
        "local_dir": str(folder / "driver"),
        "speculation": True,  # after half of the tasks, and where two executors are free to do it
        "speculation_interval": "100ms",
        "speculation_multiplier": 1.5,
        "speculation_quantile": 0.5,
        "sql_execution_arrow_maxRecordsPerBatch": 500,
        "sql_warehouse_dir": str(folder / "warehouse"),
    }
    (folder / "driver.py").write_text(DRIVER, "utf-8")
    env = {**os.environ, "PYTHONPATH": str(ROOT), "SPARK_LOCAL_IP": "127.0.0.1"}
    command = [sys.executable, str(folder / "driver.py"), str(folder), master, json.dumps(settings)]
    done = subprocess.run(command, env=env, cwd=folder, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.slow
def test_executors_that_die_and_tasks_that_run_twice_cost_time_and_nothing_else(spark_cluster, tmp_path):
    """One executor is killed between two batches, one after its parts were put, one task is done twice: ids are those of here."""
    rows = 20_000
    lake = dp.open(tmp_path / "lake")
    lake.ingest(pa.table({"k": np.arange(rows), "v": np.arange(rows) % 7}), into="t")
    (tmp_path / "days").mkdir()
    for day in range(6):
        lines = [f"{day},{at},{'x' if day == 5 and at == 3 else at / 2}" for at in range(50)]
        (tmp_path / "days" / f"{day}.csv").write_text("\n".join(["day,at,size", *lines]), "utf-8")
    here = lake.ingest(tmp_path / "days", into="days")
    found = drive(tmp_path, spark_cluster.url)
    assert found["read"] == rows
    assert found["fast"] == lake["t"].to_arrow()["v"].to_numpy().sum()
    assert found["rejected"] == here.rows_rejected
    assert lake["copy"].content_id == lake["t"].content_id
    assert lake["days_by_spark"].content_id == lake["days"].content_id
    notes = [json.loads(line) for line in (tmp_path / "notes").read_text().splitlines()]
    for task, death in enumerate(("dies among rows", "dies after its parts")):
        (dead,) = [each for each in notes if each["what"] == death]
        again = [each for each in notes if each["what"] == "wrote" and each["task"] == task == dead["task"]]
        assert again, f"task {task} was never done"
        assert all(each["attempt"] != dead["attempt"] and each["executor"] != dead["executor"] for each in again)
    assert_one_attempt_counts(lake, tmp_path, [each for each in notes if each["what"] == "signed"])
    assert lake.verify().ok


def assert_one_attempt_counts(lake: dp.Lake, folder: Path, notes: list[dict[str, int]]) -> None:
    """Two attempts of task 0 wrote their parts: the version holds those of one, and nothing names those of the other."""
    table = lake["signed"].to_arrow()
    assert sorted(table["id"].to_pylist()) == list(range(400))
    wrote: dict[int, set[int]] = defaultdict(set)
    for each in notes:
        wrote[each["task"]].add(each["attempt"])
    assert len(wrote[0]) == 2, wrote
    counted = set(table["attempt"].to_pylist())
    assert [len(attempts & counted) for attempts in wrote.values()] == [1] * 4
    (lost,) = wrote[0] - counted
    named = {part.id for info in lake.datasets() for part in lake[info.name].parts}
    stored = {file.parent.name + file.stem: file for file in (folder / "lake" / "objects").glob("*/*.parquet")}
    assert named <= stored.keys()
    left = [pq.read_table(file) for part, file in stored.items() if part not in named]
    assert any("attempt" in each.column_names and set(each["attempt"].to_pylist()) == {lost} for each in left)
