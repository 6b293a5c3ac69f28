"""The inputs, made once, equal on every machine: 8 columns of numbers, strings, timestamps and nulls."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from benchmarks._measure import DATA, side_program

_NAMES = {
    "csv": "rows-{}.csv",
    "ndjson": "rows-{}.ndjson",
    "parquet": "rows-{}.parquet",
    "shuffled": "shuffled-{}-csv",
    "updates": "updates-{}.parquet",
    "more": "more-{}.parquet",
    "dump": "dump-{}.parquet",
    "dump-csv": "dump-{}.csv",
}
_MADE_FROM = {"more": None, "dump-csv": "dump", "parquet": None}


def need(kind: str, rows: int) -> Path:
    """Return the path of an input, made now if it is missing.

    Kinds: `csv`, `ndjson`, `parquet`; `shuffled` (the rows in another order over three CSV files, a folder);
    `updates` (10,000 scattered rows with other values, Parquet); `more` (1 % of rows that come on top, Parquet); `dump`
    and `dump-csv` (all rows again, 0.1 % of them with another value).
    """
    path = DATA / _NAMES[kind].format(rows)
    if not path.exists():
        DATA.mkdir(exist_ok=True)
        origin = _MADE_FROM.get(kind, "parquet")
        source = path if origin is None else need(origin, rows)
        print(f"    making {path.name}", file=sys.stderr, flush=True)
        subprocess.run(side_program("make_data", kind, rows, source, path), check=True)
    return path
