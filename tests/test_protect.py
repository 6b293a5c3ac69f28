"""Protected branches: whoever writes, by whatever way, the branch moves only to what meets its contract."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import dataplat as dp
from dataplat import _gate
from dataplat._lake import Lake
from dataplat._protect import protections
from dataplat.lake.objects import Stage
from dataplat.validation import load_contract
from dataplat.versioning.publish import LakeIO, PlannedChange, commit

TEXT = """
import pandera.polars as pa

class Positive(pa.DataFrameModel):
    id: int
    a: int = pa.Field(gt=0)

    @pa.check("a", element_wise=True)
    def whole(cls, value):
        return value == int(value)

    @pa.dataframe_check
    def small(cls, data):
        return data.lazyframe.select(pa_sum() < 1000)

def pa_sum():
    import polars
    return polars.col("a").sum()
"""


@pytest.fixture
def contract(tmp_path: Path) -> str:
    """A contract: `a` is greater than 0 and whole (which no statistics prove), and its sum less than 1000."""
    (tmp_path / "contract.py").write_text(TEXT)
    return f"{tmp_path / 'contract.py'}:Positive"


@pytest.fixture
def lake(tmp_path: Path, contract: str) -> Lake:
    """A lake in a folder of ours, whose main holds `d` to the contract."""
    lake = dp.open(tmp_path / "lake")
    lake.ingest(rows(1, 2), "d", key="id")
    lake.protect("main", contract, "d")
    return lake


def rows(*values: int, start: int = 0) -> pa.Table:
    """Rows whose ids count from `start` and whose `a` are `values`."""
    return pa.table({"id": list(range(start, start + len(values))), "a": list(values)})


def state(lake: Lake) -> tuple[str, int]:
    """The version of d on main, and the number of main's head."""
    return lake["d"].id, lake.refs.head("main").number


def test_every_writer_is_held(lake: Lake) -> None:
    """Append, upsert, replace, SQL, rollback and restored branches that break the contract change nothing."""
    lake.branch("exp")
    lake.ingest(rows(-5, start=7), "d", branch="exp")  # a new branch is free
    before = state(lake)
    ways: list[Any] = [
        lambda: lake.ingest(rows(-5, start=7), "d"),
        lambda: lake.ingest(rows(-5), "d", mode="upsert"),
        lambda: lake.ingest(rows(-5), "d", mode="replace"),
        lambda: lake.ingest(rows(999, start=7), "d"),
        lambda: lake.sql('select id, -a as a from "d"').commit("d"),
        lambda: lake.rollback("d@exp"),
    ]
    for way in ways:
        with pytest.raises(dp.ContractFailed, match="holds d to contract Positive") as caught:
            way()
        assert caught.value.report is not None
        assert state(lake) == before


def test_a_delete_is_held_by_dataset_checks(tmp_path: Path) -> None:
    """A delete that leaves what the contract refuses does not land."""
    (tmp_path / "two.py").write_text(
        "import pandera.polars as pa\n\n"
        "class Some(pa.DataFrameModel):\n    a: int\n\n"
        "    @pa.dataframe_check\n    def some(cls, data):\n"
        "        import polars\n        return data.lazyframe.select(polars.len() > 1)\n"
    )
    lake = dp.open(tmp_path / "lake")
    lake.ingest(pa.table({"a": [1, 2, 3]}), "d")
    lake.protect("main", f"{tmp_path / 'two.py'}:Some")
    lake.delete("d", "a = 3")
    with pytest.raises(dp.ContractFailed, match="this delete would break"):
        lake.delete("d", "a = 2")
    assert lake["d"].rows == 2


def test_what_meets_it_lands_with_its_outcome(lake: Lake, contract: str) -> None:
    """A change that meets the contract lands, and the commit says so, under its id, with how many rows had to be read."""
    lake.ingest(rows(3, start=2), "d")
    (check,) = lake["d"].commit.changes["d"].checks
    assert (check.name, check.ok, check.rows, check.detail) == ("Positive", True, 1, load_contract(contract).id)


def test_rows_are_asked_once(lake: Lake, reads: Any) -> None:
    """Row checks read only what came since a version that met the contract; dataset checks their columns of all."""
    lake.ingest(rows(3, start=2), "d")
    old = {part.id for part in lake["d"].parts}
    reads.clear()
    lake.ingest(rows(4, start=3), "d")
    (new,) = {part.id for part in lake["d"].parts} - old
    assert {call[0] for call in reads.calls if "id" in call[2] and "a" in call[2]} <= {new}
    lake.describe("d", "few")
    assert lake["d"].commit.changes["d"].checks[0].rows == 1


