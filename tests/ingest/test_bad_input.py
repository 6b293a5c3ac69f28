"""What bad input gets: a clear error, or rejects with the raw record; never a silent change."""

from __future__ import annotations

import gzip
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import dataplat as dp
from dataplat._lake import Lake

LONG = b"a,b\n" + b"".join(b"%d,x\n" % i for i in range(20_000))


@dataclass
class Case:
    """An input, and what it gets: an error that says `said`, or rows and rejects."""

    files: dict[str, bytes]
    error: type[dp.DataplatError] | None = None
    said: str = ""
    rows: int = 0
    rejects: list[tuple[int | None, str | None, str, bytes]] = field(default_factory=list)
    types: dict[str, str] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    code: int = 1


def parquet(table: pa.Table) -> bytes:
    """A table as a Parquet file."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    return sink.getvalue().to_pybytes()


ONE = parquet(pa.table({"a": [1], "b": ["x"]}))

CASES = {
    "ragged": Case(
        {"x.csv": b"a,b\n1,x\n2,y,z\n3\n4,w\n"},
        rows=2,
        rejects=[(3, None, "3 fields, but the header has 2", b"2,y,z"), (4, None, "1 fields", b"3")],
    ),
    "invalid UTF-8": Case(
        {"x.csv": b"a,b\n1,x\n2,\xff\xfe\n3,z\n"}, rows=2, rejects=[(3, "b", "is not UTF-8", b"2,\xff\xfe")]
    ),
    "truncated gzip": Case(
        {"x.csv.gz": gzip.compress(LONG)[:-200]},
        dp.SourceError,
        r"x\.csv\.gz is truncated or damaged: .*byte 14\d,\d\d\d of its content \(line 19,9\d\d\)",
    ),
    "gzip without its check": Case({"x.csv.gz": gzip.compress(LONG)[:-4]}, dp.SourceError, r"x\.csv\.gz is truncated"),
    "damaged gzip": Case(
        {"x.csv.gz": gzip.compress(LONG)[:1000] + bytes(50) + gzip.compress(LONG)[1050:]}, dp.SourceError, "damaged"
    ),
    "mixed types": Case({"x.csv": b"a\n" + b"1\n" * 5000 + b"x\n"}, rows=5001, types={"a": "string"}),
    "mixed JSON types": Case({"x.ndjson": b'{"a":1}\n{"a":"x"}\n'}, rows=2, types={"a": "string"}),
    "beyond int64": Case({"x.csv": b"a\n1\n9223372036854775808\n"}, rows=2, types={"a": "decimal(38, 0)"}),
    "beyond any integer": Case({"x.csv": b"a\n1\n" + b"9" * 50 + b"\n"}, rows=2, types={"a": "string"}),
    "duplicate header": Case({"x.csv": b"a,b,a\n1,2,3\n"}, dp.SourceError, r"'a' more than once \(columns 1, 3\)"),
    "header without a name": Case({"x.csv": b"a,,c\n1,2,3\n"}, dp.SourceError, "no name to column 2"),
    "empty file": Case({"x.csv": b""}, dp.SourceError, r"x\.csv is empty"),
    "empty JSON file": Case({"x.ndjson": b""}, dp.SourceError, r"x\.ndjson is empty"),
    "empty Parquet file": Case({"x.parquet": b""}, dp.SourceError, r"x\.parquet is no Parquet file"),
    "truncated Parquet": Case({"x.parquet": ONE[:-30]}, dp.SourceError, r"x\.parquet is no Parquet file"),
    "Parquet without rows": Case(
        {"x.parquet": parquet(pa.table({"a": pa.array([], pa.int64()), "b": pa.array([], pa.string())}))},
        types={"a": "int64", "b": "string"},
        code=0,
    ),
    "a sibling of other columns": Case(
        {"1.parquet": ONE, "2.parquet": parquet(pa.table({"a": [1], "c": ["x"]}))},
        dp.SchemaMismatch,
        r"2\.parquet lacks \['b'\] and has besides \['c'\], compared with .*1\.parquet",
    ),
    "a sibling of other types": Case(
        {"1.parquet": ONE, "2.parquet": parquet(pa.table({"a": [1], "b": [2.5]}))},
        dp.SchemaMismatch,
        r"column 'b' is double in .*2\.parquet, but string in .*1\.parquet",
    ),
    "missing key column": Case(
        {"x.csv": b"a,b\n1,2\n"}, dp.SchemaMismatch, "the key column 'id' is not in the input", options={"key": "id"}
    ),
    "null key": Case(
        {"x.csv": b"id,b\n1,2\n,3\n"},
        dp.KeyViolation,
        "null or NaN in the key column 'id'; the first is input row 2",
        options={"key": "id", "mode": "upsert"},
    ),
    "duplicate key": Case(
        {"x.csv": b"id,b\n7,2\n7,3\n"},
        dp.KeyViolation,
        "1 input rows repeat a key, for example id = 7",
        options={"key": "id", "mode": "upsert"},
    ),
    "broken JSON": Case({"x.ndjson": b'{"a":1}\n{"a":\n{"a":3}\n'}, rows=2, rejects=[(2, None, "no JSON", b'{"a":')]),
    "a value of another type": Case(
        {"x.csv": b"a,b\n1,x\nq,y\n"},
        rows=1,
        rejects=[(3, "a", "'q' is not int64", b"q,y")],
        options={"schema": {"a": "int64", "b": "string"}},
    ),
    "a value of another type, on_error fail": Case(
        {"x.csv": b"a,b\n1,x\nq,y\n"},
        dp.SourceError,
        r"x\.csv, line 3, column 'a': 'q' is not int64",
        options={"schema": {"a": "int64", "b": "string"}, "on_error": "fail"},
    ),
    "nothing but rejects": Case(
        {"x.csv": b"a\nx\n"}, rejects=[(2, "a", "'x' is not int64", b"x")], options={"schema": {"a": "int64"}}
    ),
    "bytes": Case({"x.csv": bytes(range(256)) * 20}, dp.SourceError, r"x\.csv: the header holds NUL bytes"),
}


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    """Each case."""
    return CASES[request.param]


def written(case: Case, write: Callable[[str, bytes], Path]) -> Path:
    """Write the case's files; return the only one, or their folder."""
    paths = [write(f"in/{name}", content) for name, content in case.files.items()]
    return paths[0] if len(paths) == 1 else paths[0].parent


