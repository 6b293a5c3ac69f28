"""`dataplat version erase`: it plans, asks, erases, and says what is left to do."""

from __future__ import annotations

import json

import pyarrow as pa
import pytest

import dataplat as dp
from dataplat.cli import main


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    """Return a function that runs a command in a folder with a lake of two customers and a dataset made from them."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DATAPLAT_LAKE", raising=False)
    monkeypatch.setenv("NO_COLOR", "1")
    lake = dp.open(".dataplat")
    lake.ingest(pa.table({"id": [1, 42], "name": ["a", "jo"]}), "customers")
    lake.sql("select id, upper(name) as title from customers").commit("titles")

    def run(*words, code=0):
        assert main(["version", "erase", *words]) == code
        return capsys.readouterr()

    return run


ERASE = ("customers", "--where", "id = 42", "--reason", "ticket 7")


def rows():
    """Return how many customers there are."""
    return dp.open(".dataplat")["customers"].rows


def test_plan_says_what_would_go_and_touches_nothing(run):
    """Rows, versions, what is kept, and derived datasets with their command."""
    printed = run(*ERASE, "--plan").out
    assert "1 of 1 would be rewritten" in printed
    assert "titles was made from customers: dataplat version erase titles --where 'id = 42'" in printed
    assert rows() == 2
    plan = json.loads(run(*ERASE, "--plan", "--json").out)
    assert (plan["rows"], plan["affected"], plan["digested"]) == (1, 1, True)
    assert rows() == 2


def test_plan_names_who_shares_a_part_and_tables_in_place(run, tmp_path):
    """A dataset that has such a part by other ways, with its command, and the tag of an Iceberg table, which loses it."""
    lake = dp.open(".dataplat")
    lake.ingest(pa.table({"id": [9], "name": ["x"]}), "other")
    lake.ingest(pa.table({"id": [1, 42], "name": ["a", "jo"]}), "other")
    lake["titles"].export(tmp_path / "titles", to="iceberg")
    lake["customers"].export(tmp_path / "table", to="iceberg")
    printed = run(*ERASE, "--plan").out
    assert "other holds parts of it and keeps the rows: dataplat version erase other --where 'id = 42'" in printed
    tag = f"exported/iceberg-{lake['customers'].id[:12]}"
    assert f"exported in place          {tag}\n" in printed
    assert "DVC and Delta" in printed
    plan = json.loads(run(*ERASE, "--plan", "--json").out)
    assert (plan["exports"], plan["shared"][0]["name"]) == ([tag], "other")
    assert f"(tags {tag}) lost files" in run(*ERASE, "--yes").err
    assert "1 removed" in dp.open(".dataplat")["customers"].export(tmp_path / "table", to="iceberg").notes[0]


def test_without_a_terminal_it_wants_yes(run):
    """Nobody to ask: it is refused, with and without --json, and nothing is touched."""
    for more in ((), ("--json",)):
        assert "--yes" in "".join(run(*ERASE, *more, code=2))
    assert rows() == 2


def test_yes_erases_and_says_what_is_left(run):
    """The summary counts, and names what was made from the dataset."""
    printed = run(*ERASE, "--yes")
    assert "erased 1 row from 1 version of customers" in printed.out
    assert "titles was made from customers" in printed.err
    assert rows() == 1


def test_json_has_it_all(run):
    """The result as plain values, the plan in it."""
    result = json.loads(run(*ERASE, "--yes", "--json").out)
    assert (result["rows"], result["versions"], result["finished"]) == (1, 1, True)
    assert result["plan"]["derived"][0]["name"] == "titles"


def test_no_reason_is_refused(run):
    """Without a reason nothing is erased."""
    assert "reason" in run("customers", "--where", "id = 42", "--yes", code=2).err
    assert rows() == 2


def test_the_last_line_names_all_that_was_erased_in(run):
    """Two datasets with the very same versions are erased together, and both are named."""
    lake = dp.open(".dataplat")
    for name in ("one", "two"):
        lake.ingest(pa.table({"id": [5, 42, 6]}), name)
    printed = run("one", "--also", "two", "--where", "id = 42", "--reason", "ticket 7", "--yes").out
    assert "erased 1 row from 1 version of one and two;" in printed
    assert (lake["one"].rows, lake["two"].rows) == (2, 2)
