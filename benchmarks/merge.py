"""Merge two branches that changed 50,000 scattered rows each of a large dataset."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from benchmarks._data import need
from benchmarks._lake import fresh
from benchmarks._measure import DATA, Side, compare, link_tree, side_program, tree_bytes
from benchmarks._settings import Settings
from benchmarks._table import Table, at_most, of

MERGE = "dataplat"


def tables(settings: Settings) -> list[Table]:
    """Measure the merge alone, in a fresh process, of branches that were made before."""
    rows = settings.large
    lake = DATA / f"lake-merge-{rows}"
    fresh(lake, need("parquet", rows), "--key", "id")
    try:
        for what, seed in (("ours", 17), ("theirs", 19)):
            made = side_program("dataplat_merge", what, lake, need("parquet", rows), seed)
            subprocess.run(made, check=True, stdout=subprocess.DEVNULL)
        results = compare([_side(lake)], settings.repeat)
    finally:
        shutil.rmtree(lake, ignore_errors=True)
    rss = of(results, MERGE, "rss")
    lines = (
        at_most("operation", of(results, MERGE, "seconds"), 3, "s"),
        at_most("peak memory", None if rss is None else rss / 1e6, 1000, "MB"),
    )
    return [Table(f"Merge of 2 × 50,000 changed rows of {rows:,} × 8", lines, tuple(results))]


def _side(lake: Path) -> Side:
    before = tree_bytes(lake)
    return Side(
        MERGE,
        lambda scratch: side_program("dataplat_merge", "merge", scratch / "base"),
        lambda scratch: link_tree(lake, scratch / "base"),
        lambda scratch: {"new_bytes": tree_bytes(scratch / "base") - before},
    )