def test_gets_an_error_or_rejects(memory_lake: Lake, write: Any, listing: Any, case: Case) -> None:
    """Each ends in an error that says where and what, with nothing written, or lands with its rejects."""
    source = written(case, write)
    before = listing(memory_lake)
    if case.error is not None:
        with pytest.raises(case.error, match=case.said):
            memory_lake.ingest(source, "d", **case.options)
        assert listing(memory_lake) == before
        return
    result = memory_lake.ingest(source, "d", **case.options)
    assert (result.rows_in, result.rows_added, memory_lake["d"].rows) == (case.rows, case.rows, case.rows)
    assert result.rows_rejected == len(case.rejects)
    found = {name: kind for name, kind in types(memory_lake).items() if name in case.types}
    assert found == case.types
    rejects = memory_lake["d.rejects"].to_arrow().to_pylist() if case.rejects else []
    for row, (line, column, error, raw) in zip(rejects, case.rejects, strict=True):
        assert (row["line"], row["column"], row["raw"]) == (line, column, raw)
        assert error in row["error"]


def types(lake: Lake) -> dict[str, Any]:
    """The types of `d` as texts."""
    return {column["name"]: column["type"] for column in lake["d"].schema_json}


def test_the_command_line_says_the_same(
    write: Any, case: Case, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command prints one readable message and ends non-zero where nothing landed."""
    from dataplat.cli import main

    monkeypatch.setenv("NO_COLOR", "1")
    url = f"memory://bad-input-{os.urandom(6).hex()}"
    assert main(["init", url]) == 0
    capsys.readouterr()
    flags = [f"--{name.replace('_', '-')}={value}" for name, value in case.options.items() if name != "schema"]
    if "schema" in case.options:
        fields = [{"name": name, "type": kind} for name, kind in case.options["schema"].items()]
        flags += ["--schema", str(write("schema.json", json.dumps(fields)))]
    code = main(["ingest", str(written(case, write)), "--into", "d", *flags, "--lake", url])
    out, err = capsys.readouterr()
    assert code == (0 if case.error is None and case.rows else case.code)
    if case.error is not None:
        assert re.search(case.said, " ".join(err.split()))
    assert "Traceback" not in out + err


def run(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run `dataplat` as a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "dataplat", *words], cwd=cwd, capture_output=True, text=True, timeout=60, check=False
    )


def test_as_a_process(write: Any, tmp_path: Path) -> None:
    """Run as a program, bad input ends non-zero with a message on standard error, and nothing else."""
    assert run("init", cwd=tmp_path).returncode == 0
    bad = write("bad.csv.gz", gzip.compress(LONG)[:-200])
    ended = run("ingest", str(bad), "--into", "d", cwd=tmp_path)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "is truncated or damaged" in ended.stderr
    ended = run("ingest", "nowhere.csv", "--into", "d", cwd=tmp_path)
    assert ended.returncode == 3
    assert "nowhere.csv does not exist" in ended.stderr
