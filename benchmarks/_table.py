"""Prints comparisons with the ratios first, and keeps them in RESULTS.md."""

from __future__ import annotations

import datetime as dt
import platform
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks._measure import HERE, Result, quietness

NOT_MEASURED = "not measured"
RESULTS = HERE / "RESULTS.md"


@dataclass(frozen=True, slots=True)
class Line:
    """One figure that the issue asks for: the ratio or number reached, and what was to be reached."""

    what: str
    reached: str
    reach: str
    met: bool | None


@dataclass(frozen=True, slots=True)
class Table:
    """One comparison: its figures, and the measurements they come from."""

    title: str
    lines: tuple[Line, ...]
    results: tuple[Result, ...]

    def markdown(self) -> str:
        """Return it as Markdown, ratios first."""
        out = [f"### {self.title}", "", "| what | reached | to reach | |", "| --- | --- | --- | --- |"]
        out += [f"| {line.what} | **{line.reached}** | {line.reach} | {_mark(line.met)} |" for line in self.lines]
        out += [
            "",
            "| side | wall s (min–max) | CPU s | peak MB | runs | own figures |",
            "| --- | --- | --- | --- | --- | --- |",
        ]
        out += [
            f"| {r.side} | {r.wall:.3f} ({r.low:.3f}–{r.high:.3f}) | {r.cpu:.3f} | {r.rss / 1e6:.0f} | {r.runs} | {_own(r)} |"
            for r in self.results
        ]
        return "\n".join([*out, ""])


def _mark(met: bool | None) -> str:  # noqa: FBT001 - three states
    return {True: "met", False: "NOT met", None: ""}[met]


def _own(result: Result) -> str:
    return ", ".join(f"{key} {value:,.3f}".rstrip("0").rstrip(".") for key, value in result.figures.items())


def ratio(what: str, ours: float | None, theirs: float | None, reach: float, *, plus: float = 0.0) -> Line:
    """Return the line of `ours` against `theirs`, to be at most `reach` times (and `plus` seconds more)."""
    bound = f"≤ {reach:g} ×" + (f" + {plus * 1000:g} ms" if plus else "")
    if ours is None or theirs is None:
        return Line(what, NOT_MEASURED, bound, None)
    return Line(what, f"{ours / theirs:.2f} × ({ours:.3f} / {theirs:.3f} s)", bound, ours <= theirs * reach + plus)


def at_most(what: str, ours: float | None, reach: float, unit: str) -> Line:
    """Return the line of a figure that is to be at most `reach`."""
    if ours is None:
        return Line(what, NOT_MEASURED, f"≤ {reach:g} {unit}", None)
    return Line(what, f"{ours:,.3f} {unit}", f"≤ {reach:g} {unit}", ours <= reach)


def of(results: Sequence[Result], side: str, figure: str = "wall") -> float | None:
    """Return a median of one side, or None where it did not run."""
    for result in results:
        if result.side == side:
            return result.figures.get(figure) if figure not in {"wall", "cpu", "rss"} else getattr(result, figure)
    return None


def keep(tables: Sequence[Table], settings: str) -> None:
    """Append the tables to RESULTS.md, with date, machine and state of the code."""
    head = (
        f"## {dt.datetime.now(dt.UTC):%Y-%m-%d %H:%M} UTC, {_commit()}\n\n{_machine()}; {settings}; {quietness()}\n\n"
    )
    known = (
        RESULTS.read_text() if RESULTS.exists() else "# Measured\n\nWhole processes, medians; `make bench` appends.\n\n"
    )
    RESULTS.write_text(known + head + "\n".join(table.markdown() for table in tables) + "\n")


def _commit() -> str:
    git = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=HERE, capture_output=True, text=True, check=False
    )
    return f"commit {git.stdout.strip()}" if git.returncode == 0 else "no commit"


def _machine() -> str:
    model = platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [
            line.partition(":")[2].strip() for line in info.read_text().splitlines() if line.startswith("model name")
        ]
        model = names[0] if names else model
    return f"{model}, Python {platform.python_version()}, {platform.system()} {platform.release()}"
