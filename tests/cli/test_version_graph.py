"""`version log`, `show @…`, `rollback --all` and `branch protect` as they are typed and printed."""

import json

import pytest

import dataplat as dp
from dataplat.cli import main
from dataplat.cli._version_graph import graph_lines

CONTRACT = """
import pandera.polars as pa

class Stock(pa.DataFrameModel):
    item: str
    count: int = pa.Field(ge=0)
"""


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    """Return a function that runs a command line in an empty folder with a lake, and returns what it printed."""
    monkeypatch.chdir(tmp_path)
    for name in ("DATAPLAT_LAKE", "DATAPLAT_BRANCH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_COLOR", "1")
    (tmp_path / "stock.csv").write_text("item,count\napple,10\nbanana,20\n")
    (tmp_path / "bad.csv").write_text("item,count\ncherry,-5\n")
    (tmp_path / "contract.py").write_text(CONTRACT)

    def run(*words, code=0):
        ended = main(list(words))
        out, err = capsys.readouterr()
        assert ended == code, err or out
        return out or err

    run("init")
    run("ingest", "stock.csv", "--into", "stock", "-m", "opening")
    return run


def test_log_without_a_name_shows_commits(run):
    """The commits of a branch come newest first, each with what it changed and what stands at it."""
    run("version", "tag", "v1")
    run("version", "delete", "stock", "--where", "item = 'apple'", "-m", "no apples")
    lines = run("version", "log").splitlines()
    assert [line.split()[0] for line in lines[:1]] == ["commit"]
    assert "stock +0 -1" in lines[1]
    assert lines[1].endswith("(main) no apples")
    assert "stock +2 -0" in lines[2]
    assert "(tag: v1) opening" in lines[2]
    found = json.loads(run("version", "log", "-n", "1", "--json"))
    assert [(item["branches"], item["message"]) for item in found] == [(["main"], "no apples")]
    assert found[0]["changes"]["stock"]["rows_deleted"] == 1


def test_graph_draws_branches_and_merges(run):
    """Branches part and merge as in git; only --all shows what the branch does not reach."""
    run("version", "branch", "create", "exp")
    run("version", "describe", "stock", "on exp", "--branch", "exp")
    run("version", "describe", "stock", "on main")
    marks = [line.split()[0:2] for line in run("version", "log", "--graph", "--all", "-n", "4").splitlines()]
    assert [mark[0] for mark in marks] == ["*", "|", "|/", "*", "*"]
    assert "exp" not in run("version", "log", "--graph")
    assert "(exp)" in run("version", "log", "@exp", "--graph")
    assert "leave NAME out" in run("version", "log", "stock", "--graph", code=2)


def test_a_merge_has_two_lanes(run):
    """A commit with two parents opens a lane."""
    lake = dp.open()
    exp = lake.branch("exp")
    lake.describe("stock", "on exp", branch="exp")
    from dataplat.lake.objects import Stage
    from dataplat.versioning.publish import PlannedChange, commit

    change = PlannedChange(dataset="stock", mode="describe", base_version=lake["stock"].id, description="x")
    lake.describe("stock", "on main")
    with Stage(lake.store) as stage:
        made = commit(lake.io, "main", [change], stage, merged=[lake.refs.head("exp").commit_id])
    lines = [line.partition(" 20")[0].split(" (")[0] for line in graph_lines(lake.commits("main"))]
    assert lines[0] == f"* {made.id[:12]}"
    assert lines[1] == "|\\"
    assert "|/" in lines
    assert exp.commit_id[:12] in lines[lines.index("|/") + 1]


def test_show_of_a_commit(run):
    """A reference without a dataset shows a commit, what it did, and its parents."""
    shown = run("version", "show", "@main")
    assert "opening" in shown
    assert "append" in shown
    found = json.loads(run("version", "show", "@main", "--json"))
    assert found["changes"]["stock"]["rows"] == 2
    assert len(found["parents"]) == 1


def test_rollback_of_all(run):
    """Everything is as at the tag, said in one line; a second time there is nothing to do."""
    run("version", "tag", "v1")
    run("ingest", "stock.csv", "--into", "more")
    assert run("version", "rollback", "--all", "@v1").strip() == "main is as at @v1 again: more"
    assert json.loads(run("version", "rollback", "--all", "@v1", "--json"))["datasets"] == []
    assert "more" not in run("version", "list")


def test_protect_and_lift(run):
    """A protected branch is listed with its contract, refuses bad rows with code 1, and is free once it is lifted."""
    assert "holds stock" in run("version", "branch", "protect", "main", "--contract", "contract.py:Stock")
    assert run("version", "branch", "list").splitlines()[1].endswith("stock: Stock")
    listed = json.loads(run("version", "branch", "list", "--json"))
    assert listed[0]["contracts"]["stock"]["file"] == "contract.py"
    assert "would break" in run("ingest", "bad.csv", "--into", "stock", code=1)
    assert "unprotect" in run("version", "drop", "stock", code=4)
    assert "no longer" in run("version", "branch", "unprotect", "main")
    run("ingest", "bad.csv", "--into", "stock")
    assert "now" in run("version", "branch", "protect", "main", "--contract", "contract.py:Stock", code=1)
