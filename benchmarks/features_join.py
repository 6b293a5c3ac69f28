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

SPINE = 1_000_000
FIRST, LATER = "dataplat, first run", "dataplat, later runs"
RAW = ("numpy", "polars", "duckdb")
FEAST = {"feast duckdb": 10_000, "feast dask": 1_000}
"""Feast's stores, and how many rows of a spine each finishes with on this machine."""


def tables(settings: Settings) -> list[Table]:
    """Measure the joins, our memory on a history five times as long, and Feast on as many rows as it finishes with."""
    history, lake = data(settings.large)
    results = compare([*_ours(history, lake, SPINE), *(_raw(name, history, SPINE) for name in RAW)], settings.repeat)
    found = [
        Table(f"Training set, {SPINE:,} rows × 3 views × {settings.large:,}", tuple(_lines(results)), tuple(results))
    ]
    if settings.slow:
        found.append(_long(settings))
        found += [_with_feast(name, rows, history, lake, settings) for name, rows in FEAST.items()]
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


def _with_feast(name: str, rows: int, history: Path, lake: Path, settings: Settings) -> Table:
    """Measure one of Feast's stores with rows that it finishes with, beside us with the same."""
    program = [str(_feast.make()), str(HERE / "sides" / "feast_join.py"), str(history), str(rows)]
    theirs = Side(name, lambda scratch: [*program, name.removeprefix("feast "), str(scratch)], once=True)
    results = compare([*_ours(history, lake, rows), theirs], settings.repeat)
    lines = []
    for side in (FIRST, LATER):
        ours, its = of(results, side), of(results, name)
        reach = "≥ 10 ×" if name == "feast duckdb" and side == FIRST else ""
        told = None if ours is None or its is None else its / ours
        words = "not finished" if told is None else f"{told:.1f} ×"
        lines.append(Line(f"{name} / {side}", words, reach, told is not None and told >= 10 if reach else None))
    return Table(
        f"Training set, {rows:,} rows × 3 views × {settings.large:,}, and {name}", tuple(lines), tuple(results)
    )
