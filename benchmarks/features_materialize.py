"""Snapshots of wide features from a lake, whole and after 1 % changed, beside a raw LMDB append of records of the same size."""

from __future__ import annotations

from benchmarks._measure import DATA, Side, compare, side_program
from benchmarks._settings import Settings
from benchmarks._table import Line, Table, of, ratio

OURS, RAW = "dataplat, embedded", "raw LMDB append"


def tables(settings: Settings) -> list[Table]:
    """Measure at most a million entities × 20 features; each side in a folder and a cache of its own."""
    DATA.mkdir(exist_ok=True)
    entities = min(settings.small, 1_000_000)
    results = compare([_side(OURS, "full", entities), _side(RAW, "lmdb", entities)], settings.repeat)
    cells = of(results, OURS, "cells_per_s")
    whole, changed = of(results, OURS, "seconds"), of(results, OURS, "changed_seconds")
    lines = (
        Line(
            "cells a second",
            "" if cells is None else f"{cells / 1e6:.1f} M",
            "≥ 2 M",
            None if cells is None else cells >= 2e6,
        ),
        ratio("after 1 % changed, of the time of the full one", changed, whole, 0.03),
    )
    return [Table(f"Snapshot of {entities:,} entities × 20 features", lines, tuple(results))]


def _side(name: str, what: str, entities: int) -> Side:
    return Side(name, lambda scratch: side_program("features_materialize_sides", what, scratch, entities))
