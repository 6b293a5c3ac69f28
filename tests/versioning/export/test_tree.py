"""A folder of files comes back as it was."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pyarrow as pa
import pytest

import dataplat as dp
from dataplat._lake import Lake


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a small, an empty and a large file."""
    root = tmp_path / "files"
    (root / "a" / "b").mkdir(parents=True)
    (root / "a" / "small.txt").write_text("hello")
    (root / "a" / "b" / "empty.bin").write_bytes(b"")
    (root / "ä ö.jpg").write_bytes(os.urandom(1 << 21))
    os.utime(root / "a" / "small.txt", ns=(1_600_000_000_123_456_789, 1_600_000_000_123_456_789))
    return root


def content(root: Path) -> dict[str, tuple[bytes, int]]:
    """The bytes and times of all files, by path."""
    files = [path for path in root.rglob("*") if path.is_file()]
    return {str(path.relative_to(root)): (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


@pytest.mark.parametrize("where", ["file", "memory"])
def test_comes_back_as_it_was(folder: Path, tmp_path: Path, memory_lake: Lake, where: str) -> None:
    """Paths, bytes and times are those that were ingested, to the nanosecond."""
    lake = dp.open(tmp_path / "lake") if where == "file" else memory_lake
    lake.ingest(folder, "files")
    result = lake["files"].export(tmp_path / "out")
    assert result.files == 3
    assert content(tmp_path / "out") == content(folder)
    assert lake.verify().ok


def test_large_files_may_be_links(folder: Path, tmp_path: Path) -> None:
    """With link="hardlink" a large file is the lake's own object, read-only."""
    lake = dp.open(tmp_path / "lake")
    lake.ingest(folder, "files")
    lake["files"].export(tmp_path / "out", link="hardlink")
    file = tmp_path / "out" / "ä ö.jpg"
    assert file.stat().st_nlink == 2
    assert file.stat().st_mode & 0o222 == 0


def test_damage_is_not_handed_on(folder: Path, tmp_path: Path) -> None:
    """A large file whose object was damaged is an error."""
    lake = dp.open(tmp_path / "lake")
    lake.ingest(folder, "files")
    [path] = [path for path in (tmp_path / "lake" / "objects").rglob("*.bin") if path.stat().st_size > 1 << 20]
    path.chmod(0o600)
    with path.open("r+b") as file:
        file.write(b"damage")
    with pytest.raises(dp.IntegrityError, match="its SHA-256 is not its name"):
        lake["files"].export(tmp_path / "out")
    assert not lake.verify().ok


def row(path: str) -> pa.Table:
    """A row of a tree that holds one file."""
    data = b"x"
    values = {"path": path, "size": 1, "media_type": "text/plain", "sha256": hashlib.sha256(data).hexdigest()}
    kinds = [pa.string(), pa.int64(), pa.string(), pa.string(), pa.timestamp("ns", "UTC"), pa.binary(), pa.string()]
    names = ["path", "size", "media_type", "sha256", "modified", "content", "object"]
    rows = [values | {"modified": None, "content": data, "object": None}]
    return pa.Table.from_pylist(rows, pa.schema(list(zip(names, kinds, strict=True))))


@pytest.mark.parametrize("path", ["../out", "/etc/x", "a/../../x", "..", "a/.."])
def test_no_path_leads_out(memory_lake: Lake, tmp_path: Path, path: str) -> None:
    """A row whose path leads out of the folder is refused, and nothing appears."""
    memory_lake.ingest(row(path), "files")
    with pytest.raises(dp.SchemaError, match="leads out of the folder"):
        memory_lake["files"].export(tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_no_file_is_written_over(memory_lake: Lake, tmp_path: Path) -> None:
    """Two rows of one path are refused: one of them would be lost."""
    for _ in range(2):
        memory_lake.ingest(row("a"), "files")
    with pytest.raises(dp.SchemaError, match="two rows have the path 'a'"):
        memory_lake["files"].export(tmp_path / "out")
