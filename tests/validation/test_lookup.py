"""Rules that look at other datasets find them wherever a contract is asked: as the branch at hand has them."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

import dataplat as dp
from dataplat._lake import Lake
from dataplat.errors import ContractFailed

TEXT = """
import dataplat as dp

orders = dp.Contract(name="orders", checks=[dp.foreign_key("shop", "shops", "shop"), dp.no_drift(vs="@v1")])
shops = dp.Contract(name="shops", checks=[dp.unique("shop")])
"""


@pytest.fixture
def contracts(tmp_path: Path) -> Path:
    """A file of contracts."""
    path = tmp_path / "contracts.py"
    path.write_text(TEXT)
    return path


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """A lake of orders, and of the shops that they name; `v1` is a tag."""
    lake = dp.open(tmp_path / "lake")
    lake.ingest(shops("north", "south"), "shops")
    lake.ingest(orders("north", "south"), "orders")
    lake.tag("v1")
    return lake


def shops(*names: str) -> pl.DataFrame:
    """Rows that name shops."""
    return pl.DataFrame({"shop": names}, schema={"shop": pl.String})


def orders(*names: str) -> pl.DataFrame:
    """Orders of shops."""
    return shops(*names)


def test_ingest_resolves(lake: Lake, contracts: Path) -> None:
    """What an ingest brings is held against other datasets, and a version of its own."""
    contract = f"{contracts}:orders"
    assert lake.ingest(orders("south"), "orders", contract=contract).rows_added == 1
    with pytest.raises(ContractFailed, match=r"foreign_key\(shops: shop\): 1 of 4 rows, e.g. east"):
        lake.ingest(orders("east"), "orders", contract=contract, on_error="fail")
    assert lake["orders"].rows == 3


def test_gate_resolves(lake: Lake, contracts: Path) -> None:
    """A protected branch holds a query's result against other datasets."""
    lake.protect("main", f"{contracts}:orders", "orders")
    lake.sql("select 'north' as shop").commit(into="orders", mode="append")
    with pytest.raises(ContractFailed, match="e.g. east"):
        lake.sql("select 'east' as shop").commit(into="orders", mode="append")
    assert lake["orders"].rows == 3


def test_merge_asks_what_it_makes(lake: Lake, contracts: Path) -> None:
    """A merge that brings an order together with its shop passes, in whatever order of names; without, it does not."""
    lake.protect("main", f"{contracts}:orders", "orders")
    lake.protect("main", f"{contracts}:shops", "shops")
    lake.branch("fix")
    lake.ingest(orders("east"), "orders", branch="fix")
    with pytest.raises(ContractFailed, match="e.g. east"):
        lake.merge("fix")
    assert "e.g. east" in lake.plan_merge("fix").refused
    lake.ingest(shops("east"), "shops", branch="fix")
    assert not lake.plan_merge("fix").refused
    lake.merge("fix", contract={"orders": f"{contracts}:orders"})
    assert lake["orders"].validate(f"{contracts}:orders").ok


def test_branch_has_its_own(lake: Lake, contracts: Path) -> None:
    """On a branch the other dataset is the branch's own; one that is not there is not looked up elsewhere."""
    contract = f"{contracts}:orders"
    lake.branch("fix")
    lake.ingest(shops("east"), "shops", branch="fix")
    assert lake.ingest(orders("east"), "orders", branch="fix", contract=contract).rows_added == 1
    lake.drop("shops", branch="fix")
    report = lake["orders@fix"].validate(contract)
    assert [(check.status, check.detail) for check in report.failed] == [
        ("could not check", "DatasetNotFound: there is no dataset 'shops' beside 'orders'")
    ]


def test_transaction_sees_its_own(lake: Lake, contracts: Path) -> None:
    """In a transaction the other dataset is what the transaction has made of it."""
    contract = f"{contracts}:orders"
    with lake.transaction(message="both") as both:
        both.ingest(shops("east"), "shops")
        both.ingest(orders("east"), "orders", contract=contract)
    assert lake["orders"].validate(contract).ok


def test_recheck_resolves(lake: Lake, contracts: Path) -> None:
    """Where others committed meanwhile, the whole is asked again, beside the other datasets of now."""
    contract = f"{contracts}:orders"
    with lake.transaction(message="mine") as mine:
        mine.ingest(orders("south"), "orders", contract=contract)
        lake.ingest(orders("north"), "orders")
    assert lake["orders"].rows == 4
    other = lake.transaction(message="mine")
    other.__enter__().ingest(orders("south"), "orders", contract=contract)
    lake.ingest(shops("south"), "shops", mode="replace")
    lake.ingest(orders("south"), "orders")
    with pytest.raises(ContractFailed, match="would not meet contract orders"):
        other.__exit__(None, None, None)
    assert lake["orders"].rows == 5
