"""The same file again, and the same rows in another order and file split: neither may cost a new version."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

from benchmarks._data import need
from benchmarks._lake import fresh
from benchmarks._measure import DATA, DATAPLAT, Side, compare, link_tree, tree_bytes
from benchmarks._settings import Settings
from benchmarks._table import Line, Table, of, ratio
from benchmarks.ingest import dataplat_ingest


def tables(settings: Settings) -> list[Table]:
    """Measure both beside the first ingest of the CSV file."""
    rows = settings.large
    source, shuffled = need("csv", rows), need("shuffled", rows)
    base = DATA / f"lake-again-{rows}"
    fresh(base, source)
    data, everything = _data_bytes(base), tree_bytes(base, without=("memo",))

    def prepare(scratch: Path) -> None:
        link_tree(base, scratch / "lake")

    def after(scratch: Path) -> dict[str, float]:
        lake = scratch / "lake"
        new = _data_bytes(lake) - data
        records = tree_bytes(lake, without=("memo",)) - everything - new
        return {"new_data_bytes": new, "new_record_bytes": records, "versions": _versions(lake)}

    def again(scratch: Path) -> list[str]:
        return [DATAPLAT, "ingest", str(source), "--into", "rows", "--lake", str(scratch / "lake")]

    def reordered(scratch: Path) -> list[str]:
        into = ["--into", "rows", "--mode", "replace", "--lake", str(scratch / "lake")]
        return [DATAPLAT, "ingest", str(shuffled), *into]

    results = compare(
        [
            dataplat_ingest(source),
            Side("the same file again", again, prepare, after),
            Side("other order and split, replace", reordered, prepare, after),
        ],
        settings.repeat,
    )
    shutil.rmtree(base, ignore_errors=True)
    first = of(results, "dataplat")
    lines = [
        ratio("the same file again, beside the first", of(results, "the same file again"), first, 0.1),
        ratio("other order and split, beside the first", of(results, "other order and split, replace"), first, 1.1),
    ]
    for side in ("the same file again", "other order and split, replace"):
        new, versions = of(results, side, "new_data_bytes"), of(results, side, "versions")
        if new is not None and versions is not None:
            lines.append(
                Line(
                    f"{side}: new data bytes, versions",
                    f"{new:,.0f}, {versions:.0f}",
                    "0, 1",
                    (new, versions) == (0, 1),
                )
            )
    return [Table(f"Again, CSV, {rows:,} rows × 8", tuple(lines), tuple(results))]


def _data_bytes(lake: Path) -> int:
    return sum(path.stat().st_size for path in (lake / "objects").rglob("*") if path.suffix in {".parquet", ".bin"})


def _versions(lake: Path) -> int:
    log = [DATAPLAT, "version", "log", "rows", "--lake", str(lake), "--json"]
    said = subprocess.run(log, check=True, capture_output=True)
    return len({entry["version"] for entry in json.loads(said.stdout)})
