"""Transactions: changes of several datasets become one commit, on the head that they were planned on, or nothing does."""

# ruff: noqa: PT012  (a transaction is a block, and what is done in it is what is tested)
from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandera.polars as pdr
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dataplat as dp
from dataplat._lake import Lake
from dataplat.lake.stores import MemoryStore
from dataplat.versioning.lakefile import create_lake


def rows(*ids: int, w: int = 0) -> pa.Table:
    """Rows of those ids, with `w`."""
    return pa.table({"id": list(ids), "w": [w] * len(ids)})


def ids(lake: Lake, reference: str = "d") -> list[int]:
    """The ids of a version, sorted."""
    return sorted(lake[reference].to_arrow().column("id").to_pylist())


def numbers(lake: Lake) -> int:
    """The number of main's newest record."""
    return lake.refs.head("main").number


@pytest.fixture
def lake(memory_lake: Lake) -> Lake:
    """A lake with `d` of rows 1, 2, 3, keyed, and `e` of row 1, not keyed."""
    memory_lake.ingest(rows(1, 2, 3), "d", key="id")
    memory_lake.ingest(rows(1), "e")
    return memory_lake


def test_all_changes_are_one_commit(lake: Lake) -> None:
    """Ingest, delete, describe, drop, rename and rollback of different datasets land in one commit."""
    for name in ("gone", "old", "back", "wide"):
        lake.ingest(rows(7), name)
    lake.ingest(rows(8), "back")
    before = numbers(lake)
    with lake.transaction(message="Friday") as tx:
        landed = tx.ingest(rows(9), into="new", key="id")
        deleted = tx.delete("d", "id = 2")
        tx.describe("e", "few")
        tx.evolve("wide", rename={"w": "width"})
        tx.drop("gone")
        tx.rename("old", "young")
        tx.rollback("back@main~1")
        assert numbers(lake) == before
    assert numbers(lake) == before + 1
    assert tx.commit is not None
    assert tx.commit.id == lake.refs.head("main").commit_id
    assert tx.commit.message == "Friday"
    assert set(tx.commit.changes) == {"new", "d", "e", "gone", "old", "young", "back", "wide"}
    assert (ids(lake), ids(lake, "new"), ids(lake, "young"), ids(lake, "back")) == ([1, 3], [9], [7], [7])
    assert lake["wide"].schema.names == ["id", "width"]
    assert "gone" not in lake
    assert (landed.commit, landed.rows_added, deleted.rows_deleted) == (None, 1, 1)
    assert [result.commit for result in tx.results[:2]] == [tx.commit.id] * 2
    assert lake.verify().ok


def test_nothing_on_an_exception(lake: Lake) -> None:
    """A block that raises, whoever raised, leaves the branch and the store as they were."""
    before = {info.key for info in lake.store.list("")}
    with pytest.raises(ZeroDivisionError), lake.transaction() as tx:
        tx.ingest(rows(9), into="new")
        raise ZeroDivisionError
    with pytest.raises(dp.DatasetNotFound, match="nowhere"), lake.transaction() as tx:
        tx.ingest(rows(9), into="new")
        tx.delete("nowhere", "id = 1")
    assert {info.key for info in lake.store.list("")} == before
    assert tx.commit is None
    with pytest.raises(dp.ConfigError, match="is a block"):
        tx.ingest(rows(9), into="new")


def test_nothing_to_do_is_no_commit(lake: Lake) -> None:
    """A block that changes nothing makes no commit."""
    before = numbers(lake)
    with lake.transaction() as tx:
        tx.ingest(rows(1, 2, 3), into="d", mode="replace")
        tx.delete("e", "id = 99")
    assert (numbers(lake), tx.commit) == (before, None)


def test_changes_see_those_before(lake: Lake) -> None:
    """Later changes of a dataset start from earlier ones; `tx[name]` shows it; the commit is one change of the first base."""
    base = lake["d"].id
    with lake.transaction() as tx:
        tx.ingest(rows(4, 5), into="d")
        with pytest.raises(dp.KeyViolation):
            tx.ingest(rows(4), into="d")
        tx.delete("d", "id in (1, 4)")
        tx.ingest(rows(2, w=7), into="d", mode="upsert")
        tx.describe("d", "many")
        assert sorted(tx["d"].to_arrow()["id"].to_pylist()) == [2, 3, 5]
        assert "3 rows" in repr(tx["d"])
        assert ids(lake) == [1, 2, 3]
    assert tx.commit is not None
    change = tx.commit.changes["d"]
    assert (change.base, change.mode, change.rows, change.description) == (base, "upsert", 3, "many")
    assert ids(lake) == [2, 3, 5]
    assert lake["d"].to_arrow(where="id = 2")["w"].to_pylist() == [7]
    assert lake.verify().ok


def test_a_file_lands_once_in_a_transaction(lake: Lake, tmp_path: Path) -> None:
    """What was read is known to the next ingest of the transaction, and after it."""
    (tmp_path / "f.csv").write_text("id,w\n8,1\n")
    with lake.transaction() as tx:
        tx.ingest(tmp_path / "f.csv", into="f")
        again = tx.ingest(tmp_path / "f.csv", into="f")
    assert again.notes
    assert ids(lake, "f") == [8]
    assert lake.ingest(tmp_path / "f.csv", "f").nothing_to_do


