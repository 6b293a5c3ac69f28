"""`dataplat ingest` of files on S3, GCS and HDFS: what it takes, what it says, and that it takes all or nothing."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import fastavro
import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

import dataplat as dp
from dataplat.cli import main
from dataplat.connectors.files import _far, open_source
from dataplat.errors import SourceError
from dataplat.ingest import Progress
from servers.folders import FAR, Folder

Run = Callable[..., Any]

ROWS = [{"id": number, "word": f"w{number}"} for number in range(300)]
CSV = ("id,word\n" + "".join(f"{row['id']},{row['word']}\n" for row in ROWS)).encode()


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return a function that runs `dataplat ingest … --json`, and returns the document that it printed."""
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.delenv("DATAPLAT_LAKE", raising=False)
    lake = f"memory://{uuid4().hex}"
    assert main(["init", "--lake", lake]) == 0
    capsys.readouterr()

    def run(*words: str, code: int = 0) -> Any:
        assert main(["ingest", *words, "--lake", lake, "--json"]) == code
        printed = capsys.readouterr()
        assert printed.err == "" if code == 0 else printed.out == ""
        return json.loads(printed.out or printed.err)

    return run


def _avro() -> bytes:
    out = io.BytesIO()
    fields = [{"name": "id", "type": "long"}, {"name": "word", "type": "string"}]
    fastavro.writer(out, {"type": "record", "name": "row", "fields": fields}, ROWS, codec="deflate")
    return out.getvalue()


def _workbook() -> bytes:
    book = openpyxl.Workbook()
    for row in [("id", "word"), *(tuple(row.values()) for row in ROWS)]:
        book.active.append(row)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def _parquet() -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(ROWS), out)
    return out.getvalue()


def _zip(**members: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name.replace("_", "."), data)
    return out.getvalue()


PACKED: dict[str, Callable[[], bytes]] = {
    "a.csv.zst": lambda: zstandard.compress(CSV),
    "a.csv.xz": lambda: lzma.compress(CSV),
    "a.csv.bz2": lambda: bz2.compress(CSV),
    "a.csv.zip": lambda: _zip(one_csv=CSV),
    "a.avro": _avro,
    "b.avro.gz": lambda: gzip.compress(_avro()),
    "a.xlsx": _workbook,
    "b.xlsx.xz": lambda: lzma.compress(_workbook()),
    "a.parquet.zst": lambda: zstandard.compress(_parquet()),
    "b.parquet.zip": lambda: _zip(one_parquet=_parquet()),
}


@pytest.mark.parametrize("kind", FAR)
def test_every_format_however_it_is_packed(kind: str, far_folder: Callable[[str], Folder], run: Run) -> None:
    """Each lands the same rows, so that all are one version; a second time nothing is to do."""
    far = far_folder(kind)
    versions = set()
    for number, (name, data) in enumerate(PACKED.items()):
        far.write(f"packed/{name}", data())
        done = run(f"{far.url}/packed/{name}", "--into", f"t{number}")
        assert (name, done["rows_added"]) == (name, len(ROWS))
        versions.add(done["version"])
        assert run(f"{far.url}/packed/{name}", "--into", f"t{number}")["nothing_to_do"]
    assert len(versions) == 1


@pytest.mark.parametrize("kind", FAR)
def test_a_damaged_file_is_named(kind: str, far_folder: Callable[[str], Folder], run: Run) -> None:
    """What ends in the middle is an error of one line with the file's URL, and nothing lands of it."""
    far = far_folder(kind)
    for name, data in PACKED.items():
        far.write(f"cut/{name}", data()[:-40])
        refused = run(f"{far.url}/cut/{name}", "--into", "t", code=1)
        assert refused["error"] == "SourceError"
        assert f"{far.url}/cut/{name}" in refused["message"]
        assert "\n" not in refused["message"].strip()
        assert "/tmp" not in refused["message"]
    assert run(f"{far.url}/cut/*.csv.xz", "--into", "t", "--plan", code=1)["error"] == "SourceError"


