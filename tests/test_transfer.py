"""Push, pull and clone as users call them, from Python and from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest
from click.testing import CliRunner

import dataplat as dp
from dataplat._lake import Lake
from dataplat.cli import main
from dataplat.cli._app import app


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """A lake on disk with a dataset and a tag."""
    lake = dp.open(tmp_path / "here")
    lake.ingest(pa.table({"id": range(10), "v": range(10)}), "d", key="id")
    lake.tag("v1")
    return lake


def run(*words: object) -> tuple[int, dict]:
    """Run `dataplat version …` and return the exit code and the JSON that it prints."""
    done = CliRunner().invoke(app, ["version", *map(str, words), "--json"], standalone_mode=False)
    if done.exception is not None:
        raise done.exception
    return done.return_value or 0, json.loads(done.stdout)


@pytest.mark.parametrize("way", ["push", "pull"])
def test_a_lake_just_made_takes_what_comes(lake: Lake, tmp_path: Path, way: str) -> None:
    """It has a first commit of its own, which holds nothing: that is no history that another could diverge from."""
    empty = dp.open(tmp_path / "empty")
    moved = lake.push(empty.url, tags=True) if way == "push" else empty.pull(lake.url, tags=True)
    assert [(branch.name, branch.how) for branch in moved.branches if branch.name == "main"] == [("main", "forward")]
    empty = dp.open(empty.url)
    assert (empty["d"].id, empty["d@v1"].id) == (lake["d"].id, lake["d"].id)
    empty.delete("d", "id = 1")
    empty.gc(grace="0s")
    assert empty.verify().ok
    assert lake.pull(empty.url).branches[0].how == "forward"


def test_there_and_back(lake: Lake, tmp_path: Path) -> None:
    """A plan copies nothing; a push moves the branch; a pull brings what was done there; diverged ones lie side by side."""
    there = dp.clone(lake.url, tmp_path / "there")
    assert there.id != lake.id
    lake.delete("d", "id = 1")
    plan = lake.push(there.url, plan=True)
    assert (plan.commits, plan.branches[0].how) == (1, "forward")
    assert there["d"].rows == 10
    heard: list[dp.Progress] = []
    assert lake.push(there.url, tags=True, progress=heard.append).nbytes == plan.nbytes > 0
    assert dp.open(there.url)["d"].id == lake["d"].id
    there = dp.open(there.url)
    there.delete("d", "id = 2")
    assert lake.pull(there.url).branches[0].how == "forward"
    there.delete("d", "id = 3")
    lake.delete("d", "id = 4")
    with pytest.raises(dp.CommitConflict, match="diverged"):
        lake.push(there.url)
    for rows in (7, 6):
        [note] = lake.pull(there.url).notes
        assert "dataplat version merge pulled/main --into main" in note
        assert lake["d@pulled/main"].rows == rows
        there.delete("d", "id = 5")
    assert lake["d"].rows == 7
    assert lake.verify().ok


def test_refusals(lake: Lake, tmp_path: Path) -> None:
    """Itself, a place that is no lake, and a branch that is not there are said plainly."""
    with pytest.raises(dp.ConfigError, match="itself"):
        lake.push(lake.url)
    with pytest.raises(dp.LakeNotFound):
        lake.push(tmp_path / "nowhere")
    with pytest.raises(dp.AlreadyExists, match="there is a lake"):
        dp.clone(lake.url, lake.url)
    there = dp.clone(lake.url, tmp_path / "there")
    with pytest.raises(dp.BranchNotFound):
        lake.push(there.url, ["exp"])
    lake.branch("exp")
    assert [move.how for move in lake.push(there.url, None).branches] == ["new", "same"]


def test_a_protected_branch_is_asked(lake: Lake, tmp_path: Path) -> None:
    """A branch there that holds the dataset to a contract does not move to rows that break it."""
    there = dp.clone(lake.url, tmp_path / "there")
    contract = tmp_path / "c.py"
    contract.write_text(
        "import pandera.polars as pan\n\nPOSITIVE = pan.DataFrameSchema({'v': pan.Column(int, pan.Check.ge(0))})\n"
    )
    there.protect("main", f"{contract}:POSITIVE", dataset="d")
    lake.ingest(pa.table({"id": [50], "v": [-1]}), "d")
    with pytest.raises(dp.ContractFailed):
        lake.push(there.url)
    assert dp.open(there.url)["d"].rows == 10
    lake.delete("d", "v < 0")
    lake.push(there.url)
    assert dp.open(there.url)["d"].id == lake["d"].id


@pytest.mark.parametrize("word", ["clone", "push", "pull"])
def test_ctrl_c_says_that_it_goes_on(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], word: str
) -> None:
    """An interrupted transfer says so with the code of interruption, and the same command finishes it."""
    there = str(tmp_path / "there")
    if word != "clone":
        dp.clone(lake.url, there)
        lake.delete("d", "id = 1")
    line = {"clone": [lake.url, there], "push": [there, "--lake", lake.url], "pull": [lake.url, "--lake", there]}

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("dataplat._transfer.clone_with_report", interrupt)
        patch.setattr("dataplat._lake.Lake.push", interrupt)
        patch.setattr("dataplat._lake.Lake.pull", interrupt)
        assert main(["version", word, *line[word]]) == 130
    assert "run it again, and it goes on" in capsys.readouterr().err
    assert main(["version", word, *line[word]]) == 0
    assert dp.open(there)["d"].id == dp.open(lake.url)["d"].id


def test_commands(lake: Lake, tmp_path: Path) -> None:
    """The commands do the same, and print what was done as JSON; a damaged lake can be verified and put right."""
    there = tmp_path / "there"
    code, made = run("clone", lake.url, there)
    assert (code, [branch["name"] for branch in made["branches"]]) == (0, ["main"])
    lake.delete("d", "id = 1")
    assert run("push", there, "--plan", "--lake", lake.url)[1]["commits"] == 1
    assert run("push", there, "--lake", lake.url)[1]["branches"][0]["how"] == "forward"
    assert run("pull", there, "--lake", lake.url)[1]["branches"][0]["how"] == "same"
    record = max((Path(lake.url) / "refs" / "branches" / "main").iterdir())
    for damaged in (Path(lake.url) / "lake.json", record):
        damaged.unlink()
        damaged.write_bytes(b"{")
    code, found = run("verify", "--lake", lake.url)
    assert (code, len(found["problems"])) == (5, 2)
    code, found = run("verify", "--lake", lake.url, "--repair-from", there)
    assert (code, found["problems"], len(found["repaired"])) == (0, [], 2)
    assert dp.open(lake.url)["d"].rows == 9
