"""Features looked up in process, beside LMDB itself, a Polars select and Feast's SDK; and records packed and loaded."""

from __future__ import annotations

from pathlib import Path

from benchmarks import _feast
from benchmarks._measure import DATA, HERE, Result, Side, compare, side_program
from benchmarks._settings import Settings
from benchmarks._table import Line, Table, at_most, of

ENTITIES = 20_000
FEW = 1000
"""Entities of Feast, which loads some ten thousand cells a second."""
CASES = ("shared", "five", "lmdb", "hops", "on_demand", "select")


def tables(settings: Settings) -> list[Table]:
    """Measure each case in a process of its own; the figures are of calls within it."""
    DATA.mkdir(exist_ok=True)
    sides = [_side(case, ENTITIES) for case in CASES]
    python = _feast.python()
    if settings.slow and python is not None:
        program = str(HERE / "sides" / "feast_lookup.py")
        sides.append(Side("Feast", lambda scratch: [str(python), program, str(scratch), str(FEW)], once=True))
    results = compare(sides, settings.repeat)
    loads = compare([_side("load", min(settings.small, 1_000_000))], settings.repeat)
    return [
        Table("Lookups in process, microseconds", tuple(_lines(results)), tuple(results)),
        Table("Records of 20 features, packed and loaded", tuple(_loads(loads)), tuple(loads)),
    ]


def _side(case: str, entities: int) -> Side:
    def command(scratch: Path) -> list[str]:
        return side_program("features_lookup_sides", case, scratch, entities)

    return Side(case, command)


def _lines(results: list[Result]) -> list[Line]:
    lines = [
        at_most("1 entity × 50 features of 5 views, p50", of(results, "shared", "1 entity p50 µs"), 15, "µs"),
        at_most("100 entities, views share the entity, p50", of(results, "shared", "100 entities p50 µs"), 400, "µs"),
        at_most("100 rows of five entities, p50", of(results, "five", "100 entities p50 µs"), 1500, "µs"),
        at_most("one on-demand feature on a request, p50", of(results, "on_demand", "1 on 1 row p50 µs"), 100, "µs"),
        at_most("five on-demand features on a request, p50", of(results, "on_demand", "5 on 1 row p50 µs"), 300, "µs"),
        at_most("an on-demand feature, for each of 100 rows", _a_row(results), 3, "µs"),
    ]
    for what, side in (("Feast's SDK", "Feast"), ("LMDB and struct", "lmdb")):
        lines += [_beside(results, side, rows, what) for rows in ("1 entity", "100 entities")]
    hops = next((result.figures for result in results if result.side == "hops"), {})
    return lines + [at_most(f"hop feature, {name}", figure, 10, "µs") for name, figure in hops.items()]


def _beside(results: list[Result], side: str, rows: str, what: str) -> Line:
    """Return how long a peer takes, in lookups of ours."""
    ours, theirs = (of(results, each, f"{rows} p50 µs") for each in ("shared", side))
    reached = "" if ours is None or theirs is None else f"{theirs / ours:.2f} × ({theirs:,.1f} / {ours:,.1f} µs)"
    return Line(f"{what}, {rows}", reached, "", None)


def _a_row(results: list[Result]) -> float | None:
    """Return what an on-demand feature adds to each of a hundred rows."""
    none, one = (of(results, "on_demand", f"{count} on 100 rows p50 µs") for count in (0, 1))
    return None if none is None or one is None else (one - none) / 100


def _loads(results: list[Result]) -> list[Line]:
    found = []
    for what in ("packed", "loaded"):
        rate = of(results, "load", f"{what} M cells/s")
        if rate is not None:
            found.append(Line(f"cells {what} a second", f"{rate:.2f} M", "≥ 2 M", rate >= 2))
    return found
