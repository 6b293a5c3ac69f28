"""A full disk, or a file that grows beyond a limit: one clear error, nothing landed, nothing damaged, nothing left over."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import dataplat as dp

_PROGRAM = """
import resource, sys
import numpy as np
import pyarrow as pa
import dataplat as dp
url, limit, rows, mode = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
lake = dp.open(url)
lake.ingest(pa.table({"a": [1], "b": [1]}), "d", key="a")
before = lake.refs.head("main").number
if limit:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
big = pa.table({"a": range(10, 10 + rows), "b": np.random.default_rng(1).integers(0, 2**62, rows)})
try:
    lake.ingest(big, "d", mode=mode)
except dp.StoreError as error:
    print(error)
assert lake.refs.head("main").number == before
assert lake["d"].rows == 1
assert lake.verify().ok
assert dp.open(url)["d"].to_arrow().column("a").to_pylist() == [1]
"""

SMALL, LARGE = 100_000, 1_500_000
"""Rows of a part that is made in memory, and of one that is written to a file on the way."""


def run(*words: str) -> str:
    """Run the program; return what it said of the error."""
    ended = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@pytest.mark.parametrize(("rows", "mode"), [(SMALL, "append"), (LARGE, "upsert"), (SMALL, "replace")])
def test_a_file_that_may_not_grow(tmp_path: Path, rows: int, mode: str) -> None:
    """Where a part grows beyond what a file may hold, the error says so, and the lake is as it was."""
    url = tmp_path / "lake"
    said = run(sys.executable, "-c", _PROGRAM, str(url), "300000", str(rows), mode)
    assert "the file is larger than the file system or a limit of this process allows" in said
    assert str(url) in said
    lake = dp.open(url)
    assert list((url / "tmp").rglob("*.parquet")) == []
    assert lake["d"].rows == 1


def _may_mount() -> bool:
    """Whether this process may mount a file system that nobody else sees."""
    tool = shutil.which("unshare")
    return tool is not None and subprocess.run([tool, "-rm", "true"], capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not _may_mount(), reason="needs a mount namespace for a small file system of its own")
@pytest.mark.parametrize("rows", [SMALL, LARGE])
def test_a_full_file_system(tmp_path: Path, rows: int) -> None:
    """On a file system that is full the error says so, what was there is whole, and it can be tried again."""
    script = f'mount -t tmpfs -o size=600k tmpfs "{tmp_path}" && exec "$@"'
    words = [sys.executable, "-c", _PROGRAM, str(tmp_path / "lake"), "0", str(rows), "append"]
    said = run("unshare", "-rm", "sh", "-c", script, "sh", *words)
    assert "the file system is full" in said
    assert list(tmp_path.iterdir()) == []  # the mount went with its process
