"""An export of Label Studio of 1 GB to Arrow, beside `json` and a flattening by pandas."""

from __future__ import annotations

import subprocess

from benchmarks._measure import DATA, Side, compare, side_program
from benchmarks._settings import Settings
from benchmarks._table import NOT_MEASURED, Line, Table, of

OURS, PANDAS = "dataplat, read_export", "json.load and json_normalize"
LEAST_RATE, LEAST_RATIO, MOST_MEMORY = 30.0, 5.0, 500e6
BYTES_A_ROW = 1_000  # of the settings' small table: 1 GB as usual


def tables(settings: Settings) -> list[Table]:
    """Measure whole programs; the rate is that of the reading itself, in CPU seconds, modules imported before."""
    DATA.mkdir(exist_ok=True)
    size = settings.small * BYTES_A_ROW
    file = DATA / f"labels-{size}.json"
    if not file.exists():
        subprocess.run(side_program("labels_sides", "make", size, file), check=True)
    sides = [
        Side(OURS, lambda _: side_program("labels_sides", "dataplat", file)),
        Side(PANDAS, lambda _: side_program("labels_sides", "pandas", file), once=True),
    ]
    results = compare(sides, settings.repeat)
    rate, memory = of(results, OURS, "mb_per_s"), of(results, OURS, "rss")
    ours, theirs = of(results, OURS, "read_seconds"), of(results, PANDAS, "read_seconds")
    lines = (
        Line(
            "rate, one core",
            NOT_MEASURED if rate is None else f"{rate:.0f} MB/s",
            f"≥ {LEAST_RATE:.0f} MB/s",
            None if rate is None else rate >= LEAST_RATE,
        ),
        Line(
            "CPU, faster than pandas",
            NOT_MEASURED if not ours or not theirs else f"{theirs / ours:.1f} × ({theirs:.1f} / {ours:.1f} s)",
            f"≥ {LEAST_RATIO:.0f} ×",
            None if not ours or not theirs else theirs / ours >= LEAST_RATIO,
        ),
        Line(
            "peak memory",
            NOT_MEASURED if memory is None else f"{memory / 1e6:.0f} MB",
            f"≤ {MOST_MEMORY / 1e6:.0f} MB",
            None if memory is None else memory <= MOST_MEMORY,
        ),
    )
    return [Table(f"Answers: an export of {size / 1e9:.1f} GB to Arrow", lines, tuple(results))]
