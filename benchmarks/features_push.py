"""From a push over HTTP to its value in every worker of a real server, while what is pushed lands by itself."""

from __future__ import annotations

from pathlib import Path

from benchmarks._measure import DATA, Side, compare, side_program
from benchmarks._settings import Settings
from benchmarks._table import NOT_MEASURED, Line, Table, of

REACH = 50.0
"""Milliseconds, the 99th of 100."""
WAYS = (("lmdb", "the embedded store"), ("redis", "Redis"))


def tables(settings: Settings) -> list[Table]:
    """Measure single rows one after another, and of eight clients at once, on either store."""
    DATA.mkdir(exist_ok=True)
    sides = [_side(name) for name, _ in WAYS]
    results = compare(sides, settings.repeat)
    lines = []
    for name, store in WAYS:
        for case in ("one client", "8 clients"):
            p50, p99 = (of(results, name, f"{case}: {which} ms") for which in ("p50", "p99"))
            told = NOT_MEASURED if p50 is None or p99 is None else f"{p50:.1f} / {p99:.1f} ms"
            what = f"{store}, {case}: push → visible in every worker, p50 / p99"
            lines.append(Line(what, told, f"p99 ≤ {REACH:g} ms", None if p99 is None else p99 <= REACH))
    return [Table("Pushes over HTTP, a server of two workers", tuple(lines), tuple(results))]


def _side(name: str) -> Side:
    def command(scratch: Path) -> list[str]:
        return side_program("features_push_sides", name, scratch)

    return Side(name, command)
