"""An ingest accounts for every row, and knows what it has read before."""

from __future__ import annotations

import os
from typing import Any

import pyarrow as pa
import pytest

import dataplat as dp
from dataplat._lake import Lake
from dataplat.ingest import Progress
from dataplat.lake.stores import MemoryStore
from dataplat.testing.store_faults import CountingStore
from dataplat.versioning.lakefile import create_lake

RAGGED = "id,x\n1,a\n2,b,c\n3\n4,d\n"


def ids(lake: Lake, dataset: str = "d") -> list[int]:
    """The ids of a dataset, sorted."""
    return sorted(lake[dataset].to_arrow().column("id").to_pylist())


def test_every_record_is_in_one_place(memory_lake: Lake, write: Any) -> None:
    """Records = rows that landed + rejects; the rejects hold raw bytes, place and reason, in the same commit."""
    path = write("a.csv", RAGGED)
    result = memory_lake.ingest(path, "d", message="first")
    assert (result.rows_in, result.rows_added, result.rows_rejected) == (2, 2, 2)
    rejects = memory_lake["d.rejects"].to_arrow().to_pylist()
    assert [(row["source"], row["line"], row["raw"]) for row in rejects] == [
        (str(path), 3, b"2,b,c"),
        (str(path), 4, b"3"),
    ]
    assert "3 fields, but the header has 2" in rejects[0]["error"]
    [landed] = memory_lake.log("d")
    [rejected] = memory_lake.log("d.rejects")
    assert landed.commit == rejected.commit == result.commit
    assert rejected.inputs == ("d",)


def test_rejects_add_up(memory_lake: Lake, write: Any) -> None:
    """Rejects of several ingests lie in one dataset, whose content id is known."""
    memory_lake.ingest(write("a.csv", RAGGED), "d")
    memory_lake.ingest(write("b.csv", RAGGED), "d")
    assert memory_lake["d.rejects"].rows == 4
    assert memory_lake["d.rejects"].content_id_if_known is not None


def test_rejects_do_not_go_into_something_else(memory_lake: Lake, write: Any) -> None:
    """A dataset of that name that holds other columns is left alone, and nothing lands."""
    memory_lake.ingest(pa.table({"q": [1]}), "d.rejects")
    with pytest.raises(dp.SchemaMismatch, match=r"'d\.rejects'.*columns q.*Nothing landed"):
        memory_lake.ingest(write("a.csv", RAGGED), "d")
    assert [info.name for info in memory_lake.datasets()] == ["d.rejects"]
    assert memory_lake["d.rejects"].rows == 1


def test_on_error_fail_lands_nothing(memory_lake: Lake, write: Any, listing: Any) -> None:
    """With on_error="fail" the first bad record is an error with file, line and value, and nothing is written."""
    path = write("a.csv", RAGGED)
    before = listing(memory_lake)
    with pytest.raises(dp.SourceError, match=rf"{path}, line 3.*3 fields"):
        memory_lake.ingest(path, "d", on_error="fail")
    assert listing(memory_lake) == before


def test_the_same_file_is_a_no_op_that_says_so(memory_lake: Lake, write: Any, listing: Any) -> None:
    """A file that landed before is left out, says so, and writes nothing at all."""
    path = write("a.csv", "id,x\n1,a\n")
    memory_lake.ingest(path, "d")
    before = listing(memory_lake)
    result = memory_lake.ingest(path, "d")
    assert result.nothing_to_do
    assert (result.rows_in, result.new_bytes) == (0, 0)
    assert result.notes == (f"{path} was left out: already ingested (same size and modification time)",)
    os.utime(path)
    assert "same content" in memory_lake.ingest(path, "d").notes[0]
    assert listing(memory_lake) == before


def test_a_file_that_changed_lands(memory_lake: Lake, write: Any) -> None:
    """A file whose bytes changed is read again, whole; of a folder only new files are read."""
    memory_lake.ingest(write("in/a.csv", "id,x\n1,a\n"), "d")
    memory_lake.ingest(write("in/a.csv", "id,x\n1,a\n2,b\n"), "d")
    assert ids(memory_lake) == [1, 1, 2]
    path = write("in/b.csv", "id,x\n3,c\n")
    result = memory_lake.ingest(path.parent, "d")
    assert ids(memory_lake) == [1, 1, 2, 3]
    assert [note.split()[0] for note in result.notes] == [str(path.with_name("a.csv"))]


@pytest.mark.parametrize("mode", ["upsert", "replace"])
def test_a_changed_file_again_and_again(memory_lake: Lake, write: Any, mode: str) -> None:
    """In the other modes a file may come as often as it likes, changed or not."""
    for rows in (1, 2, 2, 3):
        text = "id,x\n" + "".join(f"{i},{rows}\n" for i in range(rows))
        memory_lake.ingest(write("a.csv", text), "d", mode=mode, key="id")
        assert memory_lake["d"].rows == rows


def test_a_replace_forgets_older_positions(memory_lake: Lake, write: Any) -> None:
    """After a replace by another file the older one may land again: its rows are gone."""
    first, second = write("a.csv", "id,x\n1,a\n"), write("b.csv", "id,x\n2,b\n")
    memory_lake.ingest(first, "d")
    memory_lake.ingest(second, "d", mode="replace")
    assert memory_lake.ingest(second, "d").nothing_to_do
    memory_lake.ingest(first, "d")
    assert ids(memory_lake) == [1, 2]


def test_a_replaced_slice_forgets_nothing(memory_lake: Lake, write: Any) -> None:
    """A replace of a slice leaves what else was read."""
    first = write("a.csv", "id,x\n1,a\n2,b\n")
    memory_lake.ingest(first, "d")
    memory_lake.ingest(write("b.csv", "id,x\n2,B\n"), "d", mode="replace", where="id = 2")
    assert memory_lake.ingest(first, "d").nothing_to_do


