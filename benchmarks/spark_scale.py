"""What the driver does for versions of 1,000 to 100,000 parts: requests, bytes, memory, CPU seconds, and what a part more costs.

No race: parts are entries of a manifest, and what tasks would answer is made by `spark_scale_sides`. No Spark is needed.
"""

from __future__ import annotations

import subprocess

from benchmarks._measure import Result, Side, compare, side_program
from benchmarks._settings import Settings
from benchmarks._table import NOT_MEASURED, Line, Table, of

PARTS = (1_000, 10_000, 100_000)
STAGES = ("open", "read", "validate", "profile", "compact")


def tables(settings: Settings) -> list[Table]:
    """Measure each stage once at each size; with fewer than ten million rows (`--large`) without the largest."""
    sizes = PARTS if settings.large >= 10_000_000 else PARTS[:2]
    return [_stage(stage, sizes) for stage in STAGES]


def _stage(stage: str, sizes: tuple[int, ...]) -> Table:
    results = compare([_side(stage, parts) for parts in sizes], 1)
    few, many = sizes[-2:]
    names = [name for name in (results[-1].figures if results else {}) if name != "cpu_s"]
    lines = [_slope(results, name, few, many, unit) for name, unit in (("rss", "B"), ("cpu", "s"))]
    lines += [_slope(results, name, few, many, "" if name == "requests" else "B") for name in names]
    return Table(f"Driver of a version of many parts: {stage}", tuple(lines), tuple(results))


def _side(stage: str, parts: int) -> Side:
    def prepare(scratch):
        subprocess.run(side_program("spark_scale_sides", "make", scratch, parts), check=True)

    return Side(_named(parts), lambda scratch: side_program("spark_scale_sides", stage, scratch), prepare)


def _named(parts: int) -> str:
    return f"{parts:,} parts"


def _slope(results: list[Result], figure: str, few: int, many: int, unit: str) -> Line:
    low, high = of(results, _named(few), figure), of(results, _named(many), figure)
    what = f"{figure}, each part more"
    if low is None or high is None:
        return Line(what, NOT_MEASURED, "", None)
    return Line(what, f"{(high - low) / (many - few):.6g} {unit}".strip(), "", None)
