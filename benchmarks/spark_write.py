"""`--large` rows written by Spark: a commit with its content id, beside plain Parquet and Delta.

All read the same plain Parquet by Spark's own reader, in as many tasks, and write zstd; a second line takes away what reading
takes (the same frame, dropped). Delta is that of `spark_read`.
"""

from __future__ import annotations

from pathlib import Path

from benchmarks import spark_read
from benchmarks._measure import Result, Side, compare, side_program
from benchmarks._settings import Settings
from benchmarks._table import Line, Table, of, ratio

OURS, KEYED, PLAIN, DELTA, READING = "dataplat", "dataplat, with a key", "plain Parquet", "Delta", "reading alone"
WAYS = {OURS: "append", KEYED: "keyed", PLAIN: "plain", DELTA: "delta", READING: "noop"}
SECONDS, CPU = "seconds", "CPU"


def tables(settings: Settings) -> list[Table]:
    """Measure each way in `local[2]`."""
    plain = spark_read.data(settings.large) / "plain"
    results = compare([_side(name, way, plain) for name, way in WAYS.items()], settings.repeat)
    return [Table(f"Write with Spark, {settings.large:,} rows", tuple(_lines(results)), tuple(results))]


def _side(name: str, way: str, plain: Path) -> Side:
    return Side(name, lambda scratch: side_program("spark_write_sides", way, plain, scratch))


def _lines(results: list[Result]) -> list[Line]:
    ours, theirs, reading = (of(results, side, SECONDS) for side in (OURS, PLAIN, READING))
    found = [ratio("append, content id included / plain Parquet", ours, theirs, 1.6)]
    if reading is not None and ours is not None and theirs is not None:
        found.append(ratio("the same, less what reading takes", ours - reading, theirs - reading, 1.6))
    found += [
        ratio("the same, CPU", of(results, OURS, CPU), of(results, PLAIN, CPU), 1.6),
        ratio("into a dataset with a key / plain Parquet", of(results, KEYED, SECONDS), theirs, 1.6),
    ]
    if (delta := of(results, DELTA, SECONDS)) is not None:
        found.append(ratio("append, content id included / Delta", ours, delta, 1.6))
    return found
