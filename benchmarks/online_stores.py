"""Where online features lie: the embedded store beside LMDB by hand, and beside a snapshot file mapped into memory."""

from __future__ import annotations

from pathlib import Path

from benchmarks._measure import Side, compare, side_program
from benchmarks._settings import Settings
from benchmarks._table import Line, Table, of

RECORD = 160


def tables(settings: Settings) -> list[Table]:
    """Measure a load, random reads, a change of one per cent and pushes."""
    keys = settings.small

    def side(way: str) -> Side:
        def command(scratch: Path) -> list[str]:
            return side_program("online_sides", way, scratch, keys, RECORD)

        return Side(way, command)

    results = compare([side("dataplat"), side("raw"), side("mapped")], settings.repeat)
    lines = []
    for figure, what, scale, unit in (
        ("load_s", "load", 1, "s"),
        ("get_1_us", "one key, p50", 1, "µs"),
        ("get_100_us", "100 keys, p50", 1, "µs"),
        ("change_s", "change of 1 %", 1, "s"),
        ("bytes", "on disk", 1e-6, "MB"),
        ("push_p50_ms", "push, p50", 1, "ms"),
        ("push_p99_ms", "push, p99", 1, "ms"),
    ):
        found = [of(results, way, figure) for way in ("dataplat", "raw", "mapped")]
        if all(value is not None for value in found):
            ours, raw, mapped = (value * scale for value in found if value is not None)
            lines.append(Line(what, f"{ours:.3g} {unit}", f"raw LMDB {raw:.3g}, mapped file {mapped:.3g}", None))
    pushes = of(results, "dataplat", "pushes_per_s")
    if pushes is not None:
        lines.append(Line("pushes of 16 threads", f"{pushes:,.0f} a second", "–", None))
    return [Table(f"Online stores, {keys:,} records of {RECORD} bytes", tuple(lines), tuple(results))]
