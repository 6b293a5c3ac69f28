"""Nine checks of 10 M rows × 10 columns: of a Parquet file beside others, of our own parts, and after an append to 1,000."""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

from benchmarks._measure import DATA, HERE, Side, compare, link_tree, side_program
from benchmarks._settings import Settings
from benchmarks._table import NOT_MEASURED, Line, Table, at_most, of, ratio

OURS, PANDERA, BY_HAND = "dataplat", "pandera, polars", "one polars query by hand"
POINTBLANK, GX = "pointblank", "Great Expectations, pandas"
STATISTICS, FULL, APPENDED = "dataplat, ranges, nulls, types", "dataplat, all parts", "dataplat, one part more"
PARTS = 1_000
_MOST_MB = 800
_MOST_MS = 20
_MOST_SHARE = 0.03

_PEERS = {
    POINTBLANK: ("pointblank", "pointblank", ("pointblank", "polars", "pyarrow")),
    GX: ("great_expectations", "gx", ("great_expectations", "pandas<3", "pyarrow")),
}


def tables(settings: Settings) -> list[Table]:
    """Measure the validations themselves: modules are imported and contracts made before."""
    DATA.mkdir(exist_ok=True)
    rows = settings.large
    file = DATA / f"validation-{rows}.parquet"
    if not file.exists():
        subprocess.run(side_program("validation_sides", "make", rows, file), check=True)
    return [_first(file, rows, settings), _statistics(file, rows, settings), _append(file, rows, settings)]


def _first(file: Path, rows: int, settings: Settings) -> Table:
    sides = [
        Side(name, lambda _, what=what: side_program("validation_sides", what, file))
        for name, what in ((OURS, "dataplat"), (PANDERA, "pandera"), (BY_HAND, "by_hand"))
    ]
    for name in _PEERS if settings.slow else ():
        sides += _peer(name, file)
    results = compare(sides, settings.repeat)
    ours, peak = of(results, OURS, "seconds"), of(results, OURS, "rss")
    cpu = of(results, OURS, "cpu_seconds")
    lines = [
        ratio("beside pandera", ours, of(results, PANDERA, "seconds"), 0.35),
        ratio("beside one query by hand", ours, of(results, BY_HAND, "seconds"), 0.8),
        ratio("CPU, beside pandera", cpu, of(results, PANDERA, "cpu_seconds"), 0.35),
        ratio("CPU, beside one query by hand", cpu, of(results, BY_HAND, "cpu_seconds"), 0.8),
        at_most("peak memory", None if peak is None else peak / 1e6, _MOST_MB, "MB"),
    ]
    return Table(
        f"First validation of a Parquet file, {rows:,} rows × 10 columns, nine checks", tuple(lines), tuple(results)
    )


def _statistics(file: Path, rows: int, settings: Settings) -> Table:
    lake = _lake(file, rows, 1)
    results = compare(
        [Side(STATISTICS, lambda _: side_program("validation_sides", "statistics", lake))], settings.repeat
    )
    read, seconds = (of(results, STATISTICS, figure) for figure in ("row_groups_read", "seconds"))
    cpu = of(results, STATISTICS, "cpu_seconds")
    lines = (
        at_most("row groups read", read, 0, "row groups"),
        at_most("validation", None if seconds is None else seconds * 1000, _MOST_MS, "ms"),
        at_most("CPU", None if cpu is None else cpu * 1000, _MOST_MS, "ms"),
    )
    return Table(f"Ranges, nulls and types of our own parts, {rows:,} rows", lines, tuple(results))


def _append(file: Path, rows: int, settings: Settings) -> Table:
    lake = _lake(file, rows, PARTS)
    sides = [
        Side(
            name,
            lambda scratch, what=what: side_program("validation_sides", what, scratch / "lake"),
            prepare=lambda scratch: link_tree(lake, scratch / "lake"),
        )
        for name, what in ((FULL, "full"), (APPENDED, "appended"))
    ]
    results = compare(sides, settings.repeat)
    equal, old = of(results, APPENDED, "equal"), of(results, APPENDED, "old_parts_read")
    lines = (
        at_most("old parts read", old, 0, "parts"),
        _share("time of the full run", of(results, APPENDED, "seconds"), of(results, FULL, "seconds")),
        _share("CPU of the full run", of(results, APPENDED, "cpu_seconds"), of(results, FULL, "cpu_seconds")),
        Line("report", {1.0: "equal", None: NOT_MEASURED}.get(equal, "another"), "equal", equal and equal == 1),
    )
    return Table(f"One part more than {PARTS:,} that were judged, {rows:,} rows", lines, tuple(results))


def _share(what: str, ours: float | None, full: float | None) -> Line:
    reach = f"≤ {_MOST_SHARE:.0%}"
    if ours is None or full is None:
        return Line(what, NOT_MEASURED, reach, None)
    return Line(
        what, f"{ours / full:.1%} ({ours * 1000:.0f} / {full * 1000:.0f} ms)", reach, ours <= _MOST_SHARE * full
    )


def _lake(file: Path, rows: int, parts: int) -> Path:
    folder = DATA / f"validation-{rows}-lake-{parts}"
    if not folder.exists():
        subprocess.run(side_program("validation_sides", "land", file, folder, parts), check=True)
    return folder


def _peer(name: str, file: Path) -> list[Side]:
    """Return the side of a peer in an environment of its own, or none where that cannot be made."""
    what, folder, packages = _PEERS[name]
    try:
        python = _environment(DATA / folder, packages)
    except subprocess.CalledProcessError as error:
        print(f"    {name} is left out: {' '.join(map(str, error.cmd[-len(packages) :]))} cannot be installed here")
        return []
    program = [str(python), str(HERE / "sides" / "validation_sides.py"), what, str(file)]
    return [Side(name, lambda _: program, once=True)]


def _environment(folder: Path, packages: tuple[str, ...]) -> Path:
    python = folder / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    if not (folder / "ready").exists():
        venv.create(folder, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "-q", *packages], check=True)
        (folder / "ready").touch()
    return python
