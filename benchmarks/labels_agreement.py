"""Krippendorff's alpha of 100,000 units and five raters with gaps, at every level, beside the package `krippendorff`."""

from __future__ import annotations

from importlib.util import find_spec

from benchmarks._measure import DATA, Side, compare, side_program
from benchmarks._settings import Settings
from benchmarks._table import NOT_MEASURED, Line, Table, of, ratio

OURS, PEER = "dataplat", "krippendorff"
UNITS = 100_000
MOST_OFF = 1e-12


def tables(settings: Settings) -> list[Table]:
    """Measure what the four levels take together, ratings in memory and modules imported before."""
    DATA.mkdir(exist_ok=True)
    sides = [Side(OURS, lambda _: side_program("agreement_sides", "dataplat", UNITS))]
    if find_spec("krippendorff"):
        sides.append(Side(PEER, lambda _: side_program("agreement_sides", "peer", UNITS)))
    else:
        print("    krippendorff is not installed: pip install krippendorff")
    results = compare(sides, settings.repeat)
    off = of(results, PEER, "difference")
    lines = [
        Line(
            "farthest from krippendorff's, of four levels",
            NOT_MEASURED if off is None else f"{off:.1e}",
            f"≤ {MOST_OFF:g}",
            None if off is None else off <= MOST_OFF,
        ),
        ratio("time of krippendorff's", of(results, OURS, "seconds"), of(results, PEER, "seconds"), 1.0),
        ratio("CPU of krippendorff's", of(results, OURS, "cpu_seconds"), of(results, PEER, "cpu_seconds"), 1.0),
    ]
    return [Table(f"α, {UNITS:,} units × 5 raters, four levels", tuple(lines), tuple(results))]
