"""The inputs, made once, equal on every machine: 8 columns of numbers, strings, timestamps and nulls."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from benchmarks._measure import DATA, side_program


def need(kind: str, rows: int) -> Path:
    """Return the path of an input, made now if it is missing.

    Kinds: `csv`, `ndjson`, `parquet`; `shuffled` (the rows in another order over three CSV files, a folder);
    `updates` (10,000 scattered rows with other values, Parquet).
    """
    suffix = {"csv": ".csv", "ndjson": ".ndjson", "parquet": ".parquet", "shuffled": "-csv", "updates": ".parquet"}[
        kind
    ]
    path = DATA / (f"{kind}-{rows}{suffix}" if kind in {"shuffled", "updates"} else f"rows-{rows}{suffix}")
    if not path.exists():
        DATA.mkdir(exist_ok=True)
        source = path if kind == "parquet" else need("parquet", rows)
        print(f"    making {path.name}", file=sys.stderr, flush=True)
        subprocess.run(side_program("make_data", kind, rows, source, path), check=True)
    return path
