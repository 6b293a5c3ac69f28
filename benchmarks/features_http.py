"""Lookups over HTTP, one worker: beside Feast's server, FastAPI with pydantic, and bare ASGI with the same store call."""

from __future__ import annotations

from pathlib import Path

from benchmarks._measure import DATA, Result, Side, compare, side_program
from benchmarks._settings import Settings
from benchmarks._table import NOT_MEASURED, Line, Table, of

CASES = ("batch 1, 1 connections", "batch 1, 32 connections", "batch 100, 1 connections", "batch 100, 32 connections")
PEERS = (("feast", 20.0), ("fastapi", 3.0), ("bare", 0.7))
"""How many times as many requests in a CPU second as each."""


def tables(settings: Settings) -> list[Table]:
    """Measure each server in a process of its own; CPU is the server's, start not counted."""
    DATA.mkdir(exist_ok=True)
    sides = [_side(name) for name in ("dataplat", "bare", "fastapi", *(("feast",) if settings.slow else ()))]
    results = compare(sides, settings.repeat)
    lines = [_line(results, case, peer, reach) for peer, reach in PEERS for case in CASES]
    return [Table("Lookups over HTTP, 50 features of 5 views, requests in a CPU second", tuple(lines), tuple(results))]


def _side(name: str) -> Side:
    def command(scratch: Path) -> list[str]:
        return side_program("features_http_sides", name, scratch)

    return Side(name, command, once=name == "feast")


def _line(results: list[Result], case: str, peer: str, reach: float) -> Line:
    ours, theirs = (of(results, side, f"{case}: requests a CPU second") for side in ("dataplat", peer))
    what, bound = f"{case}, beside {peer}", f"≥ {reach:g} ×"
    if ours is None or theirs is None:
        return Line(what, NOT_MEASURED, bound, None)
    return Line(what, f"{ours / theirs:.2f} × ({ours:,.0f} / {theirs:,.0f})", bound, ours >= reach * theirs)
