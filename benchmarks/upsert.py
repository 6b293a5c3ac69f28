"""Upsert 10,000 scattered keys of a large dataset, beside Lance and delta-rs."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from benchmarks._data import need
from benchmarks._lake import fresh
from benchmarks._measure import DATA, DATAPLAT, Side, compare, link_tree, side_program, tree_bytes
from benchmarks._settings import Settings
from benchmarks._table import Line, Table, at_most, of, ratio

PENDING, IDENTIFIED, COMMAND = "dataplat, content id pending", "dataplat, with content id", "dataplat, command line"


def tables(settings: Settings) -> list[Table]:
    """Measure time and new bytes; every side starts from its own committed dataset, Python and imports included."""
    rows = settings.large
    source, updates = need("parquet", rows), need("updates", rows)
    lake = DATA / f"lake-upsert-{rows}"
    fresh(lake, source, "--key", "id")
    sides = [_side(PENDING, "dataplat_upsert", "upsert", lake, updates)]
    sides.append(_side(IDENTIFIED, "dataplat_upsert", "identify", lake, updates))
    sides.append(_command(lake, updates))
    sides.append(_side("Lance merge_insert", "lance_upsert", "upsert", _made("lance", rows, source), updates))
    if settings.slow:
        sides.append(_side("delta-rs merge", "delta_upsert", "upsert", _made("delta", rows, source), updates))
    results = compare(sides, settings.repeat)
    shutil.rmtree(lake, ignore_errors=True)
    new = of(results, PENDING, "new_bytes")
    bound = updates.stat().st_size * 1.1 + 60_000
    lines = [
        at_most("with the content id, operation", of(results, IDENTIFIED, "seconds"), 1.0, "s"),
        ratio(
            "pending, operation, beside Lance",
            of(results, PENDING, "seconds"),
            of(results, "Lance merge_insert", "seconds"),
            1,
        ),
        ratio("pending, whole process, beside Lance", of(results, COMMAND), of(results, "Lance merge_insert"), 1),
    ]
    if new is not None:
        lines.append(Line("new bytes (memos apart)", f"{new:,.0f}", f"≤ {bound:,.0f}", new <= bound))
    return [Table(f"Upsert 10,000 scattered keys of {rows:,} rows × 8", tuple(lines), tuple(results))]


def _side(name: str, program: str, what: str, base: Path, updates: Path) -> Side:
    memos = tree_bytes(base, within=("memo",))
    objects = tree_bytes(base) - memos

    def after(scratch: Path) -> dict[str, float]:
        kept = tree_bytes(scratch / "base", within=("memo",))
        return {"new_bytes": tree_bytes(scratch / "base") - kept - objects, "new_memo_bytes": kept - memos}

    return Side(
        name,
        lambda scratch: side_program(program, what, updates, scratch / "base"),
        lambda scratch: link_tree(base, scratch / "base"),
        after,
    )


def _command(lake: Path, updates: Path) -> Side:
    def command(scratch: Path) -> list[str]:
        into = ["--into", "rows", "--mode", "upsert", "--lake", str(scratch / "base")]
        return [DATAPLAT, "ingest", str(updates), *into]

    return Side(COMMAND, command, lambda scratch: link_tree(lake, scratch / "base"))


def _made(kind: str, rows: int, source: Path) -> Path:
    path = DATA / f"{kind}-{rows}"
    if not path.exists():
        subprocess.run(side_program(f"{kind}_upsert", "make", source, path), check=True)
    return path