@pytest.mark.parametrize("kind", FAR)
def test_a_plan_says_what_would_land_and_touches_nothing(
    kind: str, far_folder: Callable[[str], Folder], run: Run
) -> None:
    """Files, their bytes and types are told, what is held already with the reason; what changed since is taken."""
    far = far_folder(kind)
    far.write("day/a.csv", b"id,word\n1,one\n")
    pattern = f"{far.url}/day/*.csv"
    plan = run(pattern, "--into", "t", "--plan")
    assert ([each["source"] for each in plan["read"]], plan["bytes"]) == ([f"{far.url}/day/a.csv"], 14)
    assert not plan["exists"]
    far.write("day/a.csv", b"id,word\n1,uno\n2,due\n")  # in between
    assert run(pattern, "--into", "t")["rows_added"] == 2
    far.write("day/b.csv", b"id,word\n3,tre\n")
    plan = run(pattern, "--into", "t", "--plan")
    assert [each["source"] for each in plan["read"]] == [f"{far.url}/day/b.csv"]
    assert "already ingested" in plan["skipped"][0]["reason"]


@pytest.mark.parametrize("kind", FAR)
def test_bad_records_go_aside_or_stop_it(kind: str, far_folder: Callable[[str], Folder], run: Run) -> None:
    """`--on-error fail` lands nothing and names line and URL; else the rest lands, and the bad one is a reject."""
    far = far_folder(kind)
    far.write("bad/a.csv", b"id,word\n1,a\n2,b,c\n")
    far.write("bad/b.csv", b"id,word\n3,a\n")
    refused = run(f"{far.url}/bad/", "--into", "t", "--on-error", "fail", code=1)
    assert f"{far.url}/bad/a.csv, line 3" in refused["message"]
    done = run(f"{far.url}/bad/", "--into", "t")
    assert (done["rows_added"], done["rows_rejected"]) == (2, 1)


@pytest.mark.parametrize("kind", FAR)
def test_nothing_to_take_is_said(
    kind: str, far_folder: Callable[[str], Folder], run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An empty folder, hidden files alone, an empty file and a bucket that may not be read each have their message."""
    far = far_folder(kind)
    far.write("full/a.csv", b"id\n1\n")
    far.write("hidden/_SUCCESS", b"")
    far.write("zero/a.csv", b"")
    if kind != "hdfs":
        far.write("empty/", b"")  # as consoles make a folder
    for name in ("empty", "empty/", "empty/*.csv"):
        nothing = run(f"{far.url}/{name}", "--into", "t", code=3)
        assert nothing["message"].startswith(f"there is nothing at {far.url}/{name}:")
    assert f"{far.url}/hidden/_SUCCESS is a hidden" in run(f"{far.url}/hidden", "--into", "t", code=1)["message"]
    assert f"{far.url}/zero/a.csv is empty" in run(f"{far.url}/zero", "--into", "t", code=1)["message"]
    if kind == "s3":
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "planted")
        for name, why in (("full/", "access denied"), ("full/*.csv", "the secret does not belong to the access key")):
            refused = run(f"{far.url}/{name}", "--into", "t", code=1)["message"]
            assert why in refused
            assert "planted" not in refused


BIG = b"id,word\n" + b"".join(b"%d,%s\n" % (number, b"x" * 90) for number in range(60_000))


@pytest.mark.parametrize("kind", FAR)
@pytest.mark.parametrize("change", ["rewritten", "grown", "removed"])
def test_a_file_that_changes_in_the_middle_is_refused(
    kind: str, change: str, far_folder: Callable[[str], Folder], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rewritten, grown or removed while its rows are read, it is an error that says so and what to do."""
    monkeypatch.setattr(_far, "PIECE", 128 << 10)
    far = far_folder(kind)
    far.write("a.csv", BIG)
    source = open_source(f"{far.url}/a.csv")
    rows = source.read(source.plan({})[0])
    next(rows)
    if change == "removed":
        far.remove("a.csv")
    else:
        far.write("a.csv", BIG.replace(b"x", b"y") if change == "rewritten" else BIG + b"1,y\n")
    with pytest.raises(SourceError, match=f"^{far.url}/a.csv (changed|was removed) while it was read: nothing was"):
        list(rows)


@pytest.mark.parametrize("kind", FAR)
def test_progress_goes_to_the_end(kind: str, tmp_path: Path, far_folder: Callable[[str], Folder]) -> None:
    """Bytes that are done never sink, and reach the size of all files."""
    far = far_folder(kind)
    packed = gzip.compress(b"id,word\n1,x\n")
    far.write("a.csv", BIG)
    far.write("b.csv", b"id,word\n1,x\n")
    far.write("c.csv.gz", packed)
    size = len(BIG) + 12 + len(packed)
    seen: list[Progress] = []
    dp.open(tmp_path / "lake").ingest(f"{far.url}/", into="t", progress=seen.append)
    done = [each.bytes_done for each in seen]
    assert done == sorted(done)
    assert (done[-1], seen[-1].bytes_total) == (size, size)
