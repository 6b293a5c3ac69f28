"""Drift of 1 M + 1 M rows × 20 columns, of frames and from profiles, beside Evidently's preset and plain numpy histograms."""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

from benchmarks._measure import DATA, HERE, Side, compare, side_program
from benchmarks._settings import Settings
from benchmarks._table import NOT_MEASURED, Line, Table, of, ratio

OURS, PROFILES = "dataplat, frames", "dataplat, from profiles"
NUMPY, EVIDENTLY = "numpy histograms and PSI", "Evidently 0.7, drift preset"
MOST_SECONDS = 0.060


def tables(settings: Settings) -> list[Table]:
    """Measure what the comparison itself takes, data read and modules imported before."""
    DATA.mkdir(exist_ok=True)
    rows = settings.small
    files = [DATA / f"drift-{rows}-{side}.parquet" for side in ("before", "after")]
    if not all(file.exists() for file in files):
        subprocess.run(side_program("drift_sides", "make", rows, *files), check=True)
    sides = [
        Side(name, lambda _, what=what: side_program("drift_sides", what, *files))
        for name, what in ((OURS, "dataplat"), (NUMPY, "histograms"))
    ]
    lake = DATA / f"drift-{rows}-lake"
    if not lake.exists():
        subprocess.run(side_program("drift_sides", "land", *files, lake), check=True)
    sides.append(Side(PROFILES, lambda _: side_program("drift_sides", "profiles", lake)))
    if settings.slow:
        program = [str(_evidently()), str(HERE / "sides" / "drift_sides.py"), "evidently", *map(str, files)]
        sides.append(Side(EVIDENTLY, lambda _: program, once=True))
    results = compare(sides, settings.repeat)
    ours, theirs = of(results, OURS, "cpu_seconds"), of(results, EVIDENTLY, "cpu_seconds")
    faster = NOT_MEASURED if not ours or not theirs else f"{theirs / ours:.0f} × ({theirs:.2f} / {ours:.3f} s)"
    profiles = of(results, PROFILES, "cpu_seconds")
    lines = [
        Line("CPU, faster than Evidently", faster, "≥ 25 ×", None if not ours or not theirs else theirs / ours >= 25),
        ratio("CPU, beside numpy", ours, of(results, NUMPY, "cpu_seconds"), 1.3),
        Line(
            "from profiles, CPU",
            NOT_MEASURED if profiles is None else f"{profiles * 1000:.0f} ms",
            f"≤ {MOST_SECONDS * 1000:.0f} ms",
            None if profiles is None else profiles <= MOST_SECONDS,
        ),
    ]
    return [Table(f"Drift, {rows:,} + {rows:,} rows × 20 columns", tuple(lines), tuple(results))]


def _evidently() -> Path:
    """Return the Python of an environment with Evidently, which needs an older pandas than this one has."""
    folder = DATA / "evidently"
    python = folder / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    if not (folder / "ready").exists():
        venv.create(folder, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "-q", "evidently==0.7.*", "pandas<3", "pyarrow"], check=True)
        (folder / "ready").touch()
    return python
