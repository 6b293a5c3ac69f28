"""`--large` rows read by Spark: `to_spark` and `format("dataplat")`, beside Spark on plain Parquet and Delta.

The plain Parquet is what Spark itself writes of the rows: zstd, and at most as many rows a file as our parts have. The lake is
made by `dataplat ingest`. Delta is delta-spark 4.4.0, the newest for Spark 4.2 on Maven Central (the wheel 4.4.1 asks for jars
that are not there); its deletes are deletion vectors. Of what a delete leaves there are two peers: Delta, and plain Parquet
of these rows alone. Each time is from `spark.read` to the answer, the frame made anew; CPU seconds are of Spark and its workers,
which the CPU of a side's process is not.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

from benchmarks._data import need
from benchmarks._lake import fresh
from benchmarks._measure import DATA, DATAPLAT, Result, Side, compare, side_program
from benchmarks._settings import Settings
from benchmarks._table import Line, Table, of, ratio

FAST, FORMAT, PLAIN, DELTA = "to_spark", 'format("dataplat")', "plain Parquet", "Delta"
WAYS = {FAST: "to_spark", FORMAT: "format", PLAIN: "plain", DELTA: "delta"}
QUESTIONS = {
    "count": "count",
    "integer": "sum of a column of integers",
    "float": "sum of a column of floats",
    "text": "lengths of a column of texts",
    "whole": "hashes of whole rows",
}
LEFT = " of what is left"
GONE = "quantity < 10"
"""Which rows a delete takes: 1 %, all over the parts; `spark_read_sides` deletes the same."""


def tables(settings: Settings) -> list[Table]:
    """Measure each question in each way, in `local[2]`."""
    folder = data(settings.large)
    results = compare([_side(name, way, folder) for name, way in WAYS.items()], settings.repeat)
    _check_alike(results)
    rows = f"{settings.large:,}"
    return [
        Table(f"Read with Spark, {rows} rows", tuple(_lines(results)), tuple(results)),
        Table(f"Read with Spark, {rows} rows less 1 % deleted", tuple(_lines_of_left(results)), ()),
    ]


def _side(name: str, way: str, folder: Path) -> Side:
    return Side(name, lambda scratch: side_program("spark_read_sides", way, folder, scratch))


def _lines(results: list[Result]) -> list[Line]:
    return [
        ratio(f"{side}, {words} / {PLAIN}", of(results, side, question), of(results, PLAIN, question), reach)
        for side, reach in ((FAST, 1.2), (FORMAT, 1.5))
        for question, words in QUESTIONS.items()
    ]


def _lines_of_left(results: list[Result]) -> list[Line]:
    found = []
    for side, reach in ((FAST, 1.2), (FORMAT, 1.5)):
        for question, words in QUESTIONS.items():
            ours = of(results, side, question + LEFT)
            found += [
                ratio(f"{side}, {words} / {peer}", ours, of(results, peer, question + LEFT), reach)
                for peer in (DELTA, PLAIN)
                if of(results, peer) is not None
            ]
    return found


def _check_alike(results: list[Result]) -> None:
    """Refuse to compare the times of different answers."""
    for which in ("answers", f"answers{LEFT}"):
        answers = {result.side: result.figures[which] for result in results}
        if len(set(answers.values())) > 1:
            raise RuntimeError(f"Spark got different {which} in different ways: {answers}")


def data(rows: int) -> Path:
    """Return a folder with the rows in a lake (`lake`), as plain Parquet (`plain`, `left`) and in Delta, made once."""
    folder = DATA / f"spark-read-{rows}"
    if not folder.exists():
        source = need("parquet", rows)
        making = folder.with_suffix(".making")
        shutil.rmtree(making, ignore_errors=True)
        making.mkdir()
        with tempfile.TemporaryDirectory(dir=DATA) as scratch:
            subprocess.run(side_program("spark_read_sides", "data", source, making, scratch), check=True)
        fresh(making / "lake", source)
        for command in (["version", "tag", "whole"], ["version", "delete", "rows", "--where", GONE]):
            subprocess.run([DATAPLAT, *command, "--lake", making / "lake"], check=True, stdout=subprocess.DEVNULL)
        making.rename(folder)
    return folder
