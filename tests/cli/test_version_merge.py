"""`dataplat version merge | conflicts | cherry-pick | revert`: what they print, write and end with."""

import csv
import json
import uuid

import pyarrow as pa
import pytest

import dataplat as dp
from dataplat.cli import main
from dataplat.cli._version_merge import _shown


@pytest.fixture
def lake():
    """Return a lake in memory whose branches main and exp changed the same cell."""
    made = dp.open(f"memory://{uuid.uuid4().hex}")
    made.ingest(pa.table({"id": [1, 2], "a": [1, 1]}), into="t", key=["id"])
    made.branch("exp")
    for branch, value in (("exp", 2), ("main", 3)):
        made.ingest(pa.table({"id": [1], "a": [value]}), into="t", mode="upsert", branch=branch)
    return made


@pytest.fixture
def run(lake, capsys):
    """Return a function that runs a command line on it, holds the exit code and returns what was printed."""

    def call(*words, code=0):
        ended = main(["version", *words, "--lake", lake.url])
        out, err = capsys.readouterr()
        assert ended == code, err or out
        return out or err

    return call


def test_a_conflict_ends_with_its_own_code(run):
    """A merge that stops says what conflicts and what to do."""
    said = run("merge", "exp", code=4)
    assert "cell t" in said
    assert "version conflicts" in said


def test_a_script_gets_the_table_of_conflicts_with_the_error(run, lake):
    """With --json the error holds what `version conflicts --json` prints."""
    said = json.loads(run("merge", "exp", "--json", code=4))
    assert said["error"] == "MergeConflict"
    assert said["conflicts"] == lake.plan_merge("exp").conflicts.to_pylist()


def test_a_narrow_terminal_sees_all_sides(lake, monkeypatch):
    """Cells are cut as the terminal is narrow, and base, ours and theirs are always there."""
    found = lake.plan_merge("exp").conflicts
    wide = pa.Table.from_pylist([row | {"ours": "3" * 90} for row in found.to_pylist()], schema=found.schema)
    for width in (200, 70, 20):
        monkeypatch.setattr("dataplat.cli._version_merge.room", lambda width=width: width)
        lines = _shown(wide).splitlines()
        assert lines[0].split()[-4:-1] == ["base", "ours", "theirs"]
        assert max(map(len, lines)) <= max(width, 70)


def test_a_plan_and_a_policy(run, lake):
    """A plan says what would be; a policy settles it."""
    assert "nothing was touched" in run("merge", "exp", "--plan")
    told = json.loads(run("merge", "exp", "--policy", "theirs", "--json"))
    assert told["conflicts"][0]["resolution"] == "theirs"
    assert lake["t"].to_arrow(where="id = 1").column("a").to_pylist() == [2]
    assert "nothing to merge" in run("merge", "exp")


@pytest.mark.parametrize("kind", ["csv", "json", "parquet"])
def test_conflicts_are_written_and_read_back(run, lake, tmp_path, kind):
    """The table goes out, and comes back with its last column filled; the branch need not be named again."""
    path = tmp_path / f"conflicts.{kind}"
    run("merge", "exp", code=4)
    run("conflicts", "--format", kind, "-o", str(path))
    if kind == "csv":
        rows = list(csv.reader(path.read_text().splitlines()))
        rows[1][-1] = "value:7"
        with path.open("w", newline="") as file:
            csv.writer(file).writerows(rows)
    elif kind == "json":
        path.write_text(path.read_text().replace('"resolution": null', '"resolution": "value:7"'))
    else:
        import pyarrow.parquet as pq

        table = pq.read_table(path)
        pq.write_table(table.set_column(7, "resolution", pa.array(["value:7"])), path)
    run("conflicts", "--resolve", str(path))
    assert lake["t"].to_arrow(where="id = 1").column("a").to_pylist() == [7]


def test_of_a_row_that_one_deleted_people_see_what_the_other_changed(run, lake):
    """Of wide rows only the columns that differ are printed; the table for machines has all of them."""
    wide = {f"c{number}": [0] for number in range(30)}
    lake.ingest(pa.table({"id": [9], "a": [1]} | wide), into="w", key=["id"])
    lake.branch("other")
    lake.delete("w", "id = 9", branch="other")
    lake.ingest(pa.table({"id": [9], "a": [2]} | wide), into="w", mode="upsert")
    assert 'row w {"id":9}: {"a":1} became {"a":2} and nothing' in run("merge", "other", code=4)
    shown = run("conflicts", "other")
    assert '{"a":1}' in shown
    assert '"c7"' not in shown
    assert '"c7":0' in json.loads(run("conflicts", "other", "--json"))[0]["ours"]


def test_conflicts_without_a_branch_need_a_merge_that_stopped(run):
    """Where no merge is remembered the message says to name the branch."""
    assert "name the branch" in run("conflicts", code=2)
    assert '{"id":1}' in run("conflicts", "exp")


def test_cherry_pick_and_revert(run, lake):
    """One commit comes, and one goes."""
    run("cherry-pick", "exp", "--policy", "theirs", "-m", "that one")
    assert lake["t"].to_arrow(where="id = 1").column("a").to_pylist() == [2]
    run("revert", "main")
    assert lake["t"].to_arrow(where="id = 1").column("a").to_pylist() == [3]
