"""An export appears whole or not at all, and never over something else."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

import dataplat as dp
from dataplat._lake import Lake
from dataplat.versioning.export import _tables


@pytest.fixture
def lake(memory_lake: Lake) -> Lake:
    """A lake with a dataset `d`."""
    memory_lake.ingest(pa.table({"a": [1, 2]}), "d")
    return memory_lake


def test_says_what_it_wrote(lake: Lake, tmp_path: Path) -> None:
    """The result names the folder, and counts files, rows and bytes."""
    result = lake["d"].export(tmp_path / "deep" / "out")
    files = list(result.directory.iterdir())
    assert (result.files, result.rows) == (1, 2)
    assert result.nbytes == sum(file.stat().st_size for file in files)


def test_nothing_is_written_over(lake: Lake, tmp_path: Path) -> None:
    """A folder that holds something, or a file, is left alone."""
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("x")
    (tmp_path / "file").write_text("x")
    for name in ("full", "file"):
        with pytest.raises(dp.AlreadyExists, match="export into a new folder"):
            lake["d"].export(tmp_path / name)
    assert (tmp_path / "full" / "mine").read_text() == "x"


def test_an_empty_folder_will_do(lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty folder is taken, the one at hand too."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    lake["d"].export("empty")
    monkeypatch.chdir(tmp_path / "empty")
    with pytest.raises(dp.AlreadyExists):
        lake["d"].export(".")
    (tmp_path / "empty" / "part-00000.parquet").unlink()
    lake["d"].export(".")
    assert (tmp_path / "empty" / "part-00000.parquet").exists()


def test_a_failure_leaves_nothing(lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where writing fails half-way neither the folder nor a piece of it is left, and the error says where."""

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(_tables.pq, "ParquetWriter", full)
    with pytest.raises(dp.StoreError, match=f"cannot export to {tmp_path / 'out'}: the file system is full"):
        lake["d"].export(tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_export_left_goes_with_the_next(lake: Lake, tmp_path: Path) -> None:
    """Half an export of a process that is no more is removed, one of a process that runs is not."""
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    host = "".join(letter if letter.isalnum() else "_" for letter in socket.gethostname())
    left, runs = (tmp_path / f".out.partial-{host}-{pid}" for pid in (dead.pid, os.getppid()))
    for folder in (left, runs):
        folder.mkdir()
        (folder / "half.parquet").write_bytes(b"x")
    lake["d"].export(tmp_path / "out")
    assert runs.exists()
    assert not left.exists()


def test_unknown_formats_and_links(lake: Lake, tmp_path: Path) -> None:
    """A format or link that is not there is refused with those that are."""
    for options in ({"to": "xml"}, {"link": "symlink"}):
        with pytest.raises(dp.ConfigError, match="formats are"):
            lake["d"].export(tmp_path / "out", **options)
