"""Contracts at the door: what fails waits in quarantine, and the branch sees only what meets the contract."""

from __future__ import annotations

from typing import Any

import pandera.polars as pan
import polars as pl
import pyarrow as pa
import pytest

import dataplat as dp
from dataplat._lake import Lake
from dataplat.lake.stores import MemoryStore
from dataplat.testing.store_faults import CrashStore, SimulatedCrash
from dataplat.versioning.lakefile import create_lake

POSITIVE = pan.DataFrameSchema({"id": pan.Column(int), "n": pan.Column(int, pan.Check.ge(0))}, name="Positive")
EVEN = pan.DataFrameSchema({"n": pan.Column(int, pan.Check(lambda n: n == int(n), element_wise=True))}, name="even")
UNIQUE = pan.DataFrameSchema({"id": pan.Column(int, unique=True), "n": pan.Column(int, pan.Check.ge(0))}, name="Unique")
OPTIONAL = pan.DataFrameSchema({"id": pan.Column(int), "c": pan.Column(str, required=False)}, name="Optional")


def rows(*pairs: tuple[int, int]) -> pa.Table:
    """Rows of (id, n)."""
    return pa.table({"id": [pair[0] for pair in pairs], "n": [pair[1] for pair in pairs]})


def held(lake: Lake, reference: str = "d") -> list[tuple[Any, ...]]:
    """The rows of a version, sorted."""
    return sorted((row["id"], row["n"]) for row in lake[reference].to_arrow().to_pylist())


def test_bad_rows_wait_and_the_rest_lands(memory_lake: Lake) -> None:
    """Rows in = rows landed + rows in quarantine, where each says what is wrong with it."""
    result = memory_lake.ingest(rows((1, 5), (2, -1), (3, 0)), "d", contract=POSITIVE)
    assert (result.rows_in, result.rows_added, result.rows_quarantined) == (3, 2, 1)
    assert held(memory_lake) == [(1, 5), (3, 0)]
    assert result.quarantine is not None
    [bad] = memory_lake[f"d@{result.quarantine}"].to_arrow().to_pylist()
    assert (bad["id"], bad["n"]) == (2, -1)
    assert "greater_than_or_equal_to(0)" in bad["failures"]
    assert memory_lake.log("d")[0].checks == ("Positive: passed",)
    assert result.report is not None
    assert not result.report.ok


def test_the_same_rows_wait_once(memory_lake: Lake) -> None:
    """Bad rows that are tried again lie on the same branch, once."""
    first = memory_lake.ingest(rows((2, -1)), "d", contract=POSITIVE).quarantine
    second = memory_lake.ingest(rows((2, -1)), "d", contract=POSITIVE).quarantine
    assert first == second
    assert memory_lake[f"d@{first}"].rows == 1
    assert len(memory_lake.branches()) == 2


def test_what_the_whole_must_meet(memory_lake: Lake) -> None:
    """A failing check of the whole that blames no row puts the batch into quarantine; the branch stays where it is."""
    few = pan.DataFrameSchema({"n": pan.Column(int, pan.Check(lambda d: d.lazyframe.select(pl.len() < 3), name="few"))})
    memory_lake.ingest(rows((1, 5)), "d", contract=few)
    before = memory_lake.refs.head("main").number
    result = memory_lake.ingest(rows((1, 6), (2, 7), (3, -1)), "d", contract=few)
    assert (result.commit, result.rows_added, result.rows_quarantined) == (None, 0, 3)
    assert memory_lake.refs.head("main").number == before
    assert held(memory_lake, f"d@{result.quarantine}") == [(1, 6), (2, 7), (3, -1)]
    assert any("few" in note for note in result.notes)


def test_new_rows_that_are_to_blame_wait(memory_lake: Lake) -> None:
    """A row that repeats one that is there waits, and the rest lands."""
    memory_lake.ingest(rows((1, 5)), "d", contract=UNIQUE)
    result = memory_lake.ingest(rows((1, 6), (2, 7), (3, 1)), "d", contract=UNIQUE)
    assert (result.rows_added, result.rows_quarantined) == (2, 1)
    assert held(memory_lake) == [(1, 5), (2, 7), (3, 1)]


def test_fail_raises_and_keeps_the_batch(memory_lake: Lake) -> None:
    """With on_error="fail" one bad row stops all: the error names it, and the batch waits in quarantine."""
    memory_lake.ingest(rows((1, 5)), "d")
    with pytest.raises(
        dp.ContractFailed, match=r"FAILED\s+n: greater_than_or_equal_to\(0\): 1 of 2 rows.*-1"
    ) as raised:
        memory_lake.ingest(rows((2, 6), (3, -1)), "d", contract=POSITIVE, on_error="fail")
    assert held(memory_lake) == [(1, 5)]
    [branch] = [head.branch for head in memory_lake.branches() if head.branch != "main"]
    assert branch in str(raised.value)
    assert held(memory_lake, f"d@{branch}") == [(2, 6), (3, -1)]
    assert not raised.value.report.ok


def test_fail_of_the_whole_raises_and_keeps_the_batch(memory_lake: Lake) -> None:
    """The same holds for a check of the whole dataset."""
    with pytest.raises(dp.ContractFailed, match="unique"):
        memory_lake.ingest(rows((1, 5), (1, 6)), "d", contract=UNIQUE, on_error="fail")
    assert memory_lake.datasets() == []
    [branch] = [head.branch for head in memory_lake.branches() if head.branch != "main"]
    assert held(memory_lake, f"d@{branch}") == [(1, 5), (1, 6)]


