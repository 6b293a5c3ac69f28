"""Brings a topic of Kafka into a lake or into Parquet by Structured Streaming; the last line is JSON.

    spark_stream_sides.py dataplat|parquet SERVER TOPIC RECORDS SCRATCH

One session on two cores, which has done a job, reads the topic three times, each time by a new query: `cold_s` is what the
first takes, `seconds` the second, in which nothing is compiled any more, and `batches_s` a third, which is cut into ten
batches. Fields and types are given, so that nothing is guessed. `cpu_s` and `rss_mb` are of this process, of the JVM and of all that
it has started: CPU seconds of the second time, and the most memory of each, added up.
"""

import json
import os
import sys
import time
from contextlib import suppress
from pathlib import Path

SCHEMA = "id LONG, user STRING, at TIMESTAMP, amount DOUBLE, ok BOOLEAN, note STRING"
BATCHES = 10


def session(scratch):
    """Return a session that has done a job, with workers that run."""
    from dataplat._spark._session import session as made

    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    settings = {
        "spark.ui.enabled": False,
        "spark.driver.memory": "2g",
        "spark.local.dir": scratch / "local",
        "spark.sql.warehouse.dir": scratch / "warehouse",
    }
    spark = made("local[2]", extras=["kafka"], **settings)
    spark.sparkContext.setLogLevel("ERROR")
    spark.range(1000).mapInArrow(lambda batches: batches, "id long").count()
    return spark


def land(spark, sink, source, place, **limit):
    """Read the topic to its end; return seconds from the start of the query to its end."""
    from pyspark.sql.functions import col, from_json

    begin = time.perf_counter()
    read = spark.readStream.format("kafka").options(**source, **limit).load()
    rows = read.select(from_json(col("value").cast("string"), SCHEMA).alias("row")).select("row.*")
    stream = rows.writeStream.option("checkpointLocation", f"{place}-checkpoint").trigger(availableNow=True)
    stream = stream.format(sink)
    if sink == "dataplat":
        stream = stream.option("lake", str(place.parent / "lake"))
    stream.start(place.name if sink == "dataplat" else str(place)).awaitTermination()
    return time.perf_counter() - begin


def tree(pid):
    """Return a process and all that it has started that still run: of each the CPU seconds and the most memory in MB.

    CPU seconds are also those of children that ended.
    """
    found = {}
    for place in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            words = (place / "stat").read_text().rpartition(")")[2].split()
            ticks = sum(map(int, words[11:15])) / os.sysconf("SC_CLK_TCK")
            peak = [int(line.split()[1]) / 1024 for line in (place / "status").open() if line.startswith("VmHWM")]
            found[int(place.name)] = int(words[1]), ticks, sum(peak)
    family = {pid}
    while more := {child for child, (parent, *_) in found.items() if parent in family} - family:
        family |= more
    return [found[each][1:] for each in family if each in found]


def rows_of(spark, sink, place):
    """Return how many rows have landed."""
    if sink == "parquet":
        return spark.read.parquet(str(place)).count()
    import dataplat as dp

    return dp.open(place.parent / "lake")[place.name].rows


def main(sink, server, topic, records, scratch):
    import dataplat as dp

    scratch = Path(scratch)
    if sink == "dataplat":
        dp.open(scratch / "lake")
    spark = session(scratch)
    source = {
        "kafka.bootstrap.servers": server,
        "kafka.isolation.level": "read_committed",
        "subscribe": topic,
        "startingOffsets": "earliest",
    }
    cold = land(spark, sink, source, scratch / "cold")
    before = sum(cpu for cpu, _ in tree(os.getpid()))
    seconds = land(spark, sink, source, scratch / "warm")
    taken = sum(cpu for cpu, _ in tree(os.getpid())) - before
    batches = land(spark, sink, source, scratch / "batched", maxOffsetsPerTrigger=-(-int(records) // BATCHES))
    for name in ("cold", "warm", "batched"):
        rows = rows_of(spark, sink, scratch / name)
        assert rows == int(records), (name, rows)
    memory = sum(peak for _, peak in tree(os.getpid()))
    spark.stop()
    return {"seconds": seconds, "cold_s": cold, "batches_s": batches, "cpu_s": taken, "rss_mb": memory, "rows": rows}


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:])))
