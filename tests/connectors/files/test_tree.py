"""A directory of any files as a dataset."""

from __future__ import annotations

import hashlib
import mimetypes
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dataplat.connectors.files import _read_files, open_source, tree
from dataplat.connectors.source import Blob
from dataplat.errors import SourceError

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


def _rows(landed: Any) -> list[dict[str, Any]]:
    """Return the rows without their times, whose nanoseconds Python has no value for."""
    rows: list[dict[str, Any]] = landed.table.drop_columns(["modified"]).to_pylist()
    return rows


def test_one_row_per_file(images: Path, read_source: Read) -> None:
    """Path, size, media type, digest and time of each file; small ones hold their bytes, large ones name an object."""
    landed = read_source(open_source(images))
    rows = {row["path"]: row for row in _rows(landed)}
    assert list(rows) == [".git/HEAD", "big.wav", "cats/1.png", "empty"]
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
    assert _rows(read_source(open_source(tmp_path, format="tree")))[0]["content"] == b"a,b\n1,2\n"


def test_batches_are_bounded(images: Path, read_source: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    """Content of a batch is bounded in bytes."""
    monkeypatch.setattr(tree, "BATCH_BYTES", 1)
    source = open_source(images)
    (split,) = source.plan({})
    assert sum(not isinstance(item, Blob) for item in source.read(split)) == 3


def test_no_file_is_passed_over(tmp_path: Path, read_source: Read) -> None:
    """Hidden files, those that begin with `_`, and files in such folders are rows; a lake is left out, and it is said."""
    for name in (".hidden", "_cover.png", ".cache/_x/a.bin", "plain"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / ".dataplat").mkdir()
    (tmp_path / ".dataplat" / "lake.json").write_text("{}")
    landed = read_source(open_source(tmp_path))
    assert [row["path"] for row in _rows(landed)] == [".cache/_x/a.bin", ".hidden", "_cover.png", "plain"]
    left_out = [(split.label, split.skipped) for split in landed.splits if split.skipped is not None]
    assert left_out == [(str(tmp_path / ".dataplat"), "a lake's own folder")]


def test_only_hidden_files_are_a_tree(tmp_path: Path, read_source: Read) -> None:
    """A folder of nothing but hidden files holds files."""
    (tmp_path / ".a").write_text("x")
    assert [row["path"] for row in _rows(read_source(open_source(tmp_path)))] == [".a"]


def test_a_link_to_a_file_is_the_file(images: Path, read_source: Read) -> None:
    """Of a link to a file the bytes are taken that it leads to."""
    (images / "same.png").symlink_to(images / "cats" / "1.png")
    rows = {row["path"]: row for row in _rows(read_source(open_source(images)))}
    assert rows["same.png"]["content"] == b"png"


@pytest.mark.parametrize("target", ["cats", "nothing"])
def test_other_links_are_errors(images: Path, target: str) -> None:
    """A link to a folder or to nothing is named, not passed over."""
    (images / "link").symlink_to(images / target)
    with pytest.raises(SourceError, match=f"link is a link .*{'folder' if target == 'cats' else 'nothing'}"):
        open_source(images)


def test_a_pipe_is_an_error(images: Path) -> None:
    """What is no regular file is named."""
    os.mkfifo(images / "pipe")
    with pytest.raises(SourceError, match="pipe is a pipe, socket or device"):
        open_source(images)


def test_a_file_of_this_moment_is_not_read_yet(
    tmp_path: Path, read_source: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file is read once it is older than the tick of a file system's clock: a change after it has another time."""
    ages: list[int] = []
    os_open = os.open

    def noting(path: Any, *rest: Any) -> int:
        if str(path).endswith(".bin"):
            ages.append(time.time_ns() - Path(path).stat().st_mtime_ns)
        return os_open(path, *rest)

    monkeypatch.setattr(os, "open", noting)
    (tmp_path / "a.bin").write_bytes(b"x")
    read_source(open_source(tmp_path))
    assert ages[0] >= tree._TICK_NS


def test_files_are_read_in_order_whatever_their_number(
    tmp_path: Path, read_source: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Read side by side in pieces of few files, rows come in order of their paths, folder by folder."""
    monkeypatch.setattr(_read_files, "_CHUNK_FILES", 2)
    names = [f"{folder}{number}" for folder in ("b/", "b.c/", "a/x/", "") for number in range(7)]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    rows = _rows(read_source(open_source(tmp_path)))
    assert [row["path"] for row in rows] == sorted(names, key=lambda name: name.split("/"))
    assert [row["content"].decode() for row in rows] == [row["path"] for row in rows]


@pytest.mark.parametrize(
    "name",
    ["a.png", "a.tar.gz", "a.tgz", ".png", "..png", "a.", "a..gz", "A.PNG", "data:text.x", "x", "a.b.svgz", "a?.jpg"],
)
def test_media_types_are_guessed_by_suffixes(name: str) -> None:
    """What is remembered of the last two suffixes is what is guessed of the whole name."""
    assert tree._media_type(f"some/folder.html/{name}") == (mimetypes.guess_type(name)[0] or "application/octet-stream")


def test_data_folders_say_what_they_leave_out(tmp_path: Path, read_source: Read) -> None:
    """Among data files hidden ones and markers are left out, each by name in the plan."""
    (tmp_path / "a.csv").write_text("a,b\n1,2\n")
    for name in ("_SUCCESS", ".a.csv.crc"):
        (tmp_path / name).write_text("")
    (tmp_path / "_temporary").mkdir()
    landed = read_source(open_source(tmp_path))
    assert landed.rows == [{"a": 1, "b": 2}]
    assert [Path(split.label).name for split in landed.splits if split.skipped is not None] == [
        ".a.csv.crc",
        "_SUCCESS",
        "_temporary",
    ]