def test_rejects_and_quarantine(lake: Lake, tmp_path: Path) -> None:
    """Rejected records land in the same commit, over two files; failing rows wait in quarantine."""
    contract = pdr.DataFrameSchema({"id": pdr.Column(int, pdr.Check.gt(0)), "w": pdr.Column(int)})
    lake.ingest(pa.table({"id": [1], "w": [1]}), "f")
    (tmp_path / "a.csv").write_text("id,w\n8,1\nx,2\n-1,3\n")
    (tmp_path / "b.csv").write_text("id,w\n9,1\ny,2\n")
    with lake.transaction() as tx:
        first = tx.ingest(tmp_path / "a.csv", into="f", contract=contract)
        tx.ingest(tmp_path / "b.csv", into="f", contract=contract)
    assert tx.commit is not None
    assert set(tx.commit.changes) == {"f", "f.rejects"}
    assert (first.rows_rejected, first.rows_quarantined) == (1, 1)
    assert lake["f.rejects"].rows == 2
    assert ids(lake, "f") == [1, 8, 9]
    assert first.quarantine is not None
    assert lake[f"f@{first.quarantine}"].rows == 1


def test_a_batch_that_fails_its_contract_ends_the_transaction(lake: Lake) -> None:
    """What fails as a whole waits in quarantine, and nothing of the transaction lands."""
    few = pdr.Check(lambda data: data.lazyframe.select(pl.len() < 2), name="few")  # which blames no row
    contract = pdr.DataFrameSchema({"id": pdr.Column(int, few)})
    before = numbers(lake)
    with pytest.raises(dp.ContractFailed, match="quarantine/g"), lake.transaction() as tx:
        tx.delete("d", "id = 1")
        tx.ingest(rows(5, 5), into="g", contract=contract)
    assert numbers(lake) == before
    assert ids(lake) == [1, 2, 3]


def test_a_contract_holds_over_later_changes_of_the_transaction(lake: Lake) -> None:
    """What the first ingest was held to is asked again where a later change adds rows without it."""
    contract = pdr.DataFrameSchema({"id": pdr.Column(int, unique=True)}, strict=False)
    with pytest.raises(dp.ContractFailed), lake.transaction() as tx:
        tx.ingest(rows(5), into="e", contract=contract)
        tx.ingest(rows(5), into="e")
    assert ids(lake, "e") == [1]
    with lake.transaction() as tx:
        tx.ingest(rows(5), into="e", contract=contract)
        tx.ingest(rows(6), into="e")
    assert tx.commit is not None
    assert [check.ok for check in tx.commit.changes["e"].checks] == [True]


@pytest.mark.parametrize(
    "second",
    [
        lambda tx: tx.drop("d"),
        lambda tx: tx.rollback("d@main"),
        lambda tx: tx.rename("d", "x"),
        lambda tx: tx.evolve("d", drop="w"),
        lambda tx: tx.ingest(pa.table({"id": [5], "w": [1], "z": [1]}), into="d"),
    ],
)
def test_what_cannot_be_one_change_is_refused(lake: Lake, second: Callable[[Any], Any]) -> None:
    """Two changes of a dataset that do not fold are an error that names it, and nothing lands."""
    before = numbers(lake)
    with pytest.raises(dp.CommitConflict, match="'d'"), lake.transaction() as tx:
        tx.delete("d", "id = 1")
        second(tx)
    assert numbers(lake) == before


def test_nothing_follows_a_drop_or_rename(lake: Lake) -> None:
    """A dataset that was dropped or renamed takes no other change in the same transaction, nor does its new name."""
    for change in (
        lambda tx: (tx.drop("d"), tx.ingest(rows(9), into="d")),
        lambda tx: (tx.rename("d", "x"), tx.delete("d", "id = 1")),
        lambda tx: (tx.rename("d", "x"), tx.ingest(rows(9), into="x")),
        lambda tx: (tx.ingest(rows(9), into="x"), tx.rename("d", "x")),
    ):
        with pytest.raises(dp.CommitConflict), lake.transaction() as tx:
            change(tx)


def test_what_holds_is_rebased_and_the_rest_done_anew(lake: Lake) -> None:
    """Changes that were outrun are rebased where they hold, else all are done anew on the new head."""
    with lake.transaction() as tx:
        tx.ingest(rows(4), into="d")
        tx.delete("e", "id = 1")
        lake.ingest(rows(5), "d")
        lake.ingest(rows(6), "e")
    assert (ids(lake), ids(lake, "e")) == ([1, 2, 3, 4, 5], [6])
    with lake.transaction() as tx:
        tx.ingest(rows(1, w=5), into="d", mode="upsert")
        tx.delete("e", "id >= 6")
        lake.ingest(rows(1, w=6), "d", mode="upsert")
        lake.ingest(rows(7), "e")
    assert lake["d"].to_arrow(where="id = 1")["w"].to_pylist() == [5]
    assert ids(lake, "e") == []


