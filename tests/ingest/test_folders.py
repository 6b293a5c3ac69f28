"""A folder that was landed before costs what changed in it, and lands as if all of it were read."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings

import dataplat as dp
from dataplat._lake import Lake
from dataplat.connectors.files import _read_files
from dataplat.lake.stores import MemoryStore
from dataplat.testing.store_faults import CountingStore
from dataplat.versioning.lakefile import create_lake

FILES = 300


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of many small files, in several folders, last changed a day ago."""
    for number in range(FILES):
        file = tmp_path / "in" / f"{number % 7}" / f"{number:03}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"file {number}")
    return tmp_path / "in"


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Note every file that is opened to be read as a row."""
    seen: list[str] = []
    os_open = os.open

    def noting(path: Any, *rest: Any, **options: Any) -> int:
        if str(path).endswith((".txt", ".bin")):
            seen.append(Path(path).name)
        return os_open(path, *rest, **options)

    monkeypatch.setattr(os, "open", noting)
    return seen


def again(lake: Lake, folder: Path, **options: Any) -> Any:
    """Land a folder as it is now."""
    return lake.ingest(folder, "files", mode="replace", source_format="tree", **options)


def whole(lake: Lake) -> pa.Table:
    """All rows in order of their paths."""
    return lake["files"].to_arrow().sort_by("path")


def test_only_what_changed_is_read(memory_lake: Lake, folder: Path, opened: list[str]) -> None:
    """Of 300 files those that are new, longer, or touched are opened; those that went cost nothing."""
    memory_lake.ingest(folder, "files", source_format="tree")
    assert len(opened) == FILES
    opened.clear()
    (folder / "0" / "000.txt").write_text("longer than it was")
    (folder / "new.txt").write_text("new")
    (folder / "1" / "001.txt").unlink()
    os.utime(folder / "2" / "002.txt", ns=(5, 5))
    result = again(memory_lake, folder)
    assert sorted(opened) == ["000.txt", "002.txt", "new.txt"]
    assert (result.rows_in, result.rows_added, result.rows_deleted, result.version.rows) == (3, 3, 3, FILES)


def test_no_content_of_other_rows_is_read(memory_lake: Lake, folder: Path, reads: Any) -> None:
    """Which rows stay is told by four columns; the content of a row is read only where it goes."""
    memory_lake.ingest(folder, "files", source_format="tree")
    reads.clear()
    (folder / "new.txt").write_text("new")
    again(memory_lake, folder)
    assert set(reads.columns) == {"path", "size", "media_type", "modified"}


def test_what_is_written_follows_the_change(folder: Path) -> None:
    """One changed file writes its row, the deletes and what describes a version: no more of 300 files than of 30."""

    def written(count: int) -> tuple[int, int]:
        store = CountingStore(MemoryStore())
        create_lake(store)
        lake = Lake(store, "test", "memory")
        chosen = folder.with_name(f"of-{count}")
        chosen.mkdir()
        for number in range(count):
            (chosen / f"{number:03}.txt").write_bytes(os.urandom(500))
        lake.ingest(chosen, "files", source_format="tree")
        store.reset()
        (chosen / "007.txt").write_text("changed")
        again(lake, chosen)
        return store.calls["create"], store.bytes["create"]

    few, many = written(30), written(300)
    assert many[0] == few[0]
    assert many[1] < few[1] + 300


def test_nothing_changed_is_no_version(memory_lake: Lake, folder: Path, opened: list[str]) -> None:
    """The same folder again opens no file, writes nothing, and says so."""
    memory_lake.ingest(folder, "files", source_format="tree")
    opened.clear()
    result = again(memory_lake, folder)
    assert result.nothing_to_do
    assert (result.new_bytes, opened) == (0, [])


NAMES = [f"{folder}{name}" for folder in ("", "a/", "a.b/", "a/c/") for name in ("x.txt", "y.png", "z")]
EDIT = st.tuples(
    st.sampled_from(["write", "grow", "touch", "remove", "move"]), st.sampled_from(NAMES), st.integers(0, 9)
)


def edit(folder: Path, what: str, name: str, number: int) -> None:
    """Do one thing to a folder."""
    file = folder / name
    if what == "write" or not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"%d" % number * (number % 3 * 500))
        os.utime(file, ns=(number, number + (10 if what == "write" else 0)))
    elif what == "grow":
        file.write_bytes(file.read_bytes() + b"+")
    elif what == "touch":
        os.utime(file, ns=(1000 + number, 1000 + number))
    elif what == "remove":
        file.unlink()
    else:
        file.rename(file.with_name("moved"))


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(rounds=st.lists(st.lists(EDIT, max_size=6), min_size=1, max_size=4), key=st.booleans(), large=st.booleans())
def test_it_lands_as_if_all_were_read(
    new_lake: Callable[[], Lake],
    tmp_path_factory: pytest.TempPathFactory,
    rounds: list[list[tuple[str, str, int]]],
    key: bool,
    large: bool,
) -> None:
    """After any edits rows and content id are those of a lake that reads the folder for the first time."""
    folder = tmp_path_factory.mktemp("tree")
    (folder / "always").write_text("here")
    lake = new_lake()
    columns = ["path"] if key else None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_read_files, "INLINE_BYTES", 600 if large else 1_000_000)
        lake.ingest(folder, "files", source_format="tree", key=columns)
        for edits in rounds:
            for what, name, number in edits:
                edit(folder, what, name, number)
            again(lake, folder)
            fresh = new_lake()
            fresh.ingest(folder, "files", source_format="tree", key=columns)
            assert lake["files"].content_id == fresh["files"].content_id
            assert whole(lake).equals(whole(fresh))
    assert lake.verify().ok
    shutil.rmtree(folder)


def test_rows_of_others_go(memory_lake: Lake, folder: Path) -> None:
    """A replace by a folder leaves no other row: not those of another folder, nor a path that came twice."""
    memory_lake.ingest(folder / "0", "files", source_format="tree")
    memory_lake.ingest(folder / "0", "files", source_format="tree")  # skipped: it is there
    memory_lake.ingest(folder / "1", "files", source_format="tree")
    (folder / "0" / "000.txt").write_text("again, with other rows of it there")
    result = memory_lake.ingest(folder / "0", "files", source_format="tree")
    [note] = result.notes
    assert note.startswith(f"{folder}/0 was landed before, and all of its files came on top of those: ")
    assert memory_lake["files"].rows > len(list((folder / "0").iterdir())) * 2
    result = memory_lake.ingest(folder / "0", "files", source_format="tree", mode="replace")
    assert sorted(whole(memory_lake)["path"].to_pylist()) == sorted(file.name for file in (folder / "0").iterdir())
    assert result.rows_in == 0


def test_a_file_that_changes_while_it_is_read(memory_lake: Lake, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A change between the listing and the reading is an error, of a new as of a known folder; nothing lands."""
    memory_lake.ingest(folder, "files", source_format="tree")
    version = memory_lake["files"].id
    (folder / "0" / "000.txt").write_text("one")
    os_open = os.open

    def late(path: Any, *rest: Any, **options: Any) -> int:
        if str(path).endswith("000.txt"):
            Path(path).write_text("another")
        return os_open(path, *rest, **options)

    monkeypatch.setattr(os, "open", late)
    with pytest.raises(dp.SourceError, match=r"000\.txt changed while it was read"):
        again(memory_lake, folder)
    assert memory_lake["files"].id == version
