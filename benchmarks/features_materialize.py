"""Snapshots of wide features from a lake, whole and after 1 % changed: embedded and in Redis, beside Feast and a raw LMDB append."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from benchmarks import _feast
from benchmarks._measure import DATA, HERE, Side, compare, side_program
from benchmarks._settings import Settings
from benchmarks._table import NOT_MEASURED, Line, Table, of, ratio

OURS, REDIS, RAW, FEAST = "dataplat, embedded", "dataplat, Redis", "raw LMDB append", "Feast SQLite"
FEW = 20_000
"""Entities that Feast materialises: it takes a second for a thousand of them."""


def tables(settings: Settings) -> list[Table]:
    """Measure at most a million entities × 20 features; each side in a folder and a cache of its own."""
    sys.path.insert(0, str(HERE.parent / "tests" / "services"))
    from servers.redis import redis_server

    DATA.mkdir(exist_ok=True)
    entities = min(settings.small, 1_000_000)
    folder = Path(tempfile.mkdtemp(prefix="redis-", dir=DATA))
    try:
        with redis_server(folder, fsync="everysec") as server:

            def emptied(_: Path) -> None:
                with server.client() as client:
                    client.flushall()

            sides = [
                Side(OURS, lambda scratch: _program("full", scratch, entities)),
                Side(REDIS, lambda scratch: _program("redis", scratch, entities, server.url), emptied),
                Side(RAW, lambda scratch: _program("lmdb", scratch, entities)),
            ]
            if settings.slow:
                sides.append(Side(FEAST, lambda scratch: _with_feast(scratch, min(FEW, entities)), once=True))
            results = compare(sides, settings.repeat)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    cells = {name: of(results, name, "cells_per_s") for name in (OURS, REDIS, FEAST)}
    lines = (
        _speed("cells a second, embedded", cells[OURS], 2e6),
        _speed("cells a second, Redis", cells[REDIS], 3e5),
        _beside(cells[OURS], cells[FEAST]),
        *(
            ratio(
                f"after 1 % changed, of the time of the full one, {word}",
                of(results, name, "changed_seconds"),
                of(results, name, "seconds"),
                0.03,
            )
            for name, word in ((OURS, "embedded"), (REDIS, "Redis"))
        ),
    )
    return [Table(f"Snapshot of {entities:,} entities × 20 features", lines, tuple(results))]


def _speed(what: str, cells: float | None, reach: float) -> Line:
    bound = f"≥ {reach / 1e6:g} M"
    if cells is None:
        return Line(what, NOT_MEASURED, bound, None)
    return Line(what, f"{cells / 1e6:.2f} M", bound, cells >= reach)


def _beside(ours: float | None, feast: float | None) -> Line:
    what = f"cells a second, beside Feast SQLite ({FEW:,} entities)"
    if ours is None or feast is None:
        return Line(what, NOT_MEASURED, "–", None)
    return Line(what, f"{ours / feast:,.0f} × ({ours:,.0f} / {feast:,.0f})", "–", None)


def _program(what: str, scratch: Path, entities: int, *more: str) -> list[str]:
    return side_program("features_materialize_sides", what, scratch, entities, *more)


def _with_feast(scratch: Path, entities: int) -> list[str]:
    return [str(_feast.make()), *_program("feast", scratch, entities)[1:]]
