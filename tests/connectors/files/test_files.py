"""Files as one source: fingerprints, siblings, globs, directories, standard input."""

from __future__ import annotations

import gzip
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dataplat.connectors.files import _blocks, _files, ndjson, open_source
from dataplat.connectors.files import csv as csv_format
from dataplat.connectors.files._stream import HashingFile
from dataplat.connectors.source import Source
from dataplat.errors import SchemaMismatch, SourceError, SourceNotFound

Read = Callable[..., Any]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a directory of two CSV files."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.csv").write_text("a,b\n1,x\n")
    (tmp_path / "in" / "b.csv").write_text("b,a\ny,2.5\n")
    return tmp_path / "in"


def test_a_directory_of_data_files(folder: Path, read_source: Read) -> None:
    """Files of one kind are one input: columns by name, types that hold all, one position each."""
    landed = read_source(open_source(folder))
    assert landed.rows == [{"a": 1.0, "b": "x"}, {"a": 2.5, "b": "y"}]
    assert sorted(landed.positions) == [f"file:{folder}/a.csv", f"file:{folder}/b.csv"]
    assert set(landed.positions[f"file:{folder}/a.csv"]) == {"size", "mtime_ns", "xxh3_128", "found_by"}
    assert landed.positions[f"file:{folder}/a.csv"]["found_by"] == str(folder)
    alone = read_source(open_source(folder / "a.csv"))
    assert set(alone.positions[f"file:{folder}/a.csv"]) == {"size", "mtime_ns", "xxh3_128"}


def test_a_glob(folder: Path, read_source: Read) -> None:
    """A glob is the files that match it."""
    assert read_source(open_source(f"{folder}/[a]*.csv")).table.num_rows == 1
    with pytest.raises(SourceNotFound, match="no file matches"):
        open_source(f"{folder}/*.nope")


def test_missing_files(tmp_path: Path) -> None:
    """A path to nothing is an error that says where it was looked for."""
    with pytest.raises(SourceNotFound, match="does not exist"):
        open_source(tmp_path / "nope.csv")
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceNotFound, match="holds no file"):
        open_source(tmp_path / "empty")


