"""Queues beside the SDK on a real Label Studio: pushing, pulling all, and pulling what changed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from benchmarks._measure import DATA, DATAPLAT, Result, Side, compare, side_program
from benchmarks._settings import Settings
from benchmarks._table import NOT_MEASURED, Line, Table, of, ratio

RAW_PUSH, PUSH = "import_tasks of the SDK", "dataplat, push"
RAW_PULL, PULL, CHANGED = "export, downloaded", "dataplat, full pull", "dataplat, pull after 1 % changed"
TASKS = 20_000


def tables(settings: Settings) -> list[Table]:
    """Measure one server, started for it, which is stopped and forgotten in the end."""
    DATA.mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="label-studio-", dir=DATA))
    before = os.environ.get("XDG_DATA_HOME")
    os.environ["XDG_DATA_HOME"] = str(folder)
    try:
        subprocess.run([DATAPLAT, "label", "server", "start"], check=True, stdout=subprocess.DEVNULL)
        from dataplat.labeling.label_studio._state import load

        state = load()
        assert state is not None
        return [_push(state.url, state.token, settings), _pull(state.url, state.token, folder)]
    finally:
        subprocess.run([DATAPLAT, "label", "server", "stop"], check=False, stdout=subprocess.DEVNULL)
        os.environ.pop("XDG_DATA_HOME")
        if before is not None:
            os.environ["XDG_DATA_HOME"] = before
        shutil.rmtree(folder, ignore_errors=True)


def _push(url: str, token: str, settings: Settings) -> Table:
    sides = [
        Side(RAW_PUSH, lambda scratch: side_program("label_sides", "raw-push", url, token, scratch, TASKS)),
        Side(PUSH, lambda scratch: side_program("label_sides", "push", url, token, scratch, TASKS)),
    ]
    results = compare(sides, min(settings.repeat, 2))
    lines = [ratio("push", of(results, PUSH, "seconds"), of(results, RAW_PUSH, "seconds"), 1.2)]
    return Table(f"Label Studio: {TASKS:,} text tasks pushed", tuple(lines), tuple(results))


def _pull(url: str, token: str, folder: Path) -> Table:
    home = folder / "pulled"
    home.mkdir()
    _program("make", url, token, home)

    def fresh(scratch: Path) -> None:
        shutil.copytree(home / "lake", scratch / "lake")

    def changed(scratch: Path) -> None:
        fresh(scratch)
        time.sleep(31)  # what was imported lies further back than what a pull reads again
        _program("touch", url, token, scratch)
        _program("pull", url, token, scratch)
        _program("change", url, token, scratch)

    def side(name: str, what: str, prepare: object) -> Side:
        return Side(name, lambda scratch: side_program("label_sides", what, url, token, scratch, TASKS), prepare)  # type: ignore[arg-type]

    results = compare([side(RAW_PULL, "raw-pull", fresh), side(PULL, "pull", fresh)], 1)
    results += compare([side(CHANGED, "pull-changed", changed)], 1)
    full = of(results, PULL, "seconds")
    lines = [
        ratio("full pull", full, of(results, RAW_PULL, "seconds"), 1.2),
        _share(results, "time of the full pull", "seconds", 0.10),
        _share(results, "bytes of the full pull", "bytes", 0.05),
    ]
    return Table(f"Label Studio: answers to {TASKS:,} tasks pulled", tuple(lines), tuple(results))


def _share(results: list[Result], what: str, figure: str, most: float) -> Line:
    few, all_ = of(results, CHANGED, figure), of(results, PULL, figure)
    if few is None or all_ is None:
        return Line(what, NOT_MEASURED, f"≤ {most:.0%}", None)
    return Line(what, f"{few / all_:.1%} ({few:,.2f} / {all_:,.2f})", f"≤ {most:.0%}", few <= most * all_)


def _program(what: str, url: str, token: str, folder: Path) -> None:
    done = subprocess.run(
        side_program("label_sides", what, url, token, folder, TASKS), check=True, stdout=subprocess.PIPE, text=True
    )
    json.loads(done.stdout.splitlines()[-1])