def test_an_ingest_that_asked_itself_is_not_asked_again(lake: Lake, contract: str) -> None:
    """Where the ingest named the same contract, bad rows wait in quarantine, the good land, and one check is recorded."""
    result = lake.ingest(rows(3, -1, start=2), "d", contract=contract)
    assert (result.rows_added, result.rows_quarantined) == (1, 1)
    assert len(lake["d"].commit.changes["d"].checks) == 1


def test_checks_of_a_writer_that_only_claims_them_count_for_ingest_alone(lake: Lake, contract: str) -> None:
    """A rollback that carries a check of the same contract is asked all the same."""
    lake.branch("exp")
    lake.ingest(rows(-5, start=7), "d", branch="exp")
    found = lake["d@exp"]
    from dataplat.versioning.commit import Check

    passed = Check(name="Positive", ok=True, detail=load_contract(contract).id)
    change = PlannedChange(
        dataset="d",
        mode="rollback",
        base_version=lake["d"].id,
        restore=found.commit.dataset("d", lake.objects.read),
        checks=[passed],
    )
    with Stage(lake.store) as stage, pytest.raises(dp.ContractFailed):
        commit(lake.io, "main", [change], stage)


def test_a_dataset_cannot_be_taken_away(lake: Lake) -> None:
    """A protected dataset is neither dropped nor renamed, its branch not deleted, until that is lifted."""
    lake.branch("exp")
    before = state(lake)
    for way in (lambda: lake.drop("d"), lambda: lake.rename("d", "e")):
        with pytest.raises(dp.BranchProtected, match="unprotect main --dataset d"):
            way()
    assert state(lake) == before
    held = lake.refs.head("main").settings
    head = lake.refs.head("exp")
    lake.refs.publish("exp", head, head.commit, kind="protect", settings=held)
    with pytest.raises(dp.BranchProtected, match="unprotect exp"):
        lake.delete_branch("exp")
    lake.unprotect("exp")
    lake.delete_branch("exp")
    lake.unprotect("main", "d")
    lake.rename("d", "e")


def test_a_name_cannot_be_taken_by_something_else(lake: Lake) -> None:
    """A dataset that is renamed to a protected name must meet the contract."""
    lake.unprotect("main")
    lake.rename("d", "good")
    lake.protect("main", str(_file(lake)) + ":Positive", "d")
    lake.ingest(pa.table({"x": ["no"]}), "bad")
    with pytest.raises(dp.ContractFailed):
        lake.rename("bad", "d")
    lake.rename("good", "d")
    assert lake["d"].rows == 2


def _file(lake: Lake) -> Path:
    return Path(lake.url).parent / "contract.py"


def test_what_does_not_meet_it_is_not_protected(lake: Lake, contract: str) -> None:
    """A branch whose head fails is not protected, and the report says where."""
    lake.ingest(rows(-1), "e")
    with pytest.raises(dp.ContractFailed, match="does not meet contract Positive now"):
        lake.protect("main", contract, "e")
    for bare in (int, dp.Contract(checks=[dp.row_count(1)], name="int")):
        with pytest.raises(dp.ContractError, match=r"keeps the text of the file.*'contract.py:int'"):
            lake.protect("main", bare, "d")  # type: ignore[arg-type]
    with pytest.raises(dp.ContractError, match=r"cannot be loaded, and nothing was protected: .*Nope"):
        lake.protect("main", contract.replace(":Positive", ":Nope"), "d")
    with pytest.raises(dp.ConfigError, match="d, e"):
        lake.protect("main", contract)
    assert [found.dataset for found in protections(lake.refs.head("main"))] == ["d"]


def test_settings_are_carried(lake: Lake) -> None:
    """Every later record holds the branch to it, over commits of other datasets, and it can be lifted once."""
    lake.ingest(rows(-1), "e")
    lake.tag("v1")
    again = dp.open(lake.url)
    assert [found.contract for found in protections(again.refs.head("main"))] == ["Positive"]
    kinds = [record.kind for record in again.refs.log("main")]
    assert kinds.count("protect") == 1
    again.unprotect("main")
    with pytest.raises(dp.ConfigError, match="held to no contract"):
        again.unprotect("main")
    again.ingest(rows(-5, start=7), "d")


