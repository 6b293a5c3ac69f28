"""Reads rows with Spark in `local[2]`, in a way that is named; the last line is JSON.

python spark_read_sides.py data ROWS.parquet FOLDER SCRATCH
python spark_read_sides.py plain|delta|to_spark|format FOLDER SCRATCH

`data` makes what peers read: the rows as plain Parquet, those of them that a delete leaves, and a table of Delta. Each way
asks every question some times in one session, from `spark.read` to the answer, of all rows and of those that a delete has
left; it tells medians of seconds and of CPU seconds (of Spark and its workers), and a digest of the answers.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from spark_join_sides import session

DELTA = {
    "spark.jars.packages": "io.delta:delta-spark_4.2_2.13:4.4.0",
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    "spark.databricks.delta.snapshotPartitions": 2,  # of 50 tasks for a log of three entries most of the time would be
}
GONE = "quantity < 10"
"""Which rows are deleted: 1 %, all over the parts."""
PART_ROWS = 1 << 20
WARM = 3
"""How often all questions are asked before any is measured: Java compiles what it has met some times."""
TIMES = 5
COLUMNS = {"count": "flag", "integer": "id", "float": "price", "text": "city", "whole": ""}
"""The column that answers each question, where a source has to be told; for the last it takes all."""


def asked(question: str, frame: Any) -> int:
    """Return the answer to a question."""
    from pyspark.sql import functions as sf

    if question == "count":
        found: int = frame.count()
        return found
    answers = {
        "integer": lambda: sf.sum("id"),
        "float": lambda: sf.sum("price"),
        "text": lambda: sf.sum(sf.length("city")),
        "whole": lambda: sf.bit_xor(sf.xxhash64(*frame.columns)),
    }
    return round(frame.agg(answers[question]()).first()[0])  # a sum of floats depends on its order


def frames(way: str, folder: Path, spark: Any, *, deleted: bool) -> Callable[[str], Any]:
    """Return what makes the frame of a question, anew each time."""
    if way == "plain":
        return lambda _: spark.read.parquet(str(folder / ("left" if deleted else "plain")))
    if way == "delta":
        version = {} if deleted else {"versionAsOf": 0}
        return lambda _: spark.read.format("delta").options(**version).load(str(folder / "delta"))
    reference = "rows" if deleted else "rows@whole"
    if way == "format":
        ours = {name: {"columns": column} if column else {} for name, column in COLUMNS.items()}
        lake = str(folder / "lake")
        return lambda question: spark.read.format("dataplat").options(lake=lake, **ours[question]).load(reference)
    import dataplat as dp

    opened = dp.open(folder / "lake")
    return lambda _: opened[reference].to_spark(spark)


def ask(way: str, folder: Path, scratch: Path) -> None:
    """Ask each question `TIMES` times, after `WARM` times that are not counted."""
    spark = session(scratch, **(DELTA if way == "delta" else {}))
    figures: dict[str, float] = {}
    for deleted in (False, True):
        frame = frames(way, folder, spark, deleted=deleted)
        of = " of what is left" if deleted else ""
        answers = []
        for question in [*COLUMNS] * WARM:
            asked(question, frame(question))
        for question in COLUMNS:
            seconds, cpu = [], []
            for _ in range(TIMES):
                begin, before = time.perf_counter(), cpu_seconds()
                answer = asked(question, frame(question))
                seconds.append(time.perf_counter() - begin)
                cpu.append(cpu_seconds() - before)
            answers.append(answer)
            figures |= {question + of: statistics.median(seconds), f"{question}{of}, CPU": statistics.median(cpu)}
        figures[f"answers{of}"] = zlib.crc32(repr(answers).encode())
    print(json.dumps(figures))


def cpu_seconds() -> float:
    """Return the CPU seconds of this process and all that came of it."""
    parents, spent = {}, {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:  # it has ended
            continue
        pid = int(stat.parent.name)
        parents[pid], spent[pid] = int(fields[1]), sum(map(int, fields[11:15]))
    ours, found = {os.getpid()}, 0
    while len(ours) > found:
        found = len(ours)
        ours |= {pid for pid, parent in parents.items() if parent in ours}
    return sum(spent[pid] for pid in ours) / os.sysconf("SC_CLK_TCK")


def data(rows: Path, folder: Path, scratch: Path) -> None:
    """Make the peers' files, of as many rows as a part has."""
    spark = session(scratch, **DELTA, **{"spark.sql.parquet.compression.codec": "zstd"})
    frame = spark.read.parquet(str(rows))
    frame.write.option("maxRecordsPerFile", PART_ROWS).parquet(str(folder / "plain"))
    plain = spark.read.parquet(str(folder / "plain"))
    plain.where(f"not coalesce({GONE}, false)").write.option("maxRecordsPerFile", PART_ROWS).parquet(
        str(folder / "left")
    )
    delta = str(folder / "delta")
    spark.conf.set("spark.databricks.delta.properties.defaults.enableDeletionVectors", "true")
    plain.write.format("delta").option("maxRecordsPerFile", PART_ROWS).save(delta)
    spark.sql(f"DELETE FROM delta.`{delta}` WHERE {GONE}")


if __name__ == "__main__":
    what, *given = sys.argv[1:]
    if what == "data":
        data(*map(Path, given))
    else:
        ask(what, *map(Path, given))
