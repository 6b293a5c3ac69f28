"""Texts are judged by the dictionary of their row group, and each row is counted by how it was settled."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandera.polars as pdr
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import dataplat as dp
from dataplat.validation import subject

CARRIERS = ["AA", "UA", "DL", "é"]


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, tuple[str, ...]]]:
    """Row groups of files whose data pages are decoded, with their columns."""
    seen: list[tuple[int, tuple[str, ...]]] = []
    read = subject._FileUnit.read

    def noting(self: subject._FileUnit) -> Any:
        seen.append((self._group, tuple(self._columns)))
        return read(self)

    monkeypatch.setattr(subject._FileUnit, "read", noting)
    return seen


def carriers(*checks: Any, nullable: bool = True) -> pdr.DataFrameSchema:
    """A contract on a column of text."""
    return pdr.DataFrameSchema({"c": pdr.Column(str, list(checks), nullable=nullable)}, name="s")


TEXT_CHECKS = (
    pdr.Check.isin(CARRIERS),
    pdr.Check.notin(["ZZ"]),
    pdr.Check.str_matches(r"^\w+$"),
    pdr.Check.str_length(1, 2),
    pdr.Check(lambda value: value != "ZZ", element_wise=True),
)


def settled(report: Any) -> dict[str, dict[str, int]]:
    """How many rows of each check were settled how."""
    return {check.name: dict(check.settled) for check in report.checks if check.column == "c"}


def test_texts_of_files_are_proven_by_their_dictionaries(tmp_path: Path, decoded: list[Any]) -> None:
    """Of a file of others, too, what all values of the dictionary pass is proven without a data page."""
    rows = pa.table({"c": [None if n % 10 == 9 else CARRIERS[n % 4] for n in range(4000)], "n": list(range(4000))})
    pq.write_table(rows, tmp_path / "f.parquet", row_group_size=1000)
    report = dp.validate(tmp_path / "f.parquet", carriers(*TEXT_CHECKS))
    assert report.ok
    assert list(settled(report).values()) == [{"proven": 4000}] * len(TEXT_CHECKS)
    assert not decoded
    assert report.new_rows == 0


def test_only_row_groups_whose_dictionary_fails_are_read(tmp_path: Path, decoded: list[Any]) -> None:
    """A value that fails is looked up in the rows of its row group alone, and of its column alone."""
    values = [CARRIERS[n % 4] for n in range(4000)]
    values[2500] = "ZZ"
    pq.write_table(pa.table({"c": values, "n": list(range(4000))}), tmp_path / "f.parquet", row_group_size=1000)
    contract = carriers(*TEXT_CHECKS).add_columns({"n": pdr.Column(int, pdr.Check.lt(3500))})
    report = dp.validate(tmp_path / "f.parquet", contract)
    assert sorted(decoded) == [(2, ("c",)), (3, ("n",))]  # two threads read
    assert {check.name: check.failing for check in report.failed} == {
        "isin(['AA', 'UA', 'DL', 'é'])": 1,
        "notin(['ZZ'])": 1,
        "<lambda>": 1,
        "less_than(3500)": 500,
    }
    assert {tuple(example.position for example in check.examples) for check in report.failed if check.failing == 1} == {
        (2500,)
    }
    assert settled(report)["str_length(1, 2)"] == {"proven": 4000}
    assert settled(report)["notin(['ZZ'])"] == {"proven": 3000, "scanned": 1000}
    (numbers,) = (check for check in report.checks if check.name == "less_than(3500)")
    assert dict(numbers.settled) == {"proven": 3000, "scanned": 1000}


@pytest.mark.parametrize("nulls", [0, 1])
def test_nulls_are_counted_by_the_footer(tmp_path: Path, decoded: list[Any], nulls: int) -> None:
    """A check that fails null is proven where the footer counts none, and asked of the rows where it counts some."""
    values: list[str | None] = ["AA"] * 1000 + [None] * nulls
    pq.write_table(pa.table({"c": pa.array(values)}), tmp_path / "f.parquet")
    report = dp.validate(tmp_path / "f.parquet", carriers(pdr.Check.isin(["AA"], ignore_na=False), nullable=False))
    assert [check.failing for check in report.checks if check.column] == [nulls, nulls]
    assert bool(decoded) == bool(nulls)


def test_texts_outside_the_dictionary_are_read(tmp_path: Path, decoded: list[Any]) -> None:
    """Where the writer gave its dictionary up midway, the rows are asked, and the bad one is found."""
    values = [f"value {n}" for n in range(20_000)]
    pq.write_table(pa.table({"c": [*values, "bad"]}), tmp_path / "f.parquet", dictionary_pagesize_limit=1000)
    (failure,) = dp.validate(tmp_path / "f.parquet", carriers(pdr.Check.str_startswith("value"))).failed
    assert failure.failing == 1
    assert decoded


def test_deleted_rows_are_not_counted(memory_lake: dp.Lake, reads: Any) -> None:
    """Of our own parts: proven and scanned rows are those that count, with deletes, too."""
    rows = {"id": list(range(4000)), "c": [CARRIERS[n % 4] for n in range(4000)], "n": list(range(4000))}
    memory_lake.ingest(pa.table(rows), "d", key="id")
    memory_lake.delete("d", "id < 100")
    report = memory_lake["d"].validate(carriers(pdr.Check.notin(["AB"]), pdr.Check.notin(["AA", "AB"])))
    assert settled(report)["notin(['AB'])"] == {"proven": 3900}
    assert settled(report)["notin(['AA', 'AB'])"] == {"scanned": 3900}
    assert [check.failing for check in report.failed] == [975]
    assert set(reads.columns) == {"id", "c"}
