"""Windows of 24 hours and 7 days for a spine of 1,000,000 rows over `--large` events, beside DuckDB's window SQL."""

from __future__ import annotations

import subprocess
from pathlib import Path

from benchmarks._measure import Side, compare, side_program
from benchmarks._settings import Settings
from benchmarks._table import Table, at_most, of, ratio
from benchmarks.features_join import FIRST, LATER, SPINE, data


def tables(settings: Settings) -> list[Table]:
    """Measure count, sum and mean of both windows: ours correctly rounded, DuckDB's not."""
    history, lake = data(settings.large)

    def ours(scratch: Path) -> list[str]:
        return side_program("features_windows_sides", "dataplat", history, SPINE, lake, scratch / "runs")

    def before(scratch: Path) -> None:
        subprocess.run(ours(scratch), check=True, stdout=subprocess.DEVNULL)

    sides = [
        Side(FIRST, ours),
        Side(LATER, ours, before),
        Side("duckdb", lambda _: side_program("features_windows_sides", "duckdb", history, SPINE)),
    ]
    results = compare(sides, settings.repeat)
    theirs, rss = of(results, "duckdb"), of(results, FIRST, "rss")
    lines = (
        ratio("first run / DuckDB", of(results, FIRST), theirs, 2),
        ratio("later runs / DuckDB", of(results, LATER), theirs, 2),
        at_most("peak memory", None if rss is None else rss / 1e9, 1.5, "GB"),
    )
    return [Table(f"Windows of 24 h and 7 d, {SPINE:,} rows over {settings.large:,} events", lines, tuple(results))]
