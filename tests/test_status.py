"""What became of the files that a dataset was landed from."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings

import dataplat as dp
from dataplat._lake import Lake
from dataplat.lake.stores import open_store
from servers import S3Server


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of three files."""
    for name in ("a/one.bin", "a/two.bin", "b.bin"):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).write_bytes(name.encode())
    return tmp_path / "in"


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Note every file that is opened to be read."""
    seen: list[str] = []
    os_open = os.open

    def noting(path: Any, *rest: Any, **options: Any) -> int:
        if str(path).endswith(".bin"):
            seen.append(Path(path).name)
        return os_open(path, *rest, **options)

    monkeypatch.setattr(os, "open", noting)
    return seen


def change(folder: Path) -> None:
    """Make one file of each kind."""
    (folder / "new.bin").write_bytes(b"new")
    (folder / "a" / "one.bin").write_bytes(b"as long!!")
    (folder / "b.bin").unlink()
    os.utime(folder / "a" / "two.bin", ns=(7, 7))


def test_new_changed_deleted_touched(memory_lake: Lake, folder: Path, opened: list[str]) -> None:
    """Each file is named once; only files of another time and the same size are read."""
    memory_lake.ingest(folder, "files")
    change(folder)
    opened.clear()
    found = memory_lake.status("files")
    assert (found.new, found.changed, found.deleted) == (("new.bin",), ("a/one.bin",), ("b.bin",))
    assert (found.touched, found.same, found.is_same) == (("a/two.bin",), 1, False)
    assert sorted(opened) == ["one.bin", "two.bin"]


def test_nothing_is_read_where_sizes_and_times_agree(
    memory_lake: Lake, folder: Path, opened: list[str], reads: Any
) -> None:
    """The first look reads four columns and no file; the next ones nothing of the version at all."""
    memory_lake.ingest(folder, "files")
    opened.clear()
    reads.clear()
    assert memory_lake.status("files").is_same
    assert set(reads.columns) == {"path", "size", "modified", "sha256"}
    reads.clear()
    assert memory_lake.status("files").same == 3
    assert (opened, reads.calls) == ([], [])
    change(folder)
    found = memory_lake.status("files")
    assert (found.new, found.changed, found.deleted) == (("new.bin",), ("a/one.bin",), ("b.bin",))
    assert (found.touched, sorted(opened), reads.calls) == (("a/two.bin",), ["one.bin", "two.bin"], [])


def test_content_reads_every_file(memory_lake: Lake, folder: Path) -> None:
    """Another content of the same size and time is seen where files are read, and only there."""
    memory_lake.ingest(folder, "files")
    assert memory_lake.status("files").is_same
    stat = (folder / "b.bin").stat()
    (folder / "b.bin").write_bytes(b"other")
    os.utime(folder / "b.bin", ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert memory_lake.status("files").is_same
    assert memory_lake.status("files", content=True).changed == ("b.bin",)


def test_it_is_the_version_that_counts(memory_lake: Lake, folder: Path) -> None:
    """Rows deleted from the version are new files beside it, whatever was landed last; older versions on branches too."""
    memory_lake.ingest(folder, "files")
    assert memory_lake.status("files").is_same
    memory_lake.branch("before")
    memory_lake.delete("files", where="path = 'b.bin'")
    assert memory_lake.status("files").new == ("b.bin",)
    assert memory_lake.status("files", branch="before").is_same


def test_another_folder(memory_lake: Lake, folder: Path, tmp_path: Path) -> None:
    """A copy that keeps times is the same without a look into its files; one that was moved has to be named."""
    memory_lake.ingest(folder, "files")
    shutil.copytree(folder, tmp_path / "copy")
    assert memory_lake.status("files", tmp_path / "copy").is_same
    folder.rename(tmp_path / "moved")
    with pytest.raises(dp.SourceNotFound, match=r"was landed from .*/in, which is gone: say where"):
        memory_lake.status("files")
    assert memory_lake.status("files", tmp_path / "moved").is_same
    with pytest.raises(dp.SourceNotFound, match="is no folder"):
        memory_lake.status("files", folder)


def test_an_export_is_the_same(memory_lake: Lake, folder: Path, tmp_path: Path) -> None:
    """What was exported is beside its version unchanged."""
    memory_lake.ingest(folder, "files")
    memory_lake["files"].export(tmp_path / "out")
    found = memory_lake.status("files", tmp_path / "out")
    assert (found.is_same, found.touched) == (True, ())


def test_an_erase_takes_the_index_along(memory_lake: Lake, folder: Path) -> None:
    """The index of a version holds paths: where a row of it is erased, nothing keeps its path."""

    def names_it() -> list[str]:
        store = memory_lake.objects.store
        return [info.key for info in store.list("memo/") if b"b.bin" in store.read(info.key)]

    memory_lake.ingest(folder, "files")
    assert memory_lake.status("files").is_same
    assert len(names_it()) == 1
    memory_lake.erase("files", where="path = 'b.bin'", reason="a person asked")
    assert names_it() == []
    assert memory_lake.status("files").new == ("b.bin",)


NAMES = ["x", "y", "a/x", "a/y"]
EDITS = st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from([None, b"", b"1", b"2", b"12"]), st.integers(0, 2)))


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(edits=EDITS, content=st.booleans(), twice=st.booleans())
def test_it_says_what_a_comparison_of_contents_says(
    new_lake: Callable[[], Lake],
    tmp_path_factory: pytest.TempPathFactory,
    edits: list[tuple[str, bytes | None, int]],
    content: bool,
    twice: bool,
) -> None:
    """New, changed and deleted files are those of the two folders' contents, unless size and time agree."""
    folder = tmp_path_factory.mktemp("tree")
    (folder / "a").mkdir()
    for name in ("always", "x", "a/x"):
        (folder / name).write_bytes(b"1")
        os.utime(folder / name, ns=(0, 0))
    lake = new_lake()
    lake.ingest(folder, "files", source_format="tree")
    before = look(folder)
    if twice:
        assert lake.status("files").is_same
    for name, data, time in edits:
        if data is None:
            (folder / name).unlink(missing_ok=True)
        else:
            (folder / name).write_bytes(data)
            os.utime(folder / name, ns=(time, time))
    after = look(folder)
    found = lake.status("files", content=content)
    unseen = {
        name
        for name in before.keys() & after.keys()
        if not content and len(before[name][0]) == len(after[name][0]) and before[name][1] == after[name][1]
    }
    both = (before.keys() & after.keys()) - unseen
    assert set(found.new) == after.keys() - before.keys()
    assert set(found.deleted) == before.keys() - after.keys()
    assert set(found.changed) == {name for name in both if before[name][0] != after[name][0]}
    assert set(found.touched) == {
        name for name in both if before[name][0] == after[name][0] and before[name][1] != after[name][1]
    }
    assert found.same + len(found.new) + len(found.changed) == len(after)
    shutil.rmtree(folder)


