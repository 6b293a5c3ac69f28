"""Writes rows with Spark in `local[2]`, in a way that is named; the last line is JSON.

python spark_write_sides.py noop|plain|delta|append|keyed PLAIN SCRATCH

All read the same plain Parquet by Spark's own reader, and write it some times in one session, each time to a new place; what
is told are medians of seconds and of CPU seconds (of Spark and its workers). `noop` drops the rows: what reading them takes.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

from spark_join_sides import session
from spark_read_sides import DELTA, cpu_seconds

import dataplat as dp

TIMES = 3
LAKES: dict[str, dict[str, str]] = {"append": {}, "keyed": {"key": "id"}}
"""Options of our ways."""
ZSTD = {"spark.sql.parquet.compression.codec": "zstd"}


def write(way: str, frame: Any, target: Path) -> None:
    """Write a frame to a new place."""
    if way == "noop":
        frame.write.format("noop").mode("overwrite").save()
    elif way == "plain":
        frame.write.parquet(str(target))
    elif way == "delta":
        frame.write.format("delta").save(str(target))
    else:
        writer = frame.write.format("dataplat").option("lake", str(target)).mode("append")
        writer.options(**LAKES[way]).save("rows")


def main(way: str, plain: Path, scratch: Path) -> None:
    spark = session(scratch, **ZSTD, **(DELTA if way == "delta" else {}))
    seconds, cpu = [], []
    for number in range(TIMES + 1):
        target = scratch / f"target-{number}"
        if way in LAKES:
            dp.open(target)
        begin, before = time.perf_counter(), cpu_seconds()
        write(way, spark.read.parquet(str(plain)), target)
        seconds.append(time.perf_counter() - begin)
        cpu.append(cpu_seconds() - before)
    size = sum(path.stat().st_size for path in target.rglob("*.parquet")) if target.exists() else 0
    figures = {"seconds": statistics.median(seconds[1:]), "CPU": statistics.median(cpu[1:]), "MB": size / 1e6}
    print(json.dumps(figures))


if __name__ == "__main__":
    what, *given = sys.argv[1:]
    main(what, *map(Path, given))
