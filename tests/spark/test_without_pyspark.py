"""Where pyspark is not installed, whatever needs it says how to install it."""

import json
import subprocess
import sys

import pyarrow as pa
import pytest

import dataplat as dp

RUN = """
import json, sys
sys.modules["pyspark"] = None  # as where it is not installed
from dataplat.cli._run import run
for argv in json.loads(sys.argv[1]):
    print(run(argv), file=sys.stderr)
"""


@pytest.fixture
def folder(tmp_path):
    """Return a folder with a lake, a dataset of two versions, and a file."""
    lake = dp.open(tmp_path / "lake")
    for rows in ([1], [1, 2]):
        lake.ingest(pa.table({"a": rows}), into="t", mode="replace")
    (tmp_path / "t.csv").write_text("a\n1\n")
    return tmp_path


def test_every_command_names_the_extra(folder):
    """No command with --engine spark, and no spark://, ends as a defect: each ends with the line to install."""
    commands = [
        ["ingest", "t.csv", "--into", "u", "--engine", "spark"],
        ["ingest", "spark://orc/days", "--into", "u"],
        ["ingest", "spark://orc/days", "--into", "u", "--plan"],
        ["profile", "t", "--engine", "spark"],
        ["profile", "t", "--engine", "spark", "--master", "local[1]"],
        ["drift", "t@main~1", "t", "--engine", "spark"],
        ["version", "diff", "t@main~1", "t", "--engine", "spark"],
        ["version", "compact", "t", "--engine", "spark"],
    ]
    argv = json.dumps([[*command, "--lake", "lake"] for command in commands])
    done = subprocess.run(
        [sys.executable, "-c", RUN, argv], cwd=folder, capture_output=True, text=True, check=True, timeout=120
    )
    said = done.stderr.splitlines()
    assert len(said) == 2 * len(commands), done.stderr
    for message, code in zip(said[::2], said[1::2], strict=True):
        assert "pip install 'dataplat[spark]'" in message
        assert code == "2"