def look(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Content and time of every file."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


def test_a_path_that_came_twice_is_changed(memory_lake: Lake, folder: Path) -> None:
    """A version with two rows of one path is no folder: the path is named."""
    memory_lake.ingest(folder, "files")
    (folder / "b.bin").write_bytes(b"another one")
    memory_lake.ingest(folder, "files")
    assert set(memory_lake.status("files").changed) == {"a/one.bin", "a/two.bin", "b.bin"}


class TestDataFiles:
    """Datasets of rows: their files by the positions that were recorded."""

    @pytest.fixture
    def days(self, tmp_path: Path) -> Path:
        """Three files of rows, one of them in a folder of its own."""
        for number, name in enumerate(("1.csv", "2.csv", "old/0.csv")):
            (tmp_path / "days" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "days" / name).write_text(f"id\n{number}\n")
        return tmp_path / "days"

    def test_files_by_their_positions(self, memory_lake: Lake, days: Path) -> None:
        """New ones beside them, other bytes, other times, gone; without a folder by their whole paths."""
        memory_lake.ingest(days, "rows")
        assert memory_lake.status("rows").same == 3
        (days / "3.csv").write_text("id\n3\n")
        (days / "note.txt").write_text("no data")
        (days / "1.csv").write_text("id\n9\n")
        (days / "old" / "0.csv").unlink()
        os.utime(days / "2.csv", ns=(5, 5))
        found = memory_lake.status("rows")
        assert (found.new, found.changed) == ((str(days / "3.csv"),), (str(days / "1.csv"),))
        assert (found.deleted, found.touched) == ((str(days / "old" / "0.csv"),), (str(days / "2.csv"),))
        below = memory_lake.status("rows", days / "old")
        assert (below.new, below.deleted, below.same) == ((), ("0.csv",), 0)

    def test_a_file_that_was_named_itself_brings_no_others(self, memory_lake: Lake, days: Path) -> None:
        """Of single files no other is new; of a pattern those are that match it, elsewhere none; below a folder all."""
        memory_lake.ingest(days / "1.csv", "rows")
        assert memory_lake.status("rows").is_same
        assert memory_lake.status("rows", days).new == ("2.csv", "old/0.csv")
        memory_lake.ingest(days / "old" / "*.csv", "rows")
        (days / "old" / "5.csv").write_text("id\n5\n")
        (days / "old" / "5.txt").write_text("no data")
        assert memory_lake.status("rows").new == (str(days / "old" / "5.csv"),)

    def test_after_landing_them_again_all_is_as_it_was(self, memory_lake: Lake, days: Path) -> None:
        """What status calls new is what the next ingest reads."""
        memory_lake.ingest(days, "rows")
        (days / "3.csv").write_text("id\n3\n")
        assert memory_lake.status("rows", days).new == ("3.csv",)
        memory_lake.ingest(days, "rows")
        assert memory_lake.status("rows", days).is_same

    def test_rows_of_no_file(self, memory_lake: Lake) -> None:
        """Of rows from memory there is nothing to say, and of no dataset less."""
        import pyarrow as pa

        memory_lake.ingest(pa.table({"id": [1]}), "rows")
        with pytest.raises(dp.ConfigError, match="was not landed from files"):
            memory_lake.status("rows")
        with pytest.raises(dp.DatasetNotFound):
            memory_lake.status("other")

    def test_rows_of_files_far_away(
        self, memory_lake: Lake, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """They are files, but none that could be looked at here: the message says where they are."""
        for name, value in s3_server.environment().items():
            monkeypatch.setenv(name, value)
        url = f"s3://{s3_server.new_bucket()}/day"
        store = open_store(url)
        for number in range(2):
            store.create(f"{number}.csv", b"id\n1\n")
        memory_lake.ingest(url, "rows")
        with pytest.raises(dp.ConfigError, match=f"was landed from {url}/0.csv and 1 more, and status looks"):
            memory_lake.status("rows")