def test_old_rows_are_held_to_a_new_contract(memory_lake: Lake) -> None:
    """Rows that no contract has seen are read, and stop a batch of good ones."""
    memory_lake.ingest(rows((1, -5)), "d")
    result = memory_lake.ingest(rows((2, 6)), "d", contract=POSITIVE)
    assert result.commit is None
    assert held(memory_lake) == [(1, -5)]


def test_old_rows_that_held_are_not_read_again(memory_lake: Lake, reads: Any) -> None:
    """Only new rows are checked, where the same contract held before, or its checks are remembered of the same parts."""
    memory_lake.ingest(rows((1, 5)), "d", contract=EVEN)
    old = memory_lake["d"].parts[0].id
    reads.clear()
    memory_lake.ingest(rows((2, 6)), "d", contract=EVEN)
    assert old not in reads.parts
    memory_lake.delete("d", "id = 2")  # by somebody who asks no contract
    reads.clear()
    memory_lake.ingest(rows((3, 7)), "d", contract=EVEN)
    assert old not in reads.parts
    for info in list(memory_lake.store.list("memo/")):
        memory_lake.store.delete(info.key)
    memory_lake.delete("d", "id = 3")
    reads.clear()
    memory_lake.ingest(rows((4, 7)), "d", contract=EVEN)
    assert old in reads.parts


def test_a_column_that_comes_is_asked_of_old_rows(memory_lake: Lake) -> None:
    """A contract that held without an optional column may not allow its nulls in the rows that were there."""
    memory_lake.ingest(pa.table({"id": [1]}), "d", contract=OPTIONAL)
    result = memory_lake.ingest(pa.table({"id": [2], "c": ["x"]}), "d", contract=OPTIONAL)
    assert result.commit is None
    assert memory_lake["d"].schema.names == ["id"]


def test_an_optional_column_may_be_missing_in_text(memory_lake: Lake, write: Any) -> None:
    """A CSV file need not have a column that the contract does not require; types come from the contract."""
    floats = pan.DataFrameSchema({"id": pan.Column(float), "c": pan.Column(str, required=False)})
    memory_lake.ingest(write("a.csv", "id\n1\n"), "d", contract=floats)
    assert memory_lake["d"].schema.field("id").type == pa.float64()


def test_a_column_of_the_wrong_type(memory_lake: Lake) -> None:
    """A type that the contract does not allow fails as a whole, and says so."""
    result = memory_lake.ingest(pa.table({"id": ["x"], "n": [1]}), "d", contract=POSITIVE)
    assert (result.commit, result.version) == (None, None)
    assert any("id" in note and "FAILED" in note for note in result.notes)
    assert result.rows_quarantined == 1


def test_rejected_and_quarantined_together(memory_lake: Lake, write: Any) -> None:
    """What cannot be read, what fails and what is good each go their way."""
    result = memory_lake.ingest(write("a.csv", "id,n\n1,5\n2,-1\n3\n"), "d", contract=POSITIVE)
    assert (result.rows_in, result.rows_added, result.rows_quarantined, result.rows_rejected) == (2, 1, 1, 1)


def test_a_death_on_the_way_to_quarantine() -> None:
    """Whoever dies between branch and rows leaves an empty branch; the next try brings the rows."""
    batch = rows((1, 5), (2, -1))
    probe = MemoryStore()
    create_lake(probe)
    counting = CrashStore(probe)
    Lake(counting, "test", "memory").ingest(batch, "d", contract=POSITIVE)
    for at in range(1, counting.calls + 1):
        store = MemoryStore()
        create_lake(store)
        with pytest.raises(SimulatedCrash):
            Lake(CrashStore(store, at, "after"), "test", "memory").ingest(batch, "d", contract=POSITIVE)
        lake = Lake(store, "test", "memory")
        result = lake.ingest(batch, "d", contract=POSITIVE, mode="replace")
        assert held(lake) == [(1, 5)]
        assert held(lake, f"d@{result.quarantine}") == [(2, -1)]


def test_the_contract_holds_after_a_race(new_lake: Any) -> None:
    """Two batches that each meet the contract, but not together, do not both land."""
    lake = new_lake()
    lake.ingest(rows((1, 1)), "d", contract=UNIQUE)
    second = Lake(Outrun(lake.store, lambda: lake.ingest(rows((2, 2)), "d", contract=UNIQUE)), "test", "memory")
    with pytest.raises(dp.ContractFailed, match="together with what others committed meanwhile"):
        second.ingest(rows((2, 3)), "d", contract=UNIQUE)
    assert held(lake) == [(1, 1), (2, 2)]


def test_good_batches_both_land_after_a_race(new_lake: Any) -> None:
    """Two batches that meet the contract together both land."""
    lake = new_lake()
    lake.ingest(rows((1, 1)), "d", contract=UNIQUE)
    second = Lake(Outrun(lake.store, lambda: lake.ingest(rows((2, 2)), "d", contract=UNIQUE)), "test", "memory")
    second.ingest(rows((3, 3)), "d", contract=UNIQUE)
    assert held(lake) == [(1, 1), (2, 2), (3, 3)]


class Outrun(CrashStore):
    """A store on which somebody else does something just before the first object is created."""

    def __init__(self, inner: Any, meanwhile: Any) -> None:
        super().__init__(inner)
        self.meanwhile = meanwhile

    def create(self, key: str, data: Any) -> None:
        """Let the other go first, once."""
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            meanwhile()
        super().create(key, data)
