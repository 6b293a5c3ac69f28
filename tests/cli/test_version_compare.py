"""`version diff` in its formats: on the terminal, as JSON, as a file, and for a whole lake."""

import json
import uuid

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import dataplat as dp
from dataplat.cli import main


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    """Return a function that runs a command on a lake with two versions of `stock`, the first tagged v1."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")
    url = f"memory://{uuid.uuid4().hex}"
    lake = dp.open(url)
    lake.ingest(pa.table({"item": ["apple", "pear"], "count": [1, 2]}), "stock", key="item")
    lake.tag("v1")
    lake.ingest(pa.table({"item": ["pear", "plum"], "count": [5, 7]}), "stock", mode="upsert")
    lake.ingest(pa.table({"n": [1]}), "other")

    def run(*words, code=0):
        assert main(["version", "diff", *words, "--lake", url]) == code
        return capsys.readouterr()

    return run


def test_columns_and_stats(run):
    """Cells changed per column, and figures of both versions, as text and as JSON."""
    lines = run("stock@v1", "stock", "--columns").out.splitlines()
    assert lines[0] == "rows: 1 added, 0 removed, 1 changed"
    assert lines[-1].split() == ["count", "int64", "int64", "1", "100.0%"]
    stats = run("stock@v1", "stock", "--stats").out.splitlines()
    assert stats[-1].split() == ["count", "after", "3", "0", "0", "1", "7", "4.33333"]
    found = json.loads(run("stock@v1", "stock", "--columns", "--stats", "--json").out)
    assert found["columns"][1]["cells"] == 1
    assert found["stats"][1]["after"]["high"] == 7


def test_files(run, tmp_path):
    """A page and a Parquet table are written where told; Parquet is never printed."""
    run("stock@v1", "stock", "--format", "html", "-o", "diff.html")
    assert (tmp_path / "diff.html").read_text().startswith("<!doctype html>")
    assert run("stock@v1", "stock", "--format", "html").out.startswith("<!doctype html>")
    assert (
        "2 rows that differ in diff.parquet"
        in run("stock@v1", "stock", "--format", "parquet", "-o", "diff.parquet").out
    )
    assert pq.read_table(tmp_path / "diff.parquet").column("change").to_pylist() == ["added", "changed"]
    assert "-o FILE" in run("stock@v1", "stock", "--format", "parquet", code=2).err
    run("stock@v1", "stock", "--json", "-o", "diff.json")
    assert json.loads((tmp_path / "diff.json").read_text())["changed"] == 1


def test_a_whole_lake(run):
    """References without a dataset compare all; what is for one dataset says so."""
    lines = run("@v1", "@main").out.splitlines()
    assert [line.split()[:5] for line in lines[1:]] == [
        ["other", "added", "1", "0", "0"],
        ["stock", "changed", "1", "0", "1"],
    ]
    run("@v1", "@main", "--exit-code", code=1)
    assert run("@main", "@main", "--exit-code").out == "no dataset differs\n"
    found = json.loads(run("@v1", "@main", "--json").out)
    assert [one["dataset"] for one in found["datasets"]] == ["other", "stock"]
    assert "stock@v1 stock@main" in run("@v1", "@main", "--format", "html", code=2).err
    assert "stock@v1 stock@main" in run("@v1", "@main", "--engine", "spark", code=2).err
