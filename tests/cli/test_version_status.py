"""`dataplat version status` on a lake in memory."""

from __future__ import annotations

import json
import uuid

import pytest

from dataplat.cli import main


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    """Return a function that runs a command line on a lake with a folder landed, and returns what it printed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DATAPLAT_LAKE", raising=False)
    url = f"memory://{uuid.uuid4().hex}"

    def run(*words, code=0):
        assert main([*words, "--lake", url]) == code
        printed = capsys.readouterr()
        return printed.out or printed.err

    (tmp_path / "in").mkdir()
    for number in range(5):
        (tmp_path / "in" / f"{number}.bin").write_text(str(number))
    run("init")
    run("ingest", "in", "--into", "files")
    return run


def test_same(run, tmp_path):
    """Nothing differs: code 0."""
    assert run("version", "status", "files") == (
        f"files@main beside {tmp_path}/in\n0 new, 0 changed, 0 deleted, 5 unchanged\n"
    )


def test_differs(run, tmp_path):
    """Names by kind, the first few of many; code 1."""
    (tmp_path / "in" / "0.bin").write_text("longer")
    (tmp_path / "in" / "1.bin").unlink()
    for name in "abc":
        (tmp_path / "in" / name).write_text("x")
    printed = run("version", "status", "files", "-n", "2", code=1).splitlines()[1:]
    assert printed == ["+ a", "+ b", "+ … 1 more", "~ 0.bin", "- 1.bin", "3 new, 1 changed, 1 deleted, 3 unchanged"]
    found = json.loads(run("version", "status", "files", "in", "--json", "-n", "1", code=1))
    assert found["counts"] == {"new": 3, "changed": 1, "deleted": 1, "touched": 0, "same": 3}
    assert (found["new"], found["is_same"]) == (["a"], False)


def test_not_there(run):
    """No such folder, no such dataset: the code of not found."""
    run("version", "status", "files", "elsewhere", code=3)
    run("version", "status", "other", code=3)