def test_a_held_file_is_not_read(folder: Path, read_source: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    """Same size and time: skipped with its reason, without opening it."""
    held = read_source(open_source(folder)).positions
    monkeypatch.setattr(HashingFile, "__init__", lambda *_: pytest.fail("the file was opened"))
    splits = open_source(folder).plan(held)
    assert [split.skipped for split in splits] == ["already ingested (same size and modification time)"] * 2
    assert {split.source: split.position for split in splits} == held


def test_a_touched_file_is_told_by_its_content(folder: Path, read_source: Read) -> None:
    """Another time but the same content is skipped, at a new position; other content is read."""
    held = read_source(open_source(folder)).positions
    os.utime(folder / "a.csv", ns=(1, 1))
    (folder / "b.csv").write_text("b,a\nz,2.5\n")
    os.utime(folder / "b.csv", ns=(1, 1))
    source = open_source(folder)
    landed = read_source(source, held)
    assert landed.splits[0].skipped == "already ingested (same content)"
    assert landed.splits[1].start == held[f"file:{folder}/b.csv"]
    assert landed.rows == [{"b": "z", "a": 2.5}]
    assert landed.positions[f"file:{folder}/a.csv"]["mtime_ns"] == 1


def test_a_file_that_changes_meanwhile(folder: Path) -> None:
    """A file that grows while it is read is an error, and has no position."""
    source = open_source(folder / "a.csv")
    (split,) = source.plan({})
    source.schema()
    reading = source.read(split)
    next(reading)
    with (folder / "a.csv").open("a") as file:
        file.write("2,y\n")
    with pytest.raises(SourceError, match=r"a\.csv changed while it was read"):
        list(reading)
    with pytest.raises(SourceError, match="not read to its end"):
        source.position(split)


def test_widening_counts_for_all_files(tmp_path: Path, read_source: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    """A late value in one file widens the column in all of them."""
    monkeypatch.setattr(csv_format, "SNIFF_BYTES", 16)
    (tmp_path / "a.csv").write_text("a,b\n" + "1,2\n" * 50)
    (tmp_path / "b.csv").write_text("a,b\n" + "1,2\n" * 50 + "x,2\n")
    landed = read_source(open_source(tmp_path))
    assert landed.types == {"a": "string", "b": "int64"}
    assert landed.table.num_rows == 101
    assert "b.csv" in landed.widened[0]


def test_siblings_with_other_columns(tmp_path: Path, read_source: Read) -> None:
    """A file that lacks or adds a column is an error that names both files and the columns."""
    (tmp_path / "a.csv").write_text("a,b\n1,2\n")
    (tmp_path / "b.csv").write_text("a,c\n1,2\n")
    with pytest.raises(SchemaMismatch, match=r"b\.csv lacks \['b'\] and has besides \['c'\].*a\.csv"):
        read_source(open_source(tmp_path))


def test_json_siblings_may_add_fields(tmp_path: Path, read_source: Read) -> None:
    """JSON files add up their fields: what is missing is null."""
    (tmp_path / "a.ndjson").write_text('{"a": 1}\n')
    (tmp_path / "b.ndjson").write_text('{"b": 1}\n')
    assert read_source(open_source(tmp_path)).rows == [{"a": 1, "b": None}, {"a": None, "b": 1}]


def test_parquet_siblings(tmp_path: Path, read_source: Read) -> None:
    """Types widen without loss between files; other columns or families are errors with both files."""
    pq.write_table(pa.table({"a": pa.array([1], pa.int32()), "b": ["x"]}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"a": pa.array([2], pa.int64()), "b": ["y"]}), tmp_path / "b.parquet")
    assert read_source(open_source(tmp_path)).types == {"a": "int64", "b": "string"}
    pq.write_table(pa.table({"a": ["z"], "b": ["y"]}), tmp_path / "c.parquet")
    with pytest.raises(SchemaMismatch, match=r"column 'a' is string in .*c\.parquet, but int64 in .*a\.parquet"):
        read_source(open_source(tmp_path))
    pq.write_table(pa.table({"a": [1]}), tmp_path / "c.parquet")
    with pytest.raises(SchemaMismatch, match=r"c\.parquet lacks \['b'\]"):
        read_source(open_source(tmp_path))


def test_several_formats_at_once(tmp_path: Path, read_source: Read) -> None:
    """Files of two formats are no one input."""
    (tmp_path / "a.csv").write_text("a,b\n1,2\n")
    (tmp_path / "b.ndjson").write_text('{"a": 1, "b": 2}\n')
    with pytest.raises(SourceError, match="need one format"):
        read_source(open_source(tmp_path))


def test_data_files_among_others(folder: Path) -> None:
    """A directory of data files and others asks which are meant."""
    (folder / "README.txt").write_text("x")
    with pytest.raises(SourceError, match=r"2 data files and others like README\.txt"):
        open_source(folder)


def test_standard_input(read_source: Read) -> None:
    """`-` is read from standard input, told by its content, and has no position."""
    source = open_source("-", stdin=io.BytesIO(b'{"a": 1}\nbad\n'))
    landed = read_source(source)
    assert landed.rows == [{"a": 1}]
    assert landed.rejects[0]["source"] == "<stdin>"
    assert landed.splits[0].source == ""
    assert landed.positions == {"": None}


@pytest.mark.parametrize(
    ("content", "name"), [(b"a;b\n1;2\n", "csv"), (b" [{}]", "ndjson"), (b"Obj\x01", "avro"), (b"PAR1", "parquet")]
)
def test_the_format_is_told_by_content(tmp_path: Path, content: bytes, name: str) -> None:
    """A name that tells nothing leaves it to the content; bytes of no kind ask for the format."""
    (tmp_path / "data").write_bytes(content)
    assert _files.entries_of(tmp_path / "data", None)[0].format == name
    (tmp_path / "data").write_bytes(b"\0\1\2")
    with pytest.raises(SourceError, match="format cannot be told"):
        _files.entries_of(tmp_path / "data", None)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("hello", b"hello\n"),
        ("hello", b"Hello, world\n"),
        ("notes.txt", b"Dear all\n\nit rains, it pours, it snows.\nYours\n"),
        ("numbers.dat", b"a\n1\n2\n"),
        ("ragged.txt", b"a,b\n1,2\n3\n"),
    ],
)
def test_text_of_no_known_format(tmp_path: Path, name: str, content: bytes, read_source: Read) -> None:
    """Text that is not plainly delimited is no CSV, by file or standard input: the formats are listed."""
    (tmp_path / name).write_bytes(content)
    for source in (open_source(tmp_path / name), open_source("-", stdin=io.BytesIO(content))):
        with pytest.raises(SourceError, match="cannot be told from its name or its first bytes.*--format csv.*parquet"):
            read_source(source)
    assert read_source(open_source(tmp_path / name, format="csv")).schema.names


