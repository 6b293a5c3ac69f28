"""Lakes on a real cluster: a master and workers as processes, and executors that get lost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

import dataplat as dp
from servers.spark import ROOT

DRIVER = '''
import json, os, signal, sys
from pathlib import Path
import pyarrow as pa
import dataplat as dp

folder, master = Path(sys.argv[1]), sys.argv[2]

def executor():
    """The process of Java that this one works for."""
    pid = os.getpid()
    while "CoarseGrainedExecutorBackend" not in (Path("/proc") / str(pid) / "cmdline").read_text():
        pid = int((Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[1])
    return pid

def mortal(batches, mark=str(folder / "killed")):
    for number, batch in enumerate(batches):
        yield batch
        if number == 1:
            try:
                os.close(os.open(mark, os.O_CREAT | os.O_EXCL))
            except FileExistsError:
                continue
            os.kill(executor(), signal.SIGKILL)

lake = dp.open(folder / "lake")
spark = lake.spark(
    master,
    ui_enabled=False,
    executor_memory="512m",
    driver_host="127.0.0.1",
    driver_bindAddress="127.0.0.1",
    local_dir=str(folder / "driver"),
    sql_execution_arrow_maxRecordsPerBatch=500,
    sql_warehouse_dir=str(folder / "warehouse"),
)
spark.sparkContext.setLogLevel("OFF")
read = spark.read.format("dataplat").option("lake", str(folder / "lake")).load("t")
rows = read.repartition(4)
(
    rows.mapInArrow(mortal, rows.schema)
    .write.format("dataplat").option("lake", str(folder / "lake")).option("key", "k").mode("append").save("copy")
)
started = spark.sparkContext._jsc.sc().getExecutorMemoryStatus().size() - 1
by_files = lake.ingest(str(folder / "days" / "*.csv"), into="days_by_spark", engine="spark")
print(json.dumps({
    "read": read.count(),
    "fast": lake["t"].to_spark(spark).selectExpr("sum(v)").first()[0],
    "killed": (folder / "killed").exists(),
    "rejected": by_files.rows_rejected,
    "executors": started,
}))
spark.stop()
'''


def drive(folder: Path, *arguments: str) -> dict[str, Any]:
    """Run the driver in a process of its own: one has a session of another Spark."""
    (folder / "driver.py").write_text(DRIVER, "utf-8")
    env = {**os.environ, "PYTHONPATH": str(ROOT), "SPARK_LOCAL_IP": "127.0.0.1"}
    command = [sys.executable, str(folder / "driver.py"), str(folder), *arguments]
    done = subprocess.run(command, env=env, cwd=folder, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_an_executor_that_is_killed_costs_time_and_nothing_else(spark_cluster, tmp_path):
    """Two executors read, write and land files; one is killed between two batches, and ids are those of this process."""
    rows = 20_000
    lake = dp.open(tmp_path / "lake")
    lake.ingest(pa.table({"k": np.arange(rows), "v": np.arange(rows) % 7}), into="t")
    (tmp_path / "days").mkdir()
    for day in range(6):
        lines = [f"{day},{at},{'x' if day == 5 and at == 3 else at / 2}" for at in range(50)]
        (tmp_path / "days" / f"{day}.csv").write_text("\n".join(["day,at,size", *lines]), "utf-8")
    lake.ingest(tmp_path / "days", into="days")
    found = drive(tmp_path, spark_cluster.url)
    assert found["killed"]
    assert found["read"] == rows
    assert found["fast"] == lake["t"].to_arrow()["v"].to_numpy().sum()
    assert found["executors"] >= 1
    assert lake["copy"].content_id == lake["t"].content_id
    assert lake["copy"].rows == rows
    assert lake["days_by_spark"].content_id == lake["days"].content_id
    named = {part.id for name in lake for part in lake[name].parts}
    stored = {path.parent.name + path.stem for path in (tmp_path / "lake" / "objects").glob("*/*.parquet")}
    assert named <= stored
    assert lake.verify().ok