def test_protection_that_lands_between_plan_and_publish_holds(lake: Lake, contract: str) -> None:
    """A writer that planned on the unprotected head is asked on the protected one, as is one that lost a race to it."""
    lake.unprotect("main")
    change = PlannedChange(dataset="d", mode="rollback", base_version=lake["d"].id, restore=_bad(lake))
    seen = []

    def admit(head: Any) -> None:
        seen.append(head.number)
        if len(seen) == 1:  # after the head was read, before the record is created
            dp.open(lake.url).protect("main", contract, "d")

    with Stage(lake.store) as stage, pytest.raises(dp.ContractFailed):
        commit(lake.io, "main", [change], stage, admit=admit)
    assert len(seen) == 2


def test_a_change_that_lands_while_protection_is_planned_is_asked(
    lake: Lake, contract: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Protecting looks again where the branch moved meanwhile, and refuses what it became."""
    lake.unprotect("main")
    real = _gate.ask
    asked = []

    def meanwhile(*given: Any) -> Any:
        asked.append(given)
        report = real(*given)
        if len(asked) == 1:
            dp.open(lake.url).ingest(rows(-5, start=7), "d")
        return report

    monkeypatch.setattr(_gate, "ask", meanwhile)
    with pytest.raises(dp.ContractFailed, match="now"):
        lake.protect("main", contract, "d")
    assert protections(lake.refs.head("main")) == []


def _bad(lake: Lake) -> Any:
    lake.branch("exp")
    lake.ingest(rows(-5, start=7), "d", branch="exp")
    return lake["d@exp"].commit.dataset("d", lake.objects.read)


def test_who_cannot_ask_cannot_write(lake: Lake) -> None:
    """Without a gate, and where a module is missing, nothing lands on the dataset; other datasets are free."""
    change = PlannedChange(dataset="d", mode="rollback", base_version=lake["d"].id, restore=_bad(lake))
    with Stage(lake.store) as stage, pytest.raises(dp.BranchProtected, match="cannot ask"):
        commit(LakeIO(lake.objects, lake.refs), "main", [change], stage)
    held = dict(lake.refs.head("main").settings["contracts"]["d"])
    with Stage(lake.store) as stage:
        held["source"] = stage.put(b"import no_such_module_here\n", ".bin")
        stage.flush()
    head = lake.refs.head("main")
    lake.refs.publish("main", head, head.commit, kind="protect", settings={"contracts": {"d": held}})
    with pytest.raises(dp.ContractError, match="no_such_module_here"):
        lake.ingest(rows(3, start=2), "d")
    lake.ingest(rows(3), "e")


def test_code_in_a_lake_of_others_is_not_run(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lake that is not a folder of this user's needs the switch; the message names it."""
    me = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: me + 1)
    with pytest.raises(dp.ContractError, match="DATAPLAT_TRUST_CONTRACTS"):
        lake.ingest(rows(3, start=2), "d")
    monkeypatch.setenv("DATAPLAT_TRUST_CONTRACTS", "1")
    lake.ingest(rows(3, start=2), "d")


