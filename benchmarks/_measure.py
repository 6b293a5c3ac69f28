"""Runs whole processes and measures them from outside.

Standard library only: a child's peak memory starts at that of the process it was spawned from, so this one stays
small, and everything that needs a data library is a program of its own in `sides/`.
"""

from __future__ import annotations

import functools
import json
import os
import shutil
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
DATA = HERE / "data"
BIN = Path(sys.executable).parent
DATAPLAT = str(BIN / "dataplat")


@dataclass(frozen=True, slots=True)
class Side:
    """One program of a comparison.

    `command` and `prepare` receive a scratch folder, fresh for every run; `prepare` is not measured, nor is
    `after`, which may report figures of its own (new bytes, say) beside those that the program prints as JSON in
    its last line. `once` marks a peer that is slow beyond interest: it runs one time, and the table says so.
    """

    name: str
    command: Callable[[Path], list[str]]
    prepare: Callable[[Path], None] | None = None
    after: Callable[[Path], dict[str, float]] | None = None
    once: bool = False


@dataclass(frozen=True, slots=True)
class Run:
    """What one run took: seconds of wall clock and of CPU (user and system), peak memory, figures of its own."""

    wall: float
    cpu: float
    rss: int
    figures: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Result:
    """The medians over the runs of one side, and the slowest and fastest wall clock."""

    side: str
    runs: int
    wall: float
    cpu: float
    rss: int
    low: float
    high: float
    figures: dict[str, float]


class SideFailed(RuntimeError):
    """A program ended with an error; the message holds the end of what it printed."""


def side_program(name: str, *arguments: object) -> list[str]:
    """Return the command of a program in `sides/`."""
    return [sys.executable, str(HERE / "sides" / f"{name}.py"), *map(str, arguments)]


def compare(sides: Sequence[Side], repeat: int) -> list[Result]:
    """Run all sides in turn, `repeat` rounds, so that a busy moment hits none of them alone."""
    runs: dict[str, list[Run]] = {side.name: [] for side in sides}
    broken: dict[str, str] = {}
    for number in range(repeat):
        for side in sides:
            if side.name in broken or (side.once and number):
                continue
            try:
                runs[side.name].append(_run(side))
            except SideFailed as error:
                broken[side.name] = str(error)
                print(f"    {side.name}: {error}", file=sys.stderr)
            else:
                last = runs[side.name][-1]
                print(f"    {side.name}: {last.wall:.3f} s wall, {last.cpu:.3f} s CPU, {last.rss >> 20} MB", flush=True)
    return [_summed(side.name, runs[side.name]) for side in sides if runs[side.name]]


def _run(side: Side) -> Run:
    scratch = Path(tempfile.mkdtemp(prefix="bench-", dir=DATA))
    try:
        if side.prepare is not None:
            side.prepare(scratch)
        run = measure(side.command(scratch))
        extra = side.after(scratch) if side.after is not None else {}
        return Run(run.wall, run.cpu, run.rss, run.figures | extra)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


@functools.cache
def _environment() -> dict[str, str]:
    """Return the environment of the programs: all Python of both sides is compiled before, as after a first use.

    A variable that forbids to keep compiled modules would add their compilation to every start of a process.
    """
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    packages = sysconfig.get_paths()["purelib"]
    compile_all = [sys.executable, "-m", "compileall", "-q", "-q", "-j", "0", packages, str(HERE.parent / "dataplat")]
    subprocess.run(compile_all, env=kept, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return kept


def measure(command: Sequence[str]) -> Run:
    """Run one program and measure it, its own children included."""
    environment = _environment()
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        begin = time.perf_counter()
        process = subprocess.Popen(command, stdout=out, stderr=err, stdin=subprocess.DEVNULL, cwd=DATA, env=environment)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - begin
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        printed = out.read().decode(errors="replace")
        if process.returncode != 0:
            said = (printed + err.read().decode(errors="replace")).strip()[-1500:]
            raise SideFailed(f"{' '.join(command)} ended with {process.returncode}: {said}")
    return Run(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024, _figures(printed))


def _figures(printed: str) -> dict[str, float]:
    lines = printed.strip().splitlines()
    try:
        last = json.loads(lines[-1]) if lines else {}
    except ValueError:
        return {}
    return {k: float(v) for k, v in last.items() if isinstance(v, int | float)} if isinstance(last, dict) else {}


def _summed(name: str, runs: Sequence[Run]) -> Result:
    walls = [run.wall for run in runs]
    return Result(
        side=name,
        runs=len(runs),
        wall=statistics.median(walls),
        cpu=statistics.median(run.cpu for run in runs),
        rss=max(run.rss for run in runs),
        low=min(walls),
        high=max(walls),
        figures={key: statistics.median(run.figures[key] for run in runs) for key in runs[0].figures},
    )


def link_tree(source: Path, target: Path) -> None:
    """Copy a folder of files that nobody changes in place, by hard links."""
    subprocess.run(["cp", "-al", str(source), str(target)], check=True)


def tree_bytes(folder: Path, *, within: Sequence[str] = (), without: Sequence[str] = ()) -> int:
    """Return the bytes of the files under `folder`, by the first part of their path."""
    total = 0
    for path in folder.rglob("*"):
        first = path.relative_to(folder).parts[0]
        if path.is_file() and first not in without and (not within or first in within):
            total += path.stat().st_size
    return total


def quietness() -> str:
    """Return the load of the machine: figures of a busy one are ratios at best."""
    one, five, _ = os.getloadavg()
    return f"load {one:.1f} (1 min), {five:.1f} (5 min) on {os.cpu_count()} cores"
