"""Changes that bring no rows: rollback, drop, rename, describe, branches and tags."""

from __future__ import annotations

import pyarrow as pa
import pytest

import dataplat as dp
from dataplat._lake import Lake
from dataplat.lake.stores import MemoryStore
from dataplat.testing.store_faults import CrashStore


@pytest.fixture
def lake(memory_lake: Lake) -> Lake:
    """A lake whose dataset `d` has two versions, of rows 1 and 1, 2."""
    memory_lake.ingest(pa.table({"a": [1]}), "d")
    memory_lake.ingest(pa.table({"a": [2]}), "d")
    return memory_lake


def values(lake: Lake, reference: str = "d") -> list[int]:
    """The rows of a version."""
    return sorted(lake[reference].to_arrow().column("a").to_pylist())


def test_rollback_makes_an_earlier_version_the_newest(lake: Lake) -> None:
    """A rollback is a commit whose version is the old one; what it undid stays in the history."""
    old = lake["d@main~1"].id
    version = lake.rollback("d@main~1", message="bad day")
    assert (version.id, lake["d"].id, values(lake)) == (old, old, [1])
    newest = lake.log("d", limit=1)
    assert [(entry.mode, entry.message) for entry in newest] == [("rollback", "bad day")]
    assert values(lake, "d@main~1") == [1, 2]
    lake.rollback("d@main~1")
    assert values(lake) == [1, 2]


def test_rollback_counts_what_came_and_went(memory_lake: Lake) -> None:
    """Rows are counted by parts, not net: two went and two others are back."""
    memory_lake.ingest(pa.table({"id": [1, 2, 3], "a": [1, 1, 1]}), "k", key="id")
    memory_lake.tag("before")
    memory_lake.ingest(pa.table({"id": [1, 2], "a": [2, 2]}), "k", mode="upsert")
    memory_lake.rollback("k@before")
    memory_lake.rollback("k@main~1")
    memory_lake.rollback("@before", all=True)
    assert [(entry.rows_added, entry.rows_deleted) for entry in memory_lake.log("k", limit=3)] == [(2, 2)] * 3


def test_rollback_to_where_it_is_does_nothing(lake: Lake) -> None:
    """Rolling back to the version that is there makes no commit."""
    before = lake.refs.head("main").number
    lake.rollback("d@main")
    assert lake.refs.head("main").number == before


def test_rollback_of_what_is_elsewhere(lake: Lake) -> None:
    """A version of another branch, or of a dropped dataset, may be brought back, too."""
    lake.branch("exp")
    lake.delete("d", "a = 1", branch="exp")
    lake.rollback("d@exp")
    assert values(lake) == [2]
    lake.drop("d")
    lake.rollback("d~1")
    assert values(lake) == [2]


def test_rollback_of_what_is_not_there(lake: Lake) -> None:
    """A version that does not exist is an error, and nothing moves."""
    before = lake.refs.head("main").number
    for reference, error in (("d@main~9", dp.VersionNotFound), ("e", dp.DatasetNotFound), ("d@v9", dp.VersionNotFound)):
        with pytest.raises(error):
            lake.rollback(reference)
    assert lake.refs.head("main").number == before


def test_drop_and_come_back(lake: Lake) -> None:
    """A dropped dataset is gone from the branch, its versions are not, and its name is free."""
    lake.tag("v1")
    lake.drop("d", message="old")
    assert "d" not in lake
    assert values(lake, "d@v1") == [1, 2]
    with pytest.raises(dp.DatasetNotFound, match="dropped"):
        _ = lake["d"]
    lake.ingest(pa.table({"b": ["x"]}), "d")
    assert lake["d"].schema.names == ["b"]
    assert [entry.mode for entry in lake.log("d")] == ["append", "drop", "append", "append"]


def test_rename_takes_history_along(lake: Lake) -> None:
    """Under its new name a dataset has its past, and the old name is free."""
    lake.rename("d", "e", message="better name")
    assert [info.name for info in lake.datasets()] == ["e"]
    assert values(lake, "e@main~1") == [1]
    assert [entry.mode for entry in lake.log("e")] == ["rename", "append", "append"]
    with pytest.raises(dp.DatasetNotFound, match="renamed to 'e'"):
        _ = lake["d"]
    lake.ingest(pa.table({"a": [9]}), "d")
    assert (values(lake, "d"), values(lake, "e")) == ([9], [1, 2])


def test_names_that_are_taken_or_bad(lake: Lake) -> None:
    """A name that is taken, the same, or none is refused; another case of it is another name."""
    lake.ingest(pa.table({"a": [9]}), "e")
    for name, error in (("e", dp.AlreadyExists), ("d", dp.AlreadyExists), ("a@b", dp.BadName), ("", dp.BadName)):
        with pytest.raises(error):
            lake.rename("d", name)
    lake.rename("d", "D")
    assert [info.name for info in lake.datasets()] == ["D", "e"]


def test_describe(lake: Lake) -> None:
    """A description is kept through later changes, and is no version."""
    version = lake["d"].id
    lake.describe("d", "what it is")
    lake.ingest(pa.table({"a": [3]}), "d")
    assert lake.datasets()[0].description == "what it is"
    assert lake["d@main~1"].id == version
    lake.describe("d", "")
    assert lake.datasets()[0].description == ""


