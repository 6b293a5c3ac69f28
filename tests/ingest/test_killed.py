"""SIGKILL at any moment: the branch is where it was, or exactly one commit further."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import dataplat as dp

RUNS = 36
ROWS = 30_000

_ZYGOTE = """
import os, signal, sys, time
import pyarrow, pyarrow.csv, pyarrow.parquet, polars, numpy, pyroaring
import dataplat as dp
import dataplat._lake, dataplat.ingest._ingest, dataplat.connectors.files.csv, dataplat.versioning.publish
url = sys.argv[1]
print("ready", flush=True)
for line in sys.stdin:  # "path seconds": ingest in a child, which is killed after so long
    path, seconds = line.rsplit(" ", 1)
    child = os.fork()
    if not child:
        dp.open(url).ingest(path, "d", key="id")
        os._exit(0)
    begun = time.monotonic()
    while time.monotonic() - begun < float(seconds):
        if os.waitpid(child, os.WNOHANG) != (0, 0):
            break
        time.sleep(0.0005)
    else:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    print(time.monotonic() - begun, flush=True)
"""


@pytest.fixture
def zygote(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that has everything imported, and forks children that ingest."""
    process = subprocess.Popen(
        [sys.executable, "-c", _ZYGOTE, str(tmp_path / "lake")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONWARNINGS": "ignore"},  # Python 3.12 warns of a fork beside threads
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()
    if process.stdin is not None:
        process.stdin.close()


def ingest(zygote: subprocess.Popen[str], path: Path, seconds: float) -> float:
    """Ingest `path` in a child that is killed after `seconds`; return how long it lived."""
    assert zygote.stdin is not None
    assert zygote.stdout is not None
    zygote.stdin.write(f"{path} {seconds}\n")
    zygote.stdin.flush()
    return float(zygote.stdout.readline())


def staged(url: Path) -> list[Path]:
    """Files that are on their way into the store."""
    return [path for path in (url / "tmp").rglob("*") if path.is_file() and path.suffix not in {".queue", ".lock"}]


def ingests(lake: dp.Lake) -> int:
    """How many have landed: now and then a compaction follows one."""
    return sum(entry.mode == "append" for entry in lake.log("d"))


def test_killed_at_any_moment(tmp_path: Path, zygote: subprocess.Popen[str]) -> None:
    """Over many deaths: before or after, nothing in between; a second try ends it; nothing is left over."""
    url = tmp_path / "lake"
    dp.open(url)
    paths = []
    for n in range(RUNS):
        path = tmp_path / f"{n}.csv"
        path.write_text("id,x\n" + "".join(f"{n * ROWS + i},v{i}\n" for i in range(ROWS)))
        paths.append(path)
    takes = ingest(zygote, paths[0], 60)  # the first is let live, to learn how long one takes
    landed, died = 1, 0
    for path in paths[1:]:
        lived = ingest(zygote, path, random.uniform(0, takes * 1.4))
        lake = dp.open(url)
        now = ingests(lake)
        assert now - landed in {0, 1}
        if now == landed:
            died, takes = died + 1, max(takes, lived)
        landed = now
        assert lake["d"].rows == landed * ROWS
    assert 0 < died < RUNS - 1, f"all died before, or none: {died} of {RUNS}"
    lake = dp.open(url)
    for path in paths:
        lake.ingest(path, "d", key="id")
    assert ingests(lake) == RUNS
    assert lake["d"].rows == len(set(lake["d"].to_arrow().column("id").to_pylist())) == RUNS * ROWS
    assert lake.verify().ok
    del lake
    time.sleep(0.01)
    dp.open(url)
    assert staged(url) == []
