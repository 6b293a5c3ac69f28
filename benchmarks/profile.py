"""Profile of 1 M rows × 20 columns beside whylogs, and the merge of 1,000 profiles of 50 columns."""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

from benchmarks._measure import DATA, HERE, Side, compare, side_program
from benchmarks._settings import Settings
from benchmarks._table import NOT_MEASURED, Line, Table, at_most, of, ratio

OURS, WHYLOGS, MERGE = "dataplat, a table", "whylogs 1.6, a pandas frame", "dataplat, merge"
PARTS = 1_000


def tables(settings: Settings) -> list[Table]:
    """Measure CPU seconds of the operations themselves: modules are imported and data is read before."""
    DATA.mkdir(exist_ok=True)
    rows = settings.small
    file = DATA / f"profile-{rows}.parquet"
    if not file.exists():
        subprocess.run(side_program("profile_sides", "make", rows, file), check=True)
    sides = [Side(OURS, lambda _: side_program("profile_sides", "dataplat", file))]
    if settings.slow:
        program = [str(_whylogs()), str(HERE / "sides" / "profile_sides.py"), "whylogs", str(file)]
        sides.append(Side(WHYLOGS, lambda _: program, once=True))
    results = compare(sides, settings.repeat)
    lines = (
        ratio("CPU, beside whylogs", of(results, OURS, "cpu_seconds"), of(results, WHYLOGS, "cpu_seconds"), 1.0),
        _rate("numeric cells a CPU second", of(results, OURS, "numeric_cells_per_s"), 5e6),
        _rate("string cells a CPU second", of(results, OURS, "string_cells_per_s"), 2e6),
    )
    first = Table(f"Profile, {rows:,} rows × 20 columns", lines, tuple(results))
    merged = compare([Side(MERGE, lambda _: side_program("profile_sides", "merge", PARTS))], 1)
    seconds = at_most("CPU", of(merged, MERGE, "cpu_seconds"), 0.5, "s")
    return [first, Table(f"Merge of {PARTS:,} profiles of parts × 50 columns", (seconds,), tuple(merged))]


def _rate(what: str, reached: float | None, reach: float) -> Line:
    told = NOT_MEASURED if reached is None else f"{reached / 1e6:.1f} M"
    return Line(what, told, f"≥ {reach / 1e6:g} M", None if reached is None else reached >= reach)


def _whylogs() -> Path:
    """Return the Python of an environment with whylogs, which needs older versions of much than this one has."""
    folder = DATA / "whylogs"
    python = folder / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    if not (folder / "ready").exists():
        venv.create(folder, with_pip=True)
        subprocess.run(
            [
                python,
                "-m",
                "pip",
                "install",
                "-q",
                "whylogs==1.6.*",
                "setuptools<81",
                "pandas<3",
                "numpy<2",
                "pyarrow<20",
            ],
            check=True,
        )
        (folder / "ready").touch()
    return python
