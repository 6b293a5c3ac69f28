"""Spark Structured Streaming, Kafka to Parquet, once it is warm: `SERVER TOPIC RECORDS FOLDER`; runs in Spark's own environment.

The topic is read twice by one session on two cores, and the second time is taken: session, first job and the
compilation of the JVM are not in it. Fields and types are given, so that nothing is guessed. `cpu_s` is what the JVM took
of both cores in that time.
"""

import json
import os
import sys
import time
from pathlib import Path

SCHEMA = "id LONG, user STRING, at TIMESTAMP, amount DOUBLE, ok BOOLEAN, note STRING"


def session():
    from pyspark.sql import SparkSession

    jars = ",".join(map(str, (Path(sys.prefix) / "jars").glob("*.jar")))
    settings = {"spark.jars": jars, "spark.ui.enabled": "false", "spark.driver.memory": "2g"}
    return SparkSession.builder.master("local[2]").config(map=settings).getOrCreate()


def land(spark, server, topic, folder):
    """Read the topic to its end; return seconds from the start of the query to its end."""
    from pyspark.sql.functions import col, from_json

    options = {
        "kafka.bootstrap.servers": server,
        "kafka.isolation.level": "read_committed",
        "subscribe": topic,
        "startingOffsets": "earliest",
    }
    begin = time.perf_counter()
    read = spark.readStream.format("kafka").options(**options).load()
    rows = read.select(from_json(col("value").cast("string"), SCHEMA).alias("row")).select("row.*")
    sink = rows.writeStream.format("parquet").option("checkpointLocation", f"{folder}-checkpoint")
    sink.trigger(availableNow=True).start(folder).awaitTermination()
    return time.perf_counter() - begin


def jvm():
    """Return seconds of CPU and peak memory in MB of the JVM that this process has started."""
    (pid,) = [child for task in Path("/proc/self/task").iterdir() for child in (task / "children").read_text().split()]
    ticks = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    (peak,) = [int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM")]
    return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK"), peak


def main(server, topic, records, folder):
    spark = session()
    cold = land(spark, server, topic, f"{folder}/cold")
    before, _ = jvm()
    seconds = land(spark, server, topic, f"{folder}/warm")
    after, rss = jvm()
    rows = spark.read.parquet(f"{folder}/warm").count()
    assert rows == int(records), rows
    spark.stop()
    return {"seconds": seconds, "cold": cold, "cpu_s": after - before, "rows": rows, "rss_mb": rss}


if __name__ == "__main__":
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    print(json.dumps(main(*sys.argv[1:])))
