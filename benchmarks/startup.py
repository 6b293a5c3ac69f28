"""What it costs to start: import, `--help`, `version list`, over an empty interpreter."""

from __future__ import annotations

import sys

from benchmarks._data import need
from benchmarks._lake import fresh
from benchmarks._measure import DATA, DATAPLAT, Side, compare
from benchmarks._settings import Settings
from benchmarks._table import Line, Table, of

REACH = {"import dataplat": 60, "dataplat --help": 200, "dataplat version list": 350}


def tables(settings: Settings) -> list[Table]:
    """Measure whole processes, many rounds: they are short."""
    DATA.mkdir(exist_ok=True)
    lake = DATA / "lake-startup"
    fresh(lake, need("csv", settings.small))
    results = compare(
        [
            Side("python -c pass", lambda _: [sys.executable, "-c", "pass"]),
            Side("import dataplat", lambda _: [sys.executable, "-c", "import dataplat"]),
            Side("dataplat --help", lambda _: [DATAPLAT, "--help"]),
            Side("dataplat version list", lambda _: [DATAPLAT, "version", "list", "--lake", str(lake)]),
        ],
        max(settings.repeat, 15),
    )
    empty = of(results, "python -c pass")
    lines = []
    for side, reach in REACH.items():
        ours = of(results, side)
        if ours is not None and empty is not None:
            over = (ours - empty) * 1000
            lines.append(Line(f"{side}, over an empty interpreter", f"{over:.0f} ms", f"≤ {reach} ms", over <= reach))
    return [Table("Start-up", tuple(lines), tuple(results))]
