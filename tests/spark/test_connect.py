"""Lakes over Spark Connect: the server has dataplat, and the client is another process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pyarrow as pa

import dataplat as dp
from servers.spark import ROOT

CLIENT = """
import json, sys
from pyspark.sql import SparkSession
spark = SparkSession.builder.remote(sys.argv[1]).getOrCreate()
rows = spark.range(1000).selectExpr("id as k", "id % 7 as v")
rows.write.format("dataplat").option("lake", sys.argv[2]).option("key", "k").mode("append").save("written")
read = spark.read.format("dataplat").option("lake", sys.argv[2])
print(json.dumps({"rows": read.load("written").where("v = 3").count(), "there": [r[0] for r in read.load("t").sort("n").collect()]}))
spark.stop()
"""
WITH_DATAPLAT = """
import json, sys
import dataplat as dp
lake = dp.open(sys.argv[2])
spark = lake.spark(sys.argv[1])
done = lake.ingest(sys.argv[3], into="days", engine="spark")
print(json.dumps({"same": lake.spark() is spark, "fast": lake["t"].to_spark().selectExpr("sum(n)").first()[0], "rows": done.rows_added}))
spark.stop()
"""


def run(script: str, *arguments: object) -> dict[str, Any]:
    """Run a client; return what it prints last."""
    env = {name: value for name, value in os.environ.items() if name not in {"JAVA_HOME", "PYTHONPATH"}}
    env["PYTHONPATH"] = str(ROOT)
    command = [sys.executable, "-W", "ignore", "-c", script, *map(str, arguments)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_a_client_reads_and_writes(spark_connect, tmp_path):
    """A client that starts no Java of its own: `format("dataplat")` makes a version whose id is that of the same rows here."""
    lake = dp.open(tmp_path / "lake")
    lake.ingest(pa.table({"n": [1, 2, 3]}), into="t")
    found = run(CLIENT, spark_connect.url, tmp_path / "lake")
    assert found == {"rows": 143, "there": [1, 2, 3]}
    here = pa.table({"k": range(1000), "v": [k % 7 for k in range(1000)]})
    assert lake.ingest(here, into="here", key="k").version.content_id == lake["written"].content_id


def test_sessions_over_connect_are_sessions(spark_connect, tmp_path):
    """`lake.spark("sc://…")`, `to_spark` and an ingest by tasks work as they do with a Spark of this process."""
    lake = dp.open(tmp_path / "lake")
    lake.ingest(pa.table({"n": [1, 2, 3]}), into="t")
    lake.delete("t", "n = 2")
    (tmp_path / "days.csv").write_text("day,at\n1,2\n3,4\n", "utf-8")
    found = run(WITH_DATAPLAT, spark_connect.url, tmp_path / "lake", tmp_path / "days.csv")
    assert found == {"same": True, "fast": 4, "rows": 2}
