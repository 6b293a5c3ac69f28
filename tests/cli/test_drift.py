"""`dataplat drift`: what it prints, and how it ends."""

import json
import uuid
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import dataplat as dp
from dataplat.cli import main


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    """Return a function that runs a command on a lake of which the second version is like the first, the third is not."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")
    url = f"memory://{uuid.uuid4().hex}"
    lake = dp.open(url)
    draw = np.random.default_rng(1)
    for shift in (0.0, 0.0, 1.0):
        table = {"x": draw.normal(shift, size=50_000), "kind": draw.choice(["a", "b"], 50_000)}
        lake.ingest(pa.table(table), into="t", mode="replace")
    lake.ingest(pa.table({"x": ["text"]}), into="other")
    lines = [f"{x},{kind}\n" for x, kind in zip(draw.normal(size=40), "ab" * 20, strict=True)]
    (tmp_path / "few.csv").write_text("x,kind\n" + "".join(lines))

    def run(*words, code=0):
        assert main(["drift", *words, "--lake", url]) == code
        return capsys.readouterr()

    return run


def test_it_ends_with_what_was_found(run):
    """0 without drift, 1 with it; undecided is 0, and 1 under --strict; 2 where a column cannot be compared."""
    assert run("t@main~2", "t@main~1").out.splitlines()[0] == "t@main~2 → t@main~1: 2 none"
    lines = run("t@main~1", "t", code=1).out.splitlines()
    assert lines[0] == "t@main~1 → t: 1 drift, 1 none"
    assert lines[1].split()[:2] == ["drift", "x:"]
    assert "2 undecided" in run("t@main~1", "few.csv").out
    run("t@main~1", "few.csv", "--strict", code=1)
    found = run("t", "other", code=2)
    assert "it was number and is text" in found.out
    assert "there is no such column after" in found.out


def test_json_and_page(run, tmp_path):
    """The same as JSON, and as a page in a file."""
    found = json.loads(run("t@main~1", "t", "--json", "--report", "out.html", code=1).out)
    assert (found["before"], found["after"], found["ok"]) == ("t@main~1", "t", False)
    assert {column["column"]: column["verdict"] for column in found["columns"]} == {"x": "drift", "kind": "none"}
    assert (tmp_path / "out.html").read_text("utf-8").startswith("<!doctype html>")
    assert "report: out.html" in run("t@main~1", "t", "--report", "out.html", code=1).err


def test_options(run):
    """Columns, a statistic, slices, what counts, windows, rows instead of profiles."""
    line = run("t@main~1", "t", "--columns", "x", "--method", "js", "--exact", code=1).out.splitlines()[1]
    assert "js 0." in line
    assert run("t@main~1", "t", "--by", "kind", "--columns", "x", code=1).out.count("drift") == 3
    run("t@main~1", "t", "--min-effect", "0.5", "--no-history")
    halves = run("t", "t", "--where", "x < 1", "--where", "x >= 1", "--columns", "x", "--alpha", "0.01", code=1)
    assert "ks 1.0000" in halves.out


def test_wrong_commands(run):
    """Three conditions, a column, a dataset, a chance that is none: each is said, with the code that fits."""
    assert "twice" in run("t", "t", *["--where", "x < 1"] * 3, code=2).err
    assert "did you mean 'x'" in run("t", "t", "--columns", "X", code=2).err
    assert "'u'" in run("t", "u", code=3).err
    Path("bad.csv").write_text("x,kind\n1,a\n2\n")
    assert "cannot be read" in run("t", "bad.csv", code=2).err, "1 would say that there is drift"
    assert "between 0 and 1" in run("t", "t", "--alpha", "2", code=2).err