def test_a_lake_elsewhere_needs_the_switch(memory_lake: Lake, contract: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that is no folder is not trusted by itself."""
    memory_lake.ingest(rows(1), "d")
    with pytest.raises(dp.ContractError, match="trust_contracts"):
        memory_lake.protect("main", contract)
    monkeypatch.setenv("DATAPLAT_TRUST_CONTRACTS", "1")
    assert memory_lake.protect("main", contract).dataset == "d"


def test_undone_deletes_are_asked_again(lake: Lake) -> None:
    """Rows that a rollback brings back are looked at, though their part was there all the time."""
    lake.unprotect("main")
    lake.ingest(rows(-5, 6, start=7), "d")
    lake.delete("d", "a < 0")
    lake.protect("main", f"{_file(lake)}:Positive", "d")
    with pytest.raises(dp.ContractFailed, match="this rollback"):
        lake.rollback("d@main~1")


def test_branches_that_come_together_are_held(lake: Lake, tmp_path: Path) -> None:
    """A merge, a cherry-pick, a revert, an evolution and a push that break the contract change nothing."""
    lake.ingest(rows(3, start=2), "d")
    lake.branch("exp")
    lake.ingest(rows(-5, start=7), "d", branch="exp")
    fixed = lake.refs.head("main").commit_id
    lake.unprotect("main")
    lake.ingest(rows(-6, start=8), "d")
    lake.delete("d", "a < 0", message="out with it")
    lake.protect("main", f"{_file(lake)}:Positive", "d")
    before = state(lake)
    ways: list[Any] = [
        lambda: lake.merge("exp"),
        lambda: lake.cherry_pick("exp"),
        lambda: lake.revert("main"),
        lambda: lake.evolve("d", drop=["a"]),
        lambda: lake.evolve("d", rename={"a": "b"}),
    ]
    for way in ways:
        with pytest.raises(dp.ContractFailed):
            way()
        assert state(lake) == before
    assert fixed
    other = dp.clone(lake.url, tmp_path / "other")
    other.protect("main", f"{_file(lake)}:Positive", "d")
    lake.unprotect("main")
    lake.merge("exp")
    with pytest.raises(dp.ContractFailed):
        lake.push(other.url)
    assert dp.open(other.url)["d"].id == before[0]


def test_a_compaction_is_not_asked_and_forgets_nothing(lake: Lake, reads: Any) -> None:
    """A compaction holds the same rows: it lands unasked, and what came before it is not asked again."""
    for n in range(3, 6):
        lake.ingest(rows(n, start=n), "d")
    lake.compact("d")
    assert lake["d"].commit.changes["d"].mode == "compact"
    lake.ingest(rows(9, start=9), "d")
    assert lake["d"].commit.changes["d"].checks[0].rows == 1


@pytest.mark.parametrize("forward", [True, False])
def test_a_plan_of_a_merge_asks_the_contract(lake: Lake, forward: bool) -> None:
    """A plan says what the merge would be refused for, of rows that are only staged too; a good one says nothing."""
    lake.branch("exp")
    lake.ingest(rows(-5, start=9), "d", mode="append", branch="exp")
    if not forward:
        lake.ingest(rows(7, start=5), "d", mode="append")
        lake.ingest(rows(2, start=0), "d", mode="upsert", branch="exp")
        lake.ingest(pa.table({"id": [0], "a": [1]}), "d", mode="upsert")
    before = state(lake)
    plan = lake.plan_merge("exp")
    assert "to contract Positive" in plan.refused
    assert state(lake) == before
    with pytest.raises(dp.ContractFailed):
        lake.merge("exp")
    lake.delete("d", "id = 9", branch="exp")
    assert lake.plan_merge("exp").refused == ""


def test_a_merge_that_brings_a_protected_name_is_asked(lake: Lake, contract: str) -> None:
    """What a merge renames to a protected name must meet the contract, though its rows stood under the old name here."""
    lake.unprotect("main")
    lake.ingest(rows(-1), "bad", key="id")
    lake.rename("d", "good")
    lake.branch("exp")
    lake.rename("bad", "d", branch="exp")
    lake.protect("main", contract, "d")
    number = lake.refs.head("main").number
    assert "to contract Positive" in lake.plan_merge("exp").refused
    with pytest.raises(dp.ContractFailed):
        lake.merge("exp")
    assert lake.refs.head("main").number == number
    lake.rename("d", "bad", branch="exp")
    lake.rename("good", "d", branch="exp")
    assert lake.plan_merge("exp").refused == ""
    lake.merge("exp")
    assert lake["d"].rows == 2


def test_a_merge_may_carry_a_contract(tmp_path: Path, contract: str) -> None:
    """Without protection too, a merge is asked the contract that it names before the branch moves, and so is its plan."""
    lake = dp.open(tmp_path / "lake")
    lake.ingest(rows(1, 2), "d", key="id")
    lake.ingest(rows(1), "other")
    lake.branch("exp")
    lake.ingest(rows(-5, start=7), "d", branch="exp")
    before = state(lake)
    assert "greater_than(0)" in lake.plan_merge("exp", contract=contract).refused
    with pytest.raises(dp.ContractFailed, match="would not meet contract Positive"):
        lake.merge("exp", contract=contract)
    assert state(lake) == before
    lake.ingest(rows(4, start=9), "other", branch="exp")
    with pytest.raises(dp.ConfigError, match="say which one"):
        lake.merge("exp", contract=contract)
    lake.merge("exp", contract={"other": contract})
    assert lake["d"].rows == 3
