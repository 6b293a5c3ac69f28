"""Rows in quarantine: looked at, mended, landed once, let go; never lost and never doubled."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import dataplat as dp
from dataplat import Lake

TEXT = """
import pandera.polars as pa

class Payments(pa.DataFrameModel):
    payment: int = pa.Field(ge=1)
    amount: float = pa.Field(gt=0)
"""


@pytest.fixture
def contract(tmp_path: Path) -> str:
    """A contract: amounts are greater than 0."""
    (tmp_path / "contract.py").write_text(TEXT)
    return f"{tmp_path / 'contract.py'}:Payments"


@pytest.fixture
def lake(tmp_path: Path, contract: str) -> Lake:
    """A lake with two payments, and one in quarantine."""
    lake = dp.open(tmp_path / "lake")
    lake.ingest(rows({1: 10.0, 2: -5.0, 3: 7.5}), "payments", key="payment", contract=contract)
    return lake


def rows(amounts: dict[int, float]) -> pa.Table:
    """Payments by number."""
    return pa.table({"payment": list(amounts), "amount": list(amounts.values())})


def landed(lake: Lake) -> dict[int, float]:
    """What main holds."""
    table = lake["payments"].to_arrow()
    assert table.schema.names == ["payment", "amount"]
    return dict(zip(table["payment"].to_pylist(), table["amount"].to_pylist(), strict=True))


def test_what_waits_is_listed_with_its_reason(lake: Lake) -> None:
    """A batch is named by id or its beginning, with the branch it was meant for and why it waits."""
    (found,) = lake.quarantine.list()
    assert (found.dataset, found.rows, found.target, found.mode, found.whole) == (
        "payments",
        1,
        "main",
        "append",
        False,
    )
    assert found.reasons == ("amount: greater_than(0): 1 of 3 rows",)
    assert lake.quarantine[found.id[:6]].id == lake.quarantine[found.branch].id == found.id
    assert lake.quarantine.list("other") == []
    with pytest.raises(dp.BranchNotFound, match="quarantine list"):
        lake.quarantine["q000"]


def test_equal_batches_of_two_datasets_are_told_apart(lake: Lake, contract: str) -> None:
    """One id may wait for two datasets: the dataset before it, or the branch, says which."""
    (found,) = lake.quarantine.list()
    lake.ingest(rows({1: 10.0, 2: -5.0, 3: 7.5}), "others", key="payment", contract=contract)
    (other,) = lake.quarantine.list("others")
    assert other.id == found.id
    with pytest.raises(dp.BadReference, match=f"payments/{found.id}"):
        lake.quarantine[found.id]
    assert lake.quarantine[f"others/{other.id[:5]}"].branch == lake.quarantine[other.branch].branch == other.branch
    lake.quarantine.drop(f"payments/{found.id}")
    assert [each.dataset for each in lake.quarantine.list()] == ["others"]


def test_a_replay_coerces_as_an_ingest_does(lake: Lake, tmp_path: Path) -> None:
    """Rows that would meet the contract once they are coerced are not refused before they are."""
    (tmp_path / "coerces.py").write_text(TEXT.replace("pa.Field(gt=0)", "pa.Field(gt=0, coerce=True)"))
    (found,) = lake.quarantine.list()
    mend = "select * replace ('5' as amount) from rows"
    lake.quarantine.replay(found.id, contract=f"{tmp_path / 'coerces.py'}:Payments", mend=mend)
    assert landed(lake)[2] == 5.0


def test_rows_that_fail_still_stay(lake: Lake, contract: str) -> None:
    """A replay in which every row fails again lands nothing, moves nothing, and keeps them where they are."""
    (found,) = lake.quarantine.list()
    before = lake.refs.head("main").number
    with pytest.raises(dp.ContractFailed, match="fail contract Payments still"):
        lake.quarantine.replay(found.id, contract=contract)
    assert lake.refs.head("main").number == before
    assert [each.id for each in lake.quarantine.list()] == [found.id]


def test_mended_rows_land(lake: Lake, contract: str) -> None:
    """A query mends rows; those that meet the contract then land, and the quarantine goes."""
    (found,) = lake.quarantine.list()
    lake.quarantine.replay(found.id, contract=contract, mend="select * replace (abs(amount) as amount) from rows")
    assert landed(lake) == {1: 10.0, 2: 5.0, 3: 7.5}
    assert lake.quarantine.list() == []


def test_half_mended_rows_land_in_half(lake: Lake, contract: str) -> None:
    """Rows that fail still go back into quarantine under another id; rows in and rows out are the same."""
    lake.ingest(rows({4: -1.0, 5: -2.0}), "payments", contract=contract)
    two = next(each for each in lake.quarantine.list() if each.rows == 2)
    mend = "select * replace (case when payment = 4 then 1.0 else amount end as amount) from rows"
    result = lake.quarantine.replay(two.id, contract=contract, mend=mend)
    assert (result.rows_in, result.rows_added, result.rows_quarantined) == (2, 1, 1)
    assert landed(lake)[4] == 1.0
    left = lake.quarantine.list()
    assert sorted(each.rows for each in left) == [1, 1]
    assert two.id not in {each.id for each in left}


def test_a_release_lands_rows_as_they_are(lake: Lake) -> None:
    """Released rows land without a contract, without the column of reasons, and the quarantine goes."""
    (found,) = lake.quarantine.list()
    lake.quarantine.release(found.id)
    assert landed(lake) == {1: 10.0, 2: -5.0, 3: 7.5}
    assert lake.quarantine.list() == []


def test_a_whole_batch_is_released_whole(lake: Lake, contract: str) -> None:
    """A batch of which nothing landed comes back as it was, good rows and bad."""
    with pytest.raises(dp.ContractFailed):
        lake.ingest(rows({6: 6.0, 7: -7.0}), "payments", contract=contract, on_error="fail")
    whole = next(each for each in lake.quarantine.list() if each.whole)
    assert whole.rows == 2
    lake.quarantine.release(whole.id)
    assert landed(lake) == {1: 10.0, 3: 7.5, 6: 6.0, 7: -7.0}


def test_a_protected_branch_refuses_a_release(lake: Lake, contract: str) -> None:
    """A branch that is held to the contract takes released rows no more than others, and they stay."""
    lake.protect("main", contract, "payments")
    (found,) = lake.quarantine.list()
    with pytest.raises(dp.ContractFailed):
        lake.quarantine.release(found.id)
    assert [each.id for each in lake.quarantine.list()] == [found.id]


def test_a_killed_release_lands_once(tmp_path: Path, contract: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed between the commit and the end of the quarantine, a second release adds no row again."""
    lake = dp.open(tmp_path / "other")
    lake.ingest(rows({1: 1.0, 2: -2.0}), "payments", contract=contract)
    (found,) = lake.quarantine.list()

    def dies(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Lake, "delete_branch", dies)
        with pytest.raises(KeyboardInterrupt):
            lake.quarantine.release(found.id)
    assert lake["payments"].rows == 2
    lake.quarantine.release(found.id)
    assert lake["payments"].rows == 2
    assert lake.quarantine.list() == []


def test_dropped_rows_go(lake: Lake) -> None:
    """A drop deletes the branch, and what it held is told."""
    (found,) = lake.quarantine.list()
    assert lake.quarantine.drop(found.id).rows == 1
    assert lake.quarantine.list() == []
    assert landed(lake) == {1: 10.0, 3: 7.5}


@pytest.mark.parametrize("sql", ["select", "copy rows to '/tmp/x'", "select * from '/etc/passwd'"])
def test_a_query_that_cannot_mend_is_refused(lake: Lake, contract: str, sql: str) -> None:
    """SQL that fails, writes or reads files is an error, and nothing moves."""
    (found,) = lake.quarantine.list()
    with pytest.raises(dp.ConfigError, match="cannot be mended"):
        lake.quarantine.replay(found.id, contract=contract, mend=sql)
    assert [each.id for each in lake.quarantine.list()] == [found.id]