def test_positions_follow_rollback_and_drop(memory_lake: Lake, write: Any) -> None:
    """Rolled back or dropped, a dataset has not read what it does not hold."""
    first, second = write("a.csv", "id,x\n1,a\n"), write("b.csv", "id,x\n2,b\n")
    memory_lake.ingest(first, "d")
    memory_lake.ingest(second, "d")
    memory_lake.rollback("d@main~1")
    assert memory_lake.ingest(first, "d").nothing_to_do
    memory_lake.ingest(second, "d")
    assert ids(memory_lake) == [1, 2]
    memory_lake.drop("d")
    memory_lake.ingest(first, "d")
    assert ids(memory_lake) == [1]


def test_positions_follow_a_rename(memory_lake: Lake, write: Any) -> None:
    """A dataset knows what it has read under its new name, too."""
    path = write("a.csv", "id,x\n1,a\n")
    memory_lake.ingest(path, "d")
    memory_lake.rename("d", "e")
    assert memory_lake.ingest(path, "e").nothing_to_do


def test_branches_read_for_themselves(memory_lake: Lake, write: Any) -> None:
    """What one branch has read another has not."""
    path = write("a.csv", "id,x\n1,a\n")
    memory_lake.branch("exp")
    memory_lake.ingest(path, "d", branch="exp")
    assert memory_lake.datasets() == []
    memory_lake.ingest(path, "d")
    assert memory_lake["d"].id == memory_lake["d@exp"].id


def test_types_widen_over_the_whole_input(memory_lake: Lake, write: Any) -> None:
    """A value far down that disagrees makes the column wider for all rows; what was staged before is not kept."""
    numbers = "".join(f"{i},a\n" for i in range(200_000))
    result = memory_lake.ingest(write("a.csv", f"id,x\n{numbers}many,b\n"), "d")
    assert memory_lake["d"].schema.field("id").type == pa.string()
    assert (result.rows_in, memory_lake["d"].rows) == (200_001, 200_001)
    parts = {part.id for part in memory_lake["d"].parts}
    stored = {key for info in memory_lake.store.list("objects/") if (key := info.key).endswith(".parquet")}
    assert len(stored) == len(parts)


def test_null_words_are_told(memory_lake: Lake, write: Any) -> None:
    """Only an empty field is null, unless other words are named."""
    path = write("a.csv", "id,x\n1,NA\n2,\n")
    memory_lake.ingest(path, "d")
    memory_lake.ingest(path, "e", null=["NA"])
    assert memory_lake["d"].to_arrow().column("x").to_pylist() == ["NA", None]
    assert memory_lake["e"].to_arrow().column("x").to_pylist() == [None, None]


def test_no_rows_are_a_dataset_with_its_schema(memory_lake: Lake, listing: Any) -> None:
    """A table without rows lands as an empty dataset; the second time there is nothing to do."""
    empty = pa.table({"id": pa.array([], pa.int64()), "x": pa.array([], pa.string())})
    result = memory_lake.ingest(empty, "d")
    assert result.commit is not None
    assert (memory_lake["d"].rows, memory_lake["d"].schema) == (0, empty.schema)
    before = listing(memory_lake)
    assert memory_lake.ingest(empty, "d").nothing_to_do
    assert memory_lake.ingest(empty, "d", mode="replace").nothing_to_do
    assert listing(memory_lake) == before
    memory_lake.ingest(empty, "e", key="id", sort="x", mode="upsert")
    assert (memory_lake["e"].key, memory_lake["e"].sort) == (("id",), ("x",))


def test_progress_is_told(memory_lake: Lake, write: Any) -> None:
    """The listener hears of every stage, and of all bytes and rows in the end."""
    path = write("a.csv", "id,x\n" + "1,a\n" * 100_000)
    seen: list[Progress] = []
    memory_lake.ingest(path, "d", progress=seen.append)
    assert [told.stage for told in seen][-2:] == ["writing", "committing"]
    assert (seen[-1].rows, seen[-1].bytes_done) == (100_000, path.stat().st_size)


def test_a_commit_costs_so_many_requests(write: Any) -> None:
    """An append of one file makes a fixed number of requests, however long the history; growth would show here."""
    inner = MemoryStore()
    create_lake(inner)
    costs = []
    for number in range(6):
        store = CountingStore(inner)
        Lake(store, "test", "memory").ingest(write(f"{number}.csv", f"id,x\n{number},a\n"), "d")
        costs.append((store.calls["create"], store.calls["list"], store.calls["read"]))
    # created: part, segment, root, commit, record
    assert [created for created, _, _ in costs] == [5] * 6
    assert {listed for _, listed, _ in costs} == {1}
    assert max(read for _, _, read in costs) <= 8


def test_an_unknown_branch_costs_nothing(memory_lake: Lake, write: Any, listing: Any) -> None:
    """A branch that is not there is an error before anything is read or written."""
    before = listing(memory_lake)
    with pytest.raises(dp.BranchNotFound, match="main"):
        memory_lake.ingest(write("a.csv", "id\n1\n"), "d", branch="mian")
    assert listing(memory_lake) == before


def test_what_a_result_says(memory_lake: Lake, write: Any) -> None:
    """The result comes as plain values for machines."""
    told = memory_lake.ingest(write("a.csv", RAGGED), "d").to_dict()
    assert (told["rows"], told["rows_added"], told["rows_rejected"], told["nothing_to_do"]) == (2, 2, 2, False)
    assert told["version"] == memory_lake["d"].id
    assert told["new_bytes"] > 0