@pytest.mark.parametrize("act", ["drop", "describe", "rename", "delete"])
def test_what_is_not_there_cannot_change(lake: Lake, act: str) -> None:
    """A dataset or branch that is not there is an error that shows what is."""
    arguments = {"drop": (), "describe": ("x",), "rename": ("x",), "delete": ("true",)}[act]
    with pytest.raises(dp.DatasetNotFound, match="there are: d"):
        getattr(lake, act)("dd", *arguments)
    with pytest.raises(dp.BranchNotFound, match="main"):
        getattr(lake, act)("d", *arguments, branch="mian")


def test_branches_go_their_own_way(lake: Lake) -> None:
    """A branch begins where it was told to, costs no data, and does not move with others."""
    parts = len(list(lake.store.list("objects/")))
    lake.branch("exp", "main~1")
    assert len(list(lake.store.list("objects/"))) == parts
    assert values(lake, "d@exp") == [1]
    lake.ingest(pa.table({"a": [7]}), "d", branch="exp")
    assert (values(lake), values(lake, "d@exp")) == ([1, 2], [1, 7])
    assert [head.branch for head in lake.branches()] == ["exp", "main"]
    lake.delete_branch("exp")
    assert [head.branch for head in lake.branches()] == ["main"]
    with pytest.raises(dp.RefError):
        _ = lake["d@exp"]


def test_main_stays(lake: Lake) -> None:
    """`main` cannot be deleted, however it is spelt."""
    for name in ("main", "MAIN"):
        with pytest.raises(dp.ConfigError, match="main cannot be deleted"):
            lake.delete_branch(name)


def test_tags_never_move(lake: Lake) -> None:
    """A tag names what it named when it was made; its name cannot be given again."""
    tag = lake.tag("v1", "main~1", message="first")
    assert (tag.name, tag.message) == ("v1", "first")
    lake.drop("d")
    assert values(lake, "d@v1") == [1]
    for make in (lake.tag, lake.branch):
        with pytest.raises(dp.AlreadyExists):
            make("V1")
    with pytest.raises(dp.AlreadyExists):
        lake.tag("main")
    assert [tag.name for tag in lake.tags()] == ["v1"]


class Outrun(CrashStore):
    """A store on which somebody else does something just before the first object is created."""

    def __init__(self, inner: MemoryStore, meanwhile: object) -> None:
        super().__init__(inner)
        self.meanwhile = meanwhile

    def create(self, key: str, data: object) -> None:
        """Let the other go first, once."""
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            meanwhile()  # type: ignore[operator]
        super().create(key, data)  # type: ignore[arg-type]


def outrun(lake: Lake, rows: list[int]) -> Lake:
    """A lake of the same store, on which `rows` are appended just before its first change."""
    return Lake(Outrun(lake.store, lambda: lake.ingest(pa.table({"a": rows}), "d")), "test", "memory")  # type: ignore[arg-type]


def test_a_delete_that_was_outrun_is_planned_anew(lake: Lake) -> None:
    """Rows that came meanwhile and that the predicate selects are deleted, too."""
    outrun(lake, [1, 5]).delete("d", "a = 1")
    assert values(lake) == [2, 5]


def test_rollback_and_drop_hold_only_where_they_were_planned(lake: Lake) -> None:
    """Where the dataset changed meanwhile they stop: whoever asked has not seen what is there now."""
    with pytest.raises(dp.CommitConflict):
        outrun(lake, [5]).rollback("d@main~1")
    with pytest.raises(dp.CommitConflict):
        outrun(lake, [6]).drop("d")
    assert values(lake) == [1, 2, 5, 6]


def test_rename_and_describe_hold_anywhere(lake: Lake) -> None:
    """They take the dataset as it is."""
    outrun(lake, [5]).describe("d", "what it is")
    outrun(lake, [6]).rename("d", "e")
    assert (values(lake, "e"), lake.datasets()[0].description) == ([1, 2, 5, 6], "what it is")


def test_changes_since(lake: Lake) -> None:
    """What changed is asked for by branch, tag, version back or date, with the dataset's name or without."""
    lake.tag("v1", "main~1")
    for since in ("v1", "@v1", "main~1", "d@main~1", "~1", f"id:{lake['d@v1'].id}"):
        assert lake.changes("d", since).summary.added == 1, since
    assert lake.changes("d", "main", to="v1").summary.removed == 1


def test_a_branch_with_a_space_in_its_name_stays_usable(lake: Lake) -> None:
    """A branch that was named so before white space was refused is read, written, merged and deleted."""
    lake.refs.create_branch("my branch", lake.refs.head("main").commit)
    lake.ingest(pa.table({"a": [3]}), "d", branch="my branch")
    assert values(lake, "d@my branch") == [1, 2, 3]
    lake.merge("my branch")
    assert values(lake) == [1, 2, 3]
    lake.delete_branch("my branch")
    assert [record.branch for record in lake.branches()] == ["main"]
    with pytest.raises(dp.BadName):
        lake.tag("my tag")