def test_what_cannot_be_read_again_is_a_conflict(lake: Lake) -> None:
    """Where the head moved so that a change does not hold, and an input is gone, nothing is committed."""
    reader = rows(1, w=5).to_reader()
    with pytest.raises(dp.CommitConflict), lake.transaction() as tx:
        tx.ingest(reader, into="d", mode="upsert")
        tx.delete("e", "id = 1")
        lake.ingest(rows(1, w=6), "d", mode="upsert")
    assert ids(lake, "e") == [1]
    with pytest.raises(dp.CommitConflict), lake.transaction() as tx:
        tx.rollback("d@main~1")
        lake.ingest(rows(9), "d")


def test_options_of_the_transaction_are_not_options_of_its_ingests(lake: Lake) -> None:
    """Branch and message are the transaction's."""
    with pytest.raises(dp.ConfigError, match="branch is one for the whole"), lake.transaction() as tx:
        tx.ingest(rows(9), into="d", branch="exp")


def test_a_type_that_widens_keeps_what_was_staged_before(lake: Lake, tmp_path: Path) -> None:
    """An input that is read again with a wider type leaves earlier changes of the transaction as they are."""
    text = "id,w\n" + "".join(f"{n},{n}\n" for n in range(200_000)) + "200000,1.5\n"
    (tmp_path / "wide.csv").write_text(text)
    with lake.transaction() as tx:
        tx.ingest(rows(4), into="d")
        tx.ingest(tmp_path / "wide.csv", into="wide")
    assert ids(lake) == [1, 2, 3, 4]
    assert lake["wide"].rows == 200_001
    assert lake.verify().ok


def test_rollback_of_the_whole_lake(lake: Lake, tmp_path: Path) -> None:
    """Every dataset is as at the tag, in one commit: newer ones are gone, dropped ones back, positions restored."""
    (tmp_path / "f.csv").write_text("id,w\n8,1\n")
    lake.ingest(rows(1), "dropped")
    lake.tag("v1")
    lake.ingest(tmp_path / "f.csv", "d")
    lake.ingest(rows(5), "newer")
    lake.drop("dropped")
    lake.describe("e", "few")
    before = numbers(lake)
    made = lake.rollback("@v1", all=True, message="bad week")
    assert made is not None
    assert numbers(lake) == before + 1
    assert set(made.changes) == {"d", "newer", "dropped", "e"}
    assert {info.name: info.description for info in lake.datasets()} == {"d": "", "e": "", "dropped": ""}
    assert ids(lake) == [1, 2, 3]
    assert lake.rollback("@v1", all=True) is None
    assert lake.ingest(tmp_path / "f.csv", "d").rows_added == 1
    assert lake.verify().ok


CHANGES = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.sets(st.integers(0, 9), min_size=1, max_size=3)),
        st.tuples(st.just("upsert"), st.sets(st.integers(0, 9), min_size=1, max_size=3)),
        st.tuples(st.just("replace"), st.sets(st.integers(0, 9), max_size=4)),
        st.tuples(st.just("delete"), st.sets(st.integers(0, 9), min_size=1, max_size=3)),
    ),
    min_size=1,
    max_size=5,
)


@settings(max_examples=60, deadline=None)
@given(before=st.sets(st.integers(0, 9), max_size=5), changes=CHANGES, meanwhile=st.booleans())
def test_a_transaction_is_what_its_changes_are_one_by_one(
    before: set[int], changes: list[tuple[str, set[int]]], meanwhile: bool
) -> None:
    """Folded changes leave the rows and the content id that the same changes leave as commits of their own."""

    def apply(to: Any, name: str, given: set[int], turn: int) -> None:
        if name == "delete":
            to.delete("d", f"id in ({', '.join(map(str, given))})")
            return
        try:
            to.ingest(rows(*sorted(given), w=turn), into="d", mode=name)
        except dp.KeyViolation:
            assert name == "append"

    def new() -> Lake:
        store = MemoryStore()
        create_lake(store)
        made = Lake(store, "test", "memory")
        made.ingest(rows(*sorted(before)), "d", key="id")
        return made

    def state(of: Lake) -> tuple[str, list[dict[str, int]]]:
        return of["d"].content_id, of["d"].to_arrow().sort_by("id").to_pylist()

    whole = new()
    with whole.transaction() as tx:
        for turn, (name, given) in enumerate(changes, 1):
            apply(tx, name, given, turn)
        if meanwhile:
            whole.ingest(rows(100), "d")
    serial = []
    for theirs in (0, len(changes)) if meanwhile else (-1,):  # before all of ours, or after: both are right
        single = new()
        for turn, (name, given) in enumerate(changes, 1):
            if theirs == turn - 1:
                single.ingest(rows(100), "d")
            apply(single, name, given, turn)
        if theirs == len(changes):
            single.ingest(rows(100), "d")
        serial.append(state(single))
    assert state(whole) in serial
