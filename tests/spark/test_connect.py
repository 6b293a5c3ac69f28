"""Lakes over Spark Connect: the server has dataplat, and the client is another process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import dataplat as dp
from servers.installed import needs
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
from pyspark.util import is_remote_only
lake = dp.open(sys.argv[2])
spark = lake.spark(sys.argv[1])
done = lake.ingest(sys.argv[3], into="days", engine="spark")
named = lake.ingest("spark://csv/" + sys.argv[3] + "?header=true", into="named", master=sys.argv[1])
read = spark.read.format("dataplat").option("lake", sys.argv[2])
read.load("t").write.format("dataplat").option("lake", sys.argv[2]).mode("append").save("u")
print(json.dumps({
    "alone": is_remote_only(),
    "same": lake.spark() is spark,
    "fast": lake["t"].to_spark().selectExpr("sum(n)").first()[0],
    "rows": [done.rows_added, named.rows_added, read.load("u").count()],
}))
spark.stop()
"""


ALONE = """
import sys
import dataplat as dp
try:
    dp.open(sys.argv[1]).spark("local[2]")
except dp.errors.MissingExtra as error:
    print('"' + str(error) + '"')
"""


def run(script: str, *arguments: object, python: str = sys.executable) -> Any:
    """Run a client, where no Java is found; return what it prints last."""
    there = {"JAVA_HOME", "PYTHONPATH", "SPARK_HOME", "SPARK_LOCAL_IP"}
    env = {name: value for name, value in os.environ.items() if name not in there}
    env |= {"PYTHONPATH": str(ROOT), "PATH": str(Path(python).parent)}
    command = [python, "-W", "ignore", "-c", script, *map(str, arguments)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_a_client_reads_and_writes(spark_connect, tmp_path):
    """A client that starts no Java of its own: `format("dataplat")` makes a version whose id is that of the same rows here."""
    lake = dp.open(tmp_path / "lake")
    lake.ingest(pa.table({"n": [1, 2, 3]}), into="t")
    found = run(CLIENT, spark_connect.url, tmp_path / "lake")
    assert found == {"rows": 143, "there": [1, 2, 3]}
    here = pa.table({"k": range(1000), "v": [k % 7 for k in range(1000)]})
    assert lake.ingest(here, into="here", key="k").version.content_id == lake["written"].content_id


@pytest.mark.parametrize("alone", [True, False], ids=["pyspark-client", "pyspark"])
def test_sessions_over_connect_are_sessions(spark_connect, tmp_path, alone):
    """`lake.spark("sc://…")`, `to_spark`, ingests and engines, where no Spark is installed but its client, and no Java is found."""
    python = str(needs("spark-client") / "bin" / "python") if alone else sys.executable
    lake = dp.open(tmp_path / "lake")
    lake.ingest(pa.table({"n": [1, 2, 3]}), into="t")
    lake.delete("t", "n = 2")
    (tmp_path / "days.csv").write_text("day,at\n1,2\n3,4\n", "utf-8")
    found = run(WITH_DATAPLAT, spark_connect.url, tmp_path / "lake", tmp_path / "days.csv", python=python)
    assert found == {"alone": alone, "same": True, "fast": 4, "rows": [2, 2, 2]}
    assert lake["u"].content_id == lake["t"].content_id


def test_a_client_alone_says_what_it_lacks(tmp_path):
    """A Spark of this machine's own is asked for where only the client is installed: what to install, or which address."""
    dp.open(tmp_path / "lake")
    python = str(needs("spark-client") / "bin" / "python")
    assert "pip install 'dataplat[spark]'" in run(ALONE, tmp_path / "lake", python=python)
