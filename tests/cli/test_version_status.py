"""`dataplat version status` on a lake in memory."""

from __future__ import annotations

import json
import subprocess
import sys
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


def test_a_second_look_needs_no_data_library(run, tmp_path):
    """The first look keeps an index: the next ones load neither Arrow nor NumPy, whether all is the same or not."""
    lake = str(tmp_path / "lake")
    script = (
        "import sys; from dataplat.cli import main; code = main(sys.argv[1:]); "
        "print(code, sorted({name.partition('.')[0] for name in sys.modules} & {'pyarrow', 'numpy', 'polars'}))"
    )

    def loaded(*words):
        command = [sys.executable, "-c", script, *words, "--lake", lake]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[-1]

    subprocess.run([sys.executable, "-m", "dataplat", "init", lake], check=True, capture_output=True)
    loaded("ingest", "in", "--into", "files")
    assert loaded("version", "status", "files") == "0 ['numpy', 'pyarrow']"
    assert loaded("version", "status", "files") == "0 []"
    (tmp_path / "in" / "0.bin").write_text("x")
    (tmp_path / "in" / "1.bin").write_text("longer")
    assert loaded("version", "status", "files") == "1 []"
