"""States of tables from the command line, stopped in between, in a transaction, and what names them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from deltalake import DeltaTable, write_deltalake

import dataplat as dp
from dataplat.cli import main
from dataplat.connectors.tables import Location, locate
from dataplat.ingest import _ingest


@pytest.fixture
def table(numbers, tmp_path: Path) -> Path:
    """Return a Delta table of three versions."""
    folder = tmp_path / "table"
    for number in range(3):
        write_deltalake(str(folder), numbers(number * 10, number * 10 + 10), mode="append")
    return folder


def _shell(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[str, str]:
    assert main(list(arguments)) == 0
    printed = capsys.readouterr()
    return printed.out, printed.err


def test_out_and_in_from_the_command_line(table: Path, lake: dp.Lake, tmp_path: Path, capsys, monkeypatch) -> None:
    """`ingest --history` lands every state and says so; `version export --to` says what it wrote and what to know."""
    monkeypatch.setenv("DATAPLAT_LAKE", str(tmp_path / "lake"))
    out, notes = _shell(capsys, "ingest", f"delta://{table}", "--into", "t", "--history")
    assert "now 30" in out
    assert "3 of 3 states landed, oldest first" in notes
    assert [entry.rows for entry in lake.log("t")] == [30, 20, 10]
    out, _ = _shell(capsys, "version", "export", "t", str(tmp_path / "out"), "--to", "iceberg", "--json")
    made = json.loads(out)
    assert (made["rows"], made["files"]) == (30, len(lake["t"].parts))
    assert "keeps them: leave it" in made["notes"][1]


def test_a_stop_leaves_the_states_before_and_the_next_goes_on(table: Path, lake: dp.Lake, monkeypatch) -> None:
    """Each state is a commit of its own, with its position: what was landed is not landed again."""
    land, seen = _ingest.land, []

    def stops(*args: object) -> object:
        seen.append(args)
        if len(seen) == 3:
            raise KeyboardInterrupt
        return land(*args)

    monkeypatch.setattr(_ingest, "land", stops)
    with pytest.raises(KeyboardInterrupt):
        lake.ingest(f"delta://{table}", "t", history=True)
    assert [entry.rows for entry in lake.log("t")] == [20, 10]
    lake.ingest(f"delta://{table}", "t", history=True)
    assert [entry.rows for entry in lake.log("t")] == [30, 20, 10]
    assert len(seen) == 4


def test_a_state_that_fails_its_contract_holds_up_those_behind_it(lake: dp.Lake, numbers, tmp_path: Path) -> None:
    """The states before it landed, it waits in quarantine, and those behind it are not tried."""
    import pandera.polars as pa

    for first, last in ((0, 10), (5, 8), (20, 30)):
        write_deltalake(str(tmp_path / "table"), numbers(first, last), mode="append")
    contract = pa.DataFrameSchema({"id": pa.Column(int), "name": pa.Column(str)}, unique=["id"])
    result = lake.ingest(f"delta://{tmp_path}/table", "t", history=True, contract=contract)
    assert result.quarantine is not None
    assert result.notes[0] == "1 of 3 states landed, oldest first"
    assert lake["t"].rows == 10
    assert (result.commit, result.rows_added, result.rows_quarantined) == (None, 0, 3)


def test_a_history_that_lost_the_state_is_said(table: Path, lake: dp.Lake, numbers, tmp_path: Path) -> None:
    """Where the table was made anew, what was landed is not in its history: a range has to say what to land."""
    lake.ingest(f"delta://{table}", "t", history=True)
    (tmp_path / "table").rename(tmp_path / "old")
    write_deltalake(str(table), numbers(0, 3))
    write_deltalake(str(table), numbers(3, 5), mode="append")
    with pytest.raises(dp.SourceError, match="its history does not hold"):
        lake.ingest(f"delta://{table}", "t", history=True)
    lake.ingest(f"delta://{table}@0..1", "t")
    assert lake["t"].rows == 5


def test_a_table_in_a_transaction(table: Path, lake: dp.Lake) -> None:
    """Its newest state replaces what was there, like outside of one; again, it is a no-op."""
    for expected in (1, 1):
        with lake.transaction() as tx:
            tx.ingest(f"delta://{table}", "t")
        assert len(lake.log("t")) == expected
    DeltaTable(str(table)).delete("id < 10")
    with lake.transaction() as tx:
        tx.ingest(str(table), "t")
    assert lake["t"].rows == 20


@pytest.mark.parametrize(
    ("text", "kind", "place", "first", "last"),
    [
        ("delta:///a/b", "delta", "/a/b", None, None),
        ("delta:///a/b@3", "delta", "/a/b", None, "3"),
        ("delta:///a/b@v3..v5", "delta", "/a/b", "3", "5"),
        ("delta:///a@b/c", "delta", "/a@b/c", None, None),
        ("delta://s3://bucket/t@7", "delta", "s3://bucket/t", None, "7"),
        ("iceberg:///a/v1.metadata.json@77", "iceberg", "/a/v1.metadata.json", None, "77"),
        ("dvc:///a/b", "dvc", "/a/b", None, None),
        ("dvc:///a/b@feature/x", "dvc", "/a/b", None, "feature/x"),
        ("dvc:///a/b@v1..v2.0", "dvc", "/a/b", "v1", "v2.0"),
        ("dvc://https://u@host/o/r.git/data/x", "dvc", "https://u@host/o/r.git/data/x", None, None),
        ("dvc://https://u@host/o/r.git/data/x@main", "dvc", "https://u@host/o/r.git/data/x", None, "main"),
        ("dvc://git@host:o/r.git//data/x", "dvc", "git@host:o/r.git//data/x", None, None),
        ("dvc://git@host:o/r.git//data/x@v1", "dvc", "git@host:o/r.git//data/x", None, "v1"),
    ],
)
def test_names_of_tables(text: str, kind: str, place: str, first: str | None, last: str | None) -> None:
    """A name is taken apart into the table and its states; what is named comes back when it is spelt again."""
    found = locate(text)
    assert found == Location(kind, place, first, last)
    assert locate(found.at("1")) == Location(kind, place, None, "1")


def test_names_of_other_things(tmp_path: Path) -> None:
    """Files, globs, URLs and folders of files are no tables."""
    for text in ("a.csv", "-", "*.parquet", "s3://bucket/x", "https://host/x.csv", str(tmp_path), "delta://"):
        assert locate(text) is None


@pytest.mark.parametrize("kind", ["Delta", "Iceberg"])
def test_a_table_that_is_not_there_is_said(lake: dp.Lake, tmp_path: Path, monkeypatch, kind: str) -> None:
    """A wrong path, and a folder that is something else, end in an error of ours that names the path."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    for place in ("nosuch", "empty"):
        with pytest.raises(dp.SourceNotFound, match=rf"{place} is no {kind} table: there is no "):
            lake.ingest(f"{kind.lower()}://{place}", "t")
