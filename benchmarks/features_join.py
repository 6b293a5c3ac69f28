"""Training sets: a spine of 1,000,000 rows, three views, histories of `--large` rows each, beside raw engines and Feast."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from benchmarks import _feast
from benchmarks._measure import DATA, HERE, Result, Side, compare, side_program
from benchmarks._settings import Settings
from benchmarks._table import Line, Table, at_most, of, ratio

SPINE, SMALL = 1_000_000, 1_000
FIRST, LATER = "dataplat, first run", "dataplat, later runs"
RAW = ("numpy", "polars", "duckdb")
FEAST = ("feast duckdb", "feast dask")


def tables(settings: Settings) -> list[Table]:
    """Measure the joins, our memory on a history five times as long, and Feast on as many rows as it finishes with."""
    history, lake = data(settings.large)
    results = compare([*_ours(history, lake, SPINE), *(_raw(name, history, SPINE) for name in RAW)], settings.repeat)
    found = [
        Table(f"Training set, {SPINE:,} rows × 3 views × {settings.large:,}", tuple(_lines(results)), tuple(results))
    ]
    if settings.slow:
        found += [_long(settings), _with_feast(history, lake, settings)]
    return found


def data(rows: int) -> tuple[Path, Path]:
    """Return the folder of histories of so many rows, and a lake of them, made once."""
    DATA.mkdir(exist_ok=True)
    history, lake = DATA / f"history-{rows}", DATA / f"lake-history-{rows}"
    if not lake.exists():
        shutil.rmtree(history, ignore_errors=True)
        subprocess.run(side_program("features_join_sides", "data", history, rows), check=True)
        fresh = lake.with_suffix(".making")
        shutil.rmtree(fresh, ignore_errors=True)
        subprocess.run(side_program("features_join_sides", "lake", history, fresh), check=True)
        fresh.rename(lake)
    return history, lake


def _ours(history: Path, lake: Path, rows: int) -> list[Side]:
    def command(runs: str) -> Callable[[Path], list[str]]:
        return lambda scratch: side_program("features_join_sides", "dataplat", history, rows, lake, scratch / runs)

    def before(scratch: Path) -> None:
        subprocess.run(command("runs")(scratch), check=True, stdout=subprocess.DEVNULL)

    return [Side(FIRST, command("runs")), Side(LATER, command("runs"), before)]


def _raw(name: str, history: Path, rows: int) -> Side:
    return Side(name, lambda _: side_program("features_join_sides", name, history, rows))


def _lines(results: list[Result]) -> list[Line]:
    walls = [wall for name in RAW if (wall := of(results, name)) is not None]
    fastest = min(walls) if walls else None
    return [
        ratio("first run / the fastest raw engine", of(results, FIRST), fastest, 1.5),
        ratio("later runs / the fastest raw engine", of(results, LATER), fastest, 1.0),
        at_most("peak memory, first run", _gigabytes(results, FIRST), 1.5, "GB"),
        at_most("peak memory, later runs", _gigabytes(results, LATER), 1.5, "GB"),
    ]


def _gigabytes(results: list[Result], side: str) -> float | None:
    rss = of(results, side, "rss")
    return None if rss is None else rss / 1e9


def _long(settings: Settings) -> Table:
    """Measure our memory where the history is five times as long."""
    rows = 5 * settings.large
    history, lake = data(rows)
    results = compare(_ours(history, lake, SPINE), 1)
    lines = (
        at_most("peak memory, first run", _gigabytes(results, FIRST), 1.5, "GB"),
        at_most("peak memory, later runs", _gigabytes(results, LATER), 1.5, "GB"),
    )
    return Table(f"Training set, {SPINE:,} rows × 3 views × {rows:,}", lines, tuple(results))


def _with_feast(history: Path, lake: Path, settings: Settings) -> Table:
    """Measure Feast with the rows that it finishes with, beside us with the same."""
    python = _feast.make()

    def feast(name: str) -> Side:
        program = [str(python), str(HERE / "sides" / "feast_join.py")]
        arguments = [str(history), str(SMALL), name.removeprefix("feast ")]
        return Side(name, lambda scratch: [*program, *arguments, str(scratch)], once=True)

    results = compare([*_ours(history, lake, SMALL), *map(feast, FEAST)], settings.repeat)
    ours = of(results, FIRST)
    lines = []
    for name in FEAST:
        theirs = of(results, name)
        told = None if ours is None or theirs is None else theirs / ours
        reach = "≥ 10 ×" if name == "feast duckdb" else ""
        told_words = "not finished" if told is None else f"{told:.1f} ×"
        lines.append(Line(f"{name} / first run", told_words, reach, told is not None and told >= 10 if reach else None))
    return Table(
        f"Training set, {SMALL:,} rows × 3 views × {settings.large:,}, and Feast", tuple(lines), tuple(results)
    )
