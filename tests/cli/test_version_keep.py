"""`dataplat version du | gc | branch keep` on a lake in memory."""

from __future__ import annotations

import json
import uuid

import pytest

from dataplat.cli import main


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    """Return a function that runs a command line on a lake with three versions of `t`, and returns what it printed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DATAPLAT_LAKE", raising=False)
    monkeypatch.setenv("NO_COLOR", "1")
    url = f"memory://{uuid.uuid4().hex}"

    def run(*words, code=0):
        assert main([*words, "--lake", url]) == code
        printed = capsys.readouterr()
        return printed.out or printed.err

    run("init")
    for at in range(3):
        (tmp_path / "t.csv").write_text(f"id,n\n{at},{at}\n")
        run("ingest", "t.csv", "--into", "t", "--mode", "replace")
    return run


def test_dry_run_explains_and_deletes_nothing(run):
    """Each version is shown with what becomes of it and why."""
    printed = run("version", "gc", "--dry-run", "--explain", "--keep", "1", "--grace", "0s")
    assert printed.count(" goes ") == 2
    assert "newest on main" in printed
    found = json.loads(run("version", "gc", "--dry-run", "--explain", "--keep", "1", "--grace", "0s", "--json"))["plan"]
    assert found["versions"] == {"t": 2}
    assert found["bytes"]
    assert {"bytes", "created"} <= found["explained"]["versions"][0].keys()


def test_several_branches_are_one_reason(run):
    """A version that is the newest of several branches says so once, main first."""
    for name in ("exp2", "exp"):
        run("version", "branch", "create", name)
    printed = run("version", "du", "t")
    assert "newest on main, exp, exp2; main, exp, exp2 keep all\n" in printed
    assert "stays  main, exp, exp2 keep all\n" in printed


def test_gc_says_what_it_deleted(run):
    """The plan comes first, then what was done; afterwards versions say that they are gone, with the code of not found."""
    run("version", "branch", "keep", "main", "2")
    printed = run("version", "gc", "--grace", "0s")
    assert "versions that go    1 of t" in printed
    assert "in collection 1" in printed
    assert "was collected by gc 1" in run("version", "head", "t~2", code=3)
    done = json.loads(run("version", "gc", "--grace", "0s", "--json"))
    assert (done["objects"], done["plan"]["objects"]) == (0, 0)


def test_du(run):
    """Bytes by dataset, and by version of one."""
    assert "unreachable" in run("version", "du")
    assert run("version", "du", "t").count("stays") == 3
    found = json.loads(run("version", "du", "--json"))
    assert found["bytes"] >= found["datasets"][0]["bytes"]
    run("version", "du", "u", code=3)


def test_wrong_rules_are_usage(run):
    """A rule or time that cannot be read ends with the code of usage."""
    run("version", "gc", "--keep", "x", code=2)
    run("version", "gc", "--grace", "x", code=2)
    run("version", "branch", "keep", "main", "x", code=2)


def test_tag_keeps_for_a_time(run):
    """A tag with `--keep` names its commit for ever, and keeps its versions until then."""
    run("version", "tag", "short", "main~1", "--keep", "0s")
    assert json.loads(run("version", "tags", "--json"))[0]["expires"] is not None
    plan = json.loads(run("version", "gc", "--dry-run", "--keep", "1", "--grace", "0s", "--json"))["plan"]
    assert (plan["versions"], plan["expired_tags"]) == ({"t": 2}, ["short"])
    run("version", "tag", "long", "main~1", "--keep", "1d")
    plan = json.loads(run("version", "gc", "--dry-run", "--keep", "1", "--grace", "0s", "--json"))["plan"]
    assert plan["versions"] == {"t": 1}
    run("version", "tag", "wrong", "--keep", "soon", code=2)


def test_lists_tell_what_is_kept(run):
    """Where a branch has a rule or a tag an end the lists have a column for it; JSON has it always."""
    assert "keeps" not in run("version", "branch", "list")
    run("version", "branch", "keep", "main", "30d,10")
    assert run("version", "branch", "list").splitlines()[1].endswith("30d,10")
    assert json.loads(run("version", "branch", "list", "--json"))[0]["keep"] == "30d,10"
    run("version", "tag", "v1")
    assert "keeps until" not in run("version", "tags")
    run("version", "tag", "v2", "--keep", "90d")
    assert "keeps until" in run("version", "tags").splitlines()[0]