@pytest.mark.parametrize("name", ["data.txt", "data", "data.txt.gz"])
@pytest.mark.parametrize("rows", [1, 10_000])
def test_plainly_delimited_text(tmp_path: Path, name: str, rows: int, read_source: Read) -> None:
    """Lines of equally many fields are CSV under any name, quoted newlines and an end without one included."""
    content = b'a;b\n"x;\ny";2' + b"\n3;4" * (rows - 1)
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    assert read_source(open_source(tmp_path / name)).table.num_rows == rows
    assert read_source(open_source("-", stdin=io.BytesIO(content))).table.num_rows == rows


def test_an_empty_file_of_no_format(tmp_path: Path, read_source: Read) -> None:
    """Nothing at all is said to be empty."""
    (tmp_path / "data").write_bytes(b"")
    with pytest.raises(SourceError, match="is empty"):
        read_source(open_source(tmp_path / "data"))


def test_progress(folder: Path) -> None:
    """Progress is bytes as stored, and ends at the file's size."""
    source: Source = open_source(folder / "a.csv")
    (split,) = source.plan({})
    seen: list[tuple[int, int | None]] = []
    list(source.read(split, lambda done, total: seen.append((done, total))))
    assert seen[-1] == (split.nbytes, split.nbytes)


def test_nothing_left_to_read(folder: Path, read_source: Read) -> None:
    """Where every file is held there is no schema to ask for."""
    held = read_source(open_source(folder)).positions
    source = open_source(folder)
    source.plan(held)
    with pytest.raises(SourceError, match="ingested already"):
        source.schema()


def test_many_files(tmp_path: Path, read_source: Read) -> None:
    """Of many text files not all are looked at up front: others still widen, or name what they lack."""
    for i in range(_files.SNIFFED_FILES + 2):
        (tmp_path / f"{i:03}.csv").write_text(f"a,b\n{i},x\n")
    last = tmp_path / f"{_files.SNIFFED_FILES + 1:03}.csv"
    last.write_text("b,a\ny,1.5\n")
    landed = read_source(open_source(tmp_path))
    assert landed.types == {"a": "double", "b": "string"}
    assert landed.rows[-1] == {"a": 1.5, "b": "y"}
    last.write_text("a\n1\n")
    with pytest.raises(SchemaMismatch, match=r"lacks \['b'\]"):
        read_source(open_source(tmp_path))


@pytest.mark.parametrize("kind", ["csv", "ndjson"])
def test_many_surprises(tmp_path: Path, read_source: Read, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """Columns that widen one after the other cost a bounded number of passes, and end with the right types."""
    monkeypatch.setattr(csv_format, "SNIFF_BYTES", 64)
    monkeypatch.setattr(ndjson, "SNIFF_BYTES", 128)
    monkeypatch.setattr(_blocks, "BLOCK_BYTES", 400)
    names = [f"c{i}" for i in range(20)]
    rows: list[list[str]] = []
    for odd in range(20):
        rows += [["1"] * 20 for _ in range(10)]
        rows[-1][odd] = "1.5" if odd % 2 else '"x"'
    if kind == "csv":
        text = ",".join(names) + "\n" + "".join(",".join(row) + "\n" for row in rows)
    else:
        pairs = [", ".join(f'"{name}": {cell}' for name, cell in zip(names, row, strict=True)) for row in rows]
        text = "".join(f"{{{pair}}}\n" for pair in pairs)
    (tmp_path / f"in.{kind}").write_text(text)
    landed = read_source(open_source(tmp_path / f"in.{kind}"))
    assert list(landed.types.values()) == ["string", "double"] * 10
    assert landed.table.num_rows == 200
    assert len(landed.widened) == _files.QUICK_WIDENINGS + 1
