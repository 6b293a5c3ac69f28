"""Small commits: many processes on one branch, beside Lance and delta-rs, and a branch that has very many of them.

Ours are on the disk when they return (each file and its folder synced); those of the two others are not.
"""

from __future__ import annotations

from benchmarks._measure import Side, compare, side_program
from benchmarks._settings import Settings
from benchmarks._table import NOT_MEASURED, Line, Table, at_most, of

OURS = "dataplat"
COMPACTED, AS_THEY_CAME = "dataplat, auto-compaction on", "dataplat, a part per commit"
APPENDS = 20
BOUNDED = 16 * 1024
"""Bytes of metadata per commit, on average, that never are exceeded: a constant, whatever the history."""


def tables(settings: Settings) -> list[Table]:
    """Measure both; with fewer than ten million rows (`--large`) fewer processes and commits, to try it."""
    processes = max(2, min(32, settings.large // 312_500))
    commits = max(100, min(10_000, settings.large // 1000))
    return [_race(settings, processes), _history(commits)]


def _race(settings: Settings, processes: int) -> Table:
    sides = [_racing(OURS, "dataplat_commits", processes), _racing("Lance append", "lance_commits", processes)]
    if settings.slow:
        sides.append(_racing("delta-rs append", "delta_commits", processes))
    results = compare(sides, settings.repeat)
    lines = [
        at_most("failures", of(results, OURS, "failures"), 0, "commits"),
        _at_least("commits per second, once started", of(results, OURS, "commits_per_s"), 100),
    ]
    return Table(f"{processes} processes × {APPENDS} appends on one branch", tuple(lines), tuple(results))


def _racing(name: str, program: str, processes: int) -> Side:
    return Side(name, lambda scratch: side_program(program, "race", scratch / "table", processes, APPENDS))


def _history(commits: int) -> Table:
    results = compare([_growing(AS_THEY_CAME, commits, "false"), _growing(COMPACTED, commits, "true")], 1)
    lines = [
        *(
            _grown(f"p50 of the last commits beside the tenth, {side}", results, side)
            for side in (AS_THEY_CAME, COMPACTED)
        ),
        at_most("bytes of metadata per commit at the end", of(results, AS_THEY_CAME, "bytes_last"), BOUNDED, "B"),
        at_most("the same, auto-compaction on", of(results, COMPACTED, "bytes_last"), BOUNDED, "B"),
    ]
    return Table(f"Commit on a branch with {commits:,} commits and parts", tuple(lines), tuple(results))


def _growing(name: str, commits: int, compact: str) -> Side:
    def command(scratch):
        return [
            "env",
            f"DATAPLAT_COMPACT={compact}",
            *side_program("dataplat_commits", "grow", scratch / "lake", commits),
        ]

    return Side(name, command, once=True)


def _grown(what: str, results, side: str) -> Line:
    first, last = of(results, side, "p50_tenth_ms"), of(results, side, "p50_last_ms")
    if first is None or last is None:
        return Line(what, NOT_MEASURED, "≤ 1.3 ×", None)
    return Line(what, f"{last / first:.2f} × ({last:.1f} / {first:.1f} ms)", "≤ 1.3 ×", last <= 1.3 * first)


def _at_least(what: str, reached: float | None, reach: float) -> Line:
    if reached is None:
        return Line(what, NOT_MEASURED, f"≥ {reach:g}", None)
    return Line(what, f"{reached:,.0f}", f"≥ {reach:g}", reached >= reach)
