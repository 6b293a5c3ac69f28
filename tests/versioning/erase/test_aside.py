"""Erasing what never landed: rejected records, rows in quarantine, and the reports that show values of them."""

from __future__ import annotations

import pytest

from .world import JO, TOKEN, leaks, new_store, open_on  # noqa: TID252

CONTRACT = """
import pandera.polars as pa

class People(pa.DataFrameModel):
    id: int
    name: str
    age: int = pa.Field(gt=0)
"""


@pytest.fixture
def contract(tmp_path):
    """Return a contract: ages are greater than 0."""
    (tmp_path / "contract.py").write_text(CONTRACT)
    return f"{tmp_path / 'contract.py'}:People"


@pytest.fixture
def store(tmp_path, contract):
    """Return a lake of which a person has a row in the dataset, one in quarantine, and one that could not be read."""
    store = new_store()
    lake = open_on(store)
    good = tmp_path / "good.csv"
    good.write_text(f"id,name,age\n1,a,5\n{JO},{TOKEN},6\n")
    lake.ingest(good, "people", contract=contract)
    bad = tmp_path / "bad.csv"
    bad.write_text(f"id,name,age\n3,c,-1\n{JO},{TOKEN},-7\n{JO},{TOKEN},old\n14242,d,ancient\n")
    result = lake.ingest(bad, "people", contract=contract)
    assert (result.rows_quarantined, result.rows_rejected) == (2, 2)
    return store


def test_rejects_quarantine_and_reports_hold_nothing(store):
    """All three lose what they have of the person; other records and rows stay, and the lake is whole."""
    assert any(key.startswith("objects/") for key in leaks(store))
    result = open_on(store).erase("people", f"id = {JO}", "ticket 7")
    assert result.rejected == 1
    assert not leaks(store)
    lake = open_on(store)
    assert [row["raw"] for row in lake["people.rejects"].to_arrow().to_pylist()] == [b"14242,d,ancient"]
    (branch,) = (head.branch for head in lake.branches() if head.branch.startswith("quarantine/"))
    assert lake[f"people@{branch}"].to_arrow()["id"].to_pylist() == [3]
    report = lake.verify()
    assert (report.problems, report.orphans) == ([], 0)
    assert lake.gc(grace="0s").done.objects == 0


def test_a_condition_that_cannot_be_asked_of_records_takes_them_all(store):
    """Where values are not told by being equal every rejected record goes, unless they are to stay."""
    plan = open_on(store).plan_erase("people", "id > 4000")
    assert plan.rejected == 2
    assert open_on(store).plan_erase("people", "id > 4000", rejects=False).rejected == 0
    open_on(store).erase("people", "id > 4000", "law")
    assert open_on(store)["people.rejects"].rows == 0
    assert not leaks(store)


def test_the_same_bad_file_again_brings_nothing_back(store, tmp_path, contract):
    """Rows that would fail their contract are left out before they fail: they do not go to quarantine."""
    open_on(store).erase("people", f"id = {JO}", "ticket 7")
    bad = tmp_path / "again.csv"
    bad.write_text(f"id,name,age\n4,c,-1\n{JO},{TOKEN},-7\n")
    result = open_on(store).ingest(bad, "people", contract=contract)
    assert (result.rows_suppressed, result.rows_quarantined) == (1, 1)
    assert not leaks(store)
