"""What a merge does to datasets, columns, positions and history, case by case."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import dataplat as dp
from dataplat.errors import CommitConflict, ConfigError, DatasetNotFound

from .shop import KEY, rows, shown, upsert  # noqa: TID252


def places(conflicts):
    """Return what names each conflict."""
    return [(row["kind"], row["key"], row["column"]) for row in conflicts.to_pylist()]


def test_cells_of_one_row_come_together(lake):
    """Both changed a row, each another cell: no conflict, and the commit has two parents."""
    upsert(lake, "exp", id=[1], a=[2], b=["x"])
    upsert(lake, "main", id=[1], a=[1], b=["y"])
    theirs = lake.refs.head("exp").commit_id
    before = lake.refs.head("main").commit_id
    result = lake.merge("exp")
    assert shown(lake)[0] == {"id": 1, "a": 2, "b": "y"}
    assert lake.refs.head("main").commit.parents == (before, theirs)
    change = lake.refs.head("main").commit.changes["t"]
    assert change.mode == "merge"
    assert change.lineage[0].kind == "merge"
    assert change.lineage[0].detail["commit"] == theirs
    told = result.datasets[0]
    assert (told.rows_added, told.rows_removed, told.rows_changed, told.rows_merged) == (0, 0, 1, 1)
    assert lake.verify().ok


def counts(lake, reference="main"):
    """Return what the newest commit of a branch says of t: rows added, deleted and there."""
    change = lake.refs.head(reference).commit.changes["t"]
    return change.rows_added, change.rows_deleted, change.rows


def test_the_log_counts_what_came_and_went(lake):
    """A merge, fast-forward or not, a cherry-pick and a revert count rows that changed as gone and come, not the net."""
    upsert(lake, "exp", id=[1, 2, 9], a=[2, 2, 9], b=["x", "x", "x"])
    lake.branch("forward", "main")
    lake.branch("picked", "main")
    lake.merge("exp", "forward")
    assert counts(lake, "forward") == (3, 2, 4)
    lake.cherry_pick("exp", "picked")
    assert counts(lake, "picked") == (3, 2, 4)
    upsert(lake, "main", id=[3], a=[1], b=["y"])
    lake.merge("exp")
    assert counts(lake) == (3, 2, 4)
    lake.revert("main")
    assert counts(lake) == (2, 3, 3)
    assert lake.log("t", limit=1)[0].rows_added == 2


def test_a_conflict_moves_nothing_and_is_a_table(lake):
    """Without a policy any conflict raises, with base, ours and theirs as JSON."""
    upsert(lake, "exp", id=[1], a=[2], b=["x"])
    lake.delete("t", "id = 2", branch="exp")
    upsert(lake, "main", id=[1, 2], a=[3, 1], b=["x", "z"])
    head = lake.refs.head("main").commit_id
    with pytest.raises(dp.MergeConflict) as stopped:
        lake.merge("exp")
    assert lake.refs.head("main").commit_id == head
    found = sorted(stopped.value.conflicts.to_pylist(), key=lambda row: row["kind"])
    assert [(row["kind"], row["key"], row["column"]) for row in found] == [
        ("cell", '{"id":1}', "a"),
        ("row", '{"id":2}', ""),
    ]
    assert (found[0]["base"], found[0]["ours"], found[0]["theirs"]) == ("1", "3", "2")
    assert json.loads(found[1]["ours"]) == {"id": 2, "a": 1, "b": "z"}
    assert found[1]["theirs"] is None


def test_conflicts_are_in_order_of_keys_as_the_dataset_has_them(memory_lake):
    """The columns of a key stand in its order, and rows are sorted by its values, numbers as numbers; handed back, it settles."""
    ids = [10, 9, 2]
    memory_lake.ingest(rows(a=["x"] * 3, z=ids, v=[0] * 3), into="t", key=["z", "a"])
    memory_lake.branch("exp")
    for branch, value in (("exp", 1), ("main", 2)):
        memory_lake.ingest(rows(a=["x"] * 3, z=ids, v=[value] * 3), into="t", mode="upsert", branch=branch)
    found = memory_lake.plan_merge("exp").conflicts
    assert found.column("key").to_pylist() == ['{"z":2,"a":"x"}', '{"z":9,"a":"x"}', '{"z":10,"a":"x"}']
    settled = [row | {"resolution": "theirs"} for row in found.to_pylist()]
    memory_lake.merge("exp", resolve=settled)
    assert {row["v"] for row in shown(memory_lake)} == {1}


def test_a_plan_touches_nothing(lake):
    """A plan says the same and leaves neither commit nor object."""
    upsert(lake, "exp", id=[1, 9], a=[2, 9], b=["x", "n"])
    upsert(lake, "main", id=[1], a=[1], b=["y"])
    before = {entry.key for entry in lake.store.list("")}
    told = lake.plan_merge("exp")
    assert {entry.key for entry in lake.store.list("")} == before
    assert told.commit is None
    assert told.datasets == lake.merge("exp").datasets


@pytest.mark.parametrize("how", ["rows", "csv", "json", "parquet", "table"])
def test_resolutions_finish_a_merge(lake, tmp_path, how):
    """The table handed back, in any form, settles each conflict as it says."""
    upsert(lake, "exp", id=[1, 2, 3], a=[2, 2, 2], b=["x", "x", "x"])
    upsert(lake, "main", id=[1, 2, 3], a=[3, 3, 3], b=["x", "x", "x"])
    table = lake.plan_merge("exp").conflicts
    filled = [
        row | {"resolution": word} for row, word in zip(table.to_pylist(), ["theirs", "base", "value:7"], strict=True)
    ]
    path = tmp_path / f"c.{how}"
    given = {"rows": filled, "table": pa.Table.from_pylist(filled, table.schema)}.get(how, path)
    if how == "json":
        path.write_text(json.dumps(filled))
    elif how == "parquet":
        pq.write_table(pa.Table.from_pylist(filled), path)
    elif how == "csv":
        import csv

        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(filled[0]))
            writer.writeheader()
            writer.writerows(filled)
    lake.merge("exp", resolve=given)
    by_key = {json.loads(row["key"])["id"]: row["resolution"] for row in filled}
    values = {"theirs": 2, "base": 1, "value:7": 7}
    assert {row["id"]: row["a"] for row in shown(lake)} == {key: values[word] for key, word in by_key.items()}


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_resolutions_that_a_spreadsheet_saved_are_read(lake, tmp_path, delimiter):
    """A byte order mark, CRLF, and semicolons or tabs between the cells make no difference."""
    import csv

    upsert(lake, "exp", id=[1], a=[2], b=["x"])
    upsert(lake, "main", id=[1], a=[3], b=["x"])
    (row,) = lake.plan_merge("exp").conflicts.to_pylist()
    path = tmp_path / "saved.csv"
    with path.open("w", newline="", encoding="utf-8-sig") as file:
        writer = csv.DictWriter(file, list(row), delimiter=delimiter, lineterminator="\r\n")
        writer.writeheader()
        writer.writerow(row | {"resolution": "theirs"})
    lake.merge("exp", resolve=path)
    assert shown(lake)[0]["a"] == 2


@pytest.mark.parametrize("given", [5, {"a": 1}, [None], [1], [{"dataset": "t"}]])
def test_what_is_no_table_of_conflicts_is_refused(lake, given):
    """Anything but rows of the table is an error that says what is wanted."""
    upsert(lake, "exp", id=[1], a=[2], b=["x"])
    with pytest.raises(ConfigError, match="resolutions"):
        lake.merge("exp", resolve=given)


def test_a_dataset_made_anew_with_other_types_is_taken(lake):
    """Dropped and made anew there with keys of another type: it comes whole, and no row counts as changed."""
    lake.drop("t", branch="exp")
    lake.ingest(rows(id=["a"], z=[1.5]), into="t", key=KEY, branch="exp")
    told = lake.merge("exp").datasets[0]
    assert shown(lake) == [{"id": "a", "z": 1.5}]
    assert (told.action, told.rows_added, told.rows_removed, told.rows_changed) == ("taken", 1, 3, 0)


def test_a_dropped_column_stays_known_where_all_parts_of_ours_go(memory_lake):
    """A part of theirs may hold what theirs dropped later: the content id leaves it out, and it never comes back."""
    lake = memory_lake
    lake.ingest(rows(v=[1, 2], m=[1, 2]), into="t")
    lake.branch("exp")
    lake.delete("t", "v = 1")
    lake.ingest(rows(v=[9], m=[77]), into="t", branch="exp")
    lake.delete("t", "v < 9", branch="exp")
    lake.evolve("t", drop=["m"], branch="exp")
    lake.merge("exp")
    lake.ingest(rows(v=[9]), into="plain")
    assert shown(lake) == [{"v": 9}]
    assert lake["t"].content_id == lake["plain"].content_id
    lake.evolve("t", add={"m": "int64"})
    assert shown(lake) == [{"v": 9, "m": None}]
    assert lake.verify().ok


@pytest.mark.parametrize("policy", ["ours", "theirs"])
def test_two_columns_that_came_to_one_name_are_parted(lake, policy):
    """Both branches gave different columns one name: the side that wins keeps it, the other column its old name."""
    lake.evolve("t", rename={"a": "n"})
    lake.evolve("t", rename={"b": "n"}, branch="exp")
    lake.merge("exp", policy=policy)
    row = shown(lake)[0]
    assert row == ({"id": 1, "n": 1, "b": "x"} if policy == "ours" else {"id": 1, "a": 1, "n": "x"})


def test_left_over_and_unknown_resolutions_are_errors(lake):
    """A conflict left empty stops the merge again; a resolution of no conflict is an error; neither moves anything."""
    upsert(lake, "exp", id=[1, 2], a=[2, 2], b=["x", "x"])
    upsert(lake, "main", id=[1, 2], a=[3, 3], b=["x", "x"])
    filled = lake.plan_merge("exp").conflicts.to_pylist()
    filled[0]["resolution"] = "ours"
    with pytest.raises(dp.MergeConflict, match="1 conflict") as stopped:
        lake.merge("exp", resolve=filled)
    assert stopped.value.conflicts.to_pylist()[0]["resolution"] == "ours"
    filled[1]["key"] = '{"id":77}'
    filled[1]["resolution"] = "ours"
    with pytest.raises(ConfigError, match='"id":77'):
        lake.merge("exp", resolve=filled)
    with pytest.raises(ConfigError, match="mine"):
        lake.merge("exp", resolve=[filled[0] | {"resolution": "mine"}])


def test_nothing_to_merge_is_said(lake):
    """A branch that main has already, merged again, makes no commit."""
    upsert(lake, "exp", id=[4], a=[4], b=["n"])
    lake.merge("exp")
    head = lake.refs.head("main").commit_id
    result = lake.merge("exp")
    assert result.commit is None
    assert "nothing to merge" in result.note
    assert lake.refs.head("main").commit_id == head


def test_merges_in_both_directions_do_not_repeat_conflicts(lake):
    """After a merge its parent is the base, so what was settled stays settled."""
    upsert(lake, "exp", id=[1], a=[2], b=["x"])
    upsert(lake, "main", id=[1], a=[3], b=["x"])
    lake.merge("exp", policy="ours")
    upsert(lake, "exp", id=[2], a=[5], b=["x"])
    assert lake.merge("exp").conflicts.num_rows == 0
    lake.merge("main", into="exp")
    assert shown(lake) == shown(lake, "t@exp")


@pytest.mark.parametrize("back", [False, True])
def test_a_merge_of_one_dataset_is_remembered_without_a_parent(lake, back):
    """`--dataset` leaves the other datasets, makes no parent, and is the base of the next merge of that dataset."""
    lake.ingest(rows(n=[1]), into="other", branch="exp")
    upsert(lake, "exp", id=[1], a=[2], b=["x"])
    upsert(lake, "main", id=[1], a=[3], b=["x"])
    lake.merge("exp", dataset="t", policy="ours")
    assert len(lake.refs.head("main").commit.parents) == 1
    assert "other" not in lake
    if back:
        lake.merge("main", into="exp", dataset="t")
        assert shown(lake, "t@exp")[0]["a"] == 3
    upsert(lake, "exp", id=[2], a=[5], b=["x"])
    with pytest.raises(DatasetNotFound):
        lake.merge("exp", dataset="nothing")
    result = lake.merge("exp")
    assert result.conflicts.num_rows == 0
    assert [row["a"] for row in shown(lake)] == [3, 5, 1]
    assert "other" in lake


def test_identity_follows_renames(lake):
    """A dataset renamed there and changed here is one dataset: it comes under its new name with both changes."""
    lake.rename("t", "u", branch="exp")
    lake.ingest(rows(id=[1], a=[2], b=["x"]), into="u", mode="upsert", branch="exp")
    upsert(lake, "main", id=[2], a=[3], b=["x"])
    result = lake.merge("exp")
    assert [row["a"] for row in shown(lake, "u")] == [2, 3, 1]
    assert "t" not in lake
    assert result.datasets[0].renamed_from == "t"
    assert [entry.dataset for entry in lake.log("u")][-1] == "t"


def test_a_drop_against_a_change_is_a_conflict(lake):
    """A dataset dropped here and changed there is settled as a whole; dropped and unchanged it goes."""
    lake.drop("t", branch="exp")
    assert lake.plan_merge("exp").datasets[0].action == "dropped"
    upsert(lake, "main", id=[2], a=[3], b=["x"])
    assert places(lake.plan_merge("exp").conflicts) == [("dataset", "", "")]
    assert lake.plan_merge("exp", policy="ours").datasets == ()
    lake.merge("exp", policy="theirs")
    assert "t" not in lake


def test_datasets_new_on_both(memory_lake):
    """With one key and schema they are merged from nothing; without they conflict unless they are equal."""
    lake = memory_lake
    lake.ingest(rows(n=[0]), into="old")
    lake.branch("exp")
    for branch, a in (("exp", [1, 2]), ("main", [1, 3])):
        lake.ingest(rows(id=[1, a[1]], a=a), into="k", key=KEY, branch=branch)
        lake.ingest(rows(a=a), into="m", branch=branch)
        lake.ingest(rows(a=[5]), into="same", branch=branch)
    found = lake.plan_merge("exp")
    assert {(row["dataset"], row["kind"]) for row in found.conflicts.to_pylist()} >= {("m", "dataset")}
    lake.merge("exp", policy="ours")
    assert [row["id"] for row in shown(lake, "k")] == [1, 2, 3]
    assert lake["m"].rows == 2
    assert lake["same"].rows == 1


def test_a_key_changed_on_one_side_is_a_conflict(lake):
    """Rows cannot be matched by two keys: the dataset is settled as a whole."""
    lake.ingest(rows(id=[1, 2], a=[1, 2], b=["x", "y"]), into="t", mode="replace", key=["a"], branch="exp")
    upsert(lake, "main", id=[2], a=[3], b=["x"])
    assert places(lake.plan_merge("exp").conflicts) == [("key", "", "")]
    lake.merge("exp", policy="theirs")
    assert lake["t"].manifest.key == ("a",)


def test_another_type_that_does_not_hold_the_old_is_a_conflict(lake):
    """A column replaced by text there, with integers added here: neither side's rows fit the other's type."""
    lake.ingest(rows(id=[1], a=["one"], b=["x"]), into="t", mode="replace", branch="exp", schema={"a": "string"})
    upsert(lake, "main", id=[2], a=[3], b=["x"])
    assert places(lake.plan_merge("exp").conflicts) == [("column", "", "a")]
    with pytest.raises(CommitConflict, match="do not fit"):
        lake.merge("exp", policy="theirs")


def test_sources_read_on_both_branches(new_lake, tmp_path):
    """A source that one branch read is taken with its position; one that both read is a conflict without a key."""
    for number in (1, 2):
        (tmp_path / f"{number}.csv").write_text(f"a\n{number}\n")
    lake = new_lake()
    lake.ingest(rows(a=[0]), into="t")
    lake.branch("exp")
    lake.ingest(str(tmp_path / "1.csv"), into="t", branch="exp")
    lake.ingest(rows(a=[9]), into="t")
    lake.merge("exp")
    assert lake["t"].rows == 3
    lake.ingest(str(tmp_path / "1.csv"), into="t")
    assert lake["t"].rows == 3
    for branch in ("main", "exp"):
        lake.ingest(str(tmp_path / "2.csv"), into="t", branch=branch)
    assert [row["kind"] for row in lake.plan_merge("exp").conflicts.to_pylist()] == ["source"]


def test_cherry_pick_and_revert(lake):
    """One commit comes alone, and goes alone; what came since stays."""
    upsert(lake, "exp", id=[1], a=[2], b=["x"])
    upsert(lake, "exp", id=[2], a=[3], b=["x"])
    result = lake.cherry_pick("exp")
    assert [row["a"] for row in shown(lake)] == [1, 3, 1]
    assert lake.refs.head("main").commit.changes["t"].lineage[0].kind == "cherry-pick"
    assert len(lake.refs.head("main").commit.parents) == 1
    assert result.kind == "cherry-pick"
    upsert(lake, "main", id=[3], a=[9], b=["x"])
    lake.revert("main~1")
    assert [row["a"] for row in shown(lake)] == [1, 1, 9]
    upsert(lake, "main", id=[3], a=[8], b=["x"])
    with pytest.raises(dp.MergeConflict):
        lake.revert("main~2")
    assert lake.revert("main~2", policy="ours").datasets == ()


def test_a_revert_sets_positions_back(new_lake, tmp_path):
    """What was reverted can be read again."""
    path = tmp_path / "1.csv"
    path.write_text("a\n1\n")
    lake = new_lake()
    lake.ingest(rows(a=[0]), into="t")
    lake.ingest(str(path), into="t")
    lake.revert("main")
    assert lake["t"].rows == 1
    lake.ingest(str(path), into="t")
    assert lake["t"].rows == 2


def test_the_branch_may_move_meanwhile(lake, monkeypatch):
    """A merge whose branch moved between plan and commit is planned anew on the new head."""
    from dataplat.versioning.merge import Planner

    upsert(lake, "exp", id=[1], a=[2], b=["x"])
    plan, moved = Planner.merge, []

    def late(self, *given):
        found = plan(self, *given)
        if not moved:
            moved.append(1)
            upsert(lake, "main", id=[1], a=[1], b=["late"])
        return found

    monkeypatch.setattr(Planner, "merge", late)
    lake.merge("exp")
    assert shown(lake)[0] == {"id": 1, "a": 2, "b": "late"}


def test_only_what_both_touched_is_read(new_lake, reads):
    """Disjoint appends to a dataset without a key are merged without reading a row."""
    lake = new_lake()
    lake.ingest(rows(a=list(range(100))), into="t")
    lake.branch("exp")
    lake.ingest(rows(a=[100]), into="t", branch="exp")
    lake.ingest(rows(a=[101]), into="t")
    reads.clear()
    lake.merge("exp")
    assert not reads.calls
    assert lake["t"].manifest.digest is not None
    assert lake["t"].rows == 102


def test_a_part_that_would_be_half_empty_is_written_anew(lake):
    """Of a part of theirs of which less than half would count, the rows come in a new part."""
    upsert(lake, "exp", id=[1, 2, 3], a=[2, 2, 2], b=["x", "x", "x"])
    upsert(lake, "main", id=[1, 2], a=[3, 3], b=["x", "x"])
    lake.merge("exp", policy="ours")
    assert all(2 * part.live >= part.rows for part in lake["t"].manifest.parts())
    assert [row["a"] for row in shown(lake)] == [3, 3, 2]
