"""Open a version of 1,000 parts and get its first batch, beside a raw pyarrow dataset of the same files."""

from __future__ import annotations

import shutil
import subprocess

from benchmarks._data import need
from benchmarks._measure import DATA, Side, compare, side_program
from benchmarks._settings import Settings
from benchmarks._table import Table, of, ratio

ROWS = 1_000_000


def tables(settings: Settings) -> list[Table]:
    """Measure the operation itself: imports, equal on both sides, come before the clock starts."""
    lake, files = DATA / "lake-parts", DATA / "parts"
    for folder in (lake, files):
        shutil.rmtree(folder, ignore_errors=True)
    files.mkdir()
    subprocess.run(side_program("make_parts", need("parquet", ROWS), lake, files), check=True)
    results = compare(
        [
            Side("pyarrow dataset", lambda _: side_program("first_batch", "pyarrow", files)),
            Side("dataplat", lambda _: side_program("first_batch", "dataplat", lake)),
        ],
        max(settings.repeat, 5),
    )
    count = len(list(files.iterdir()))
    for folder in (lake, files):
        shutil.rmtree(folder, ignore_errors=True)
    ours, theirs = of(results, "dataplat", "seconds"), of(results, "pyarrow dataset", "seconds")
    line = ratio("open and first batch, operation", ours, theirs, 1.2, plus=0.03)
    return [Table(f"First batch of a version of {count:,} parts", (line,), tuple(results))]
