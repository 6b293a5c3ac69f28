"""A directory of any files as a dataset."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dataplat.connectors.files import open_source, tree
from dataplat.connectors.source import Blob

Read = Callable[..., Any]


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Return a directory of files that are no tables."""
    (tmp_path / "cats").mkdir()
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "HEAD").write_text("x")
    (tmp_path / "cats" / "1.png").write_bytes(b"png")
    (tmp_path / "big.wav").write_bytes(b"w" * 2_000_000)
    (tmp_path / "empty").write_bytes(b"")
    return tmp_path


def test_one_row_per_file(images: Path, read_source: Read) -> None:
    """Path, size, media type, digest and time of each file; small ones hold their bytes, large ones name an object."""
    landed = read_source(open_source(images))
    rows = {row["path"]: row for row in landed.rows}
    assert list(rows) == ["big.wav", "cats/1.png", "empty"]
    assert rows["cats/1.png"]["content"] == b"png"
    assert rows["cats/1.png"]["media_type"] == "image/png"
    assert rows["empty"]["content"] == b""
    big = hashlib.sha256(b"w" * 2_000_000).hexdigest()
    assert (rows["big.wav"]["content"], rows["big.wav"]["object"], rows["big.wav"]["sha256"]) == (None, big, big)
    assert landed.blobs == [Blob(images / "big.wav", big, 2_000_000)]


def test_the_listing_is_the_position(images: Path, read_source: Read) -> None:
    """Nothing changed: skipped. A file more: read again."""
    held = read_source(open_source(images)).positions
    assert open_source(images).plan(held)[0].skipped is not None
    (images / "more.bin").write_bytes(b"x")
    assert open_source(images).plan(held)[0].skipped is None


def test_data_files_as_a_tree(tmp_path: Path, read_source: Read) -> None:
    """Data files can be taken as they are."""
    (tmp_path / "a.csv").write_text("a,b\n1,2\n")
    assert read_source(open_source(tmp_path, format="tree")).rows[0]["content"] == b"a,b\n1,2\n"


def test_batches_are_bounded(images: Path, read_source: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    """Content of a batch is bounded in bytes."""
    monkeypatch.setattr(tree, "BATCH_BYTES", 1)
    source = open_source(images)
    (split,) = source.plan({})
    assert sum(not isinstance(item, Blob) for item in source.read(split)) == 2
