"""Columns that are declared as never null, in text."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest

import dataplat as dp
from dataplat.connectors.files import ndjson

Land = Callable[..., Any]
SCHEMA = pa.schema([pa.field("a", pa.int64(), nullable=False), ("b", pa.string())])
MESSAGE = "null, but the column is declared as never null"


@pytest.mark.parametrize("rows", [3, 3_000])
@pytest.mark.parametrize("name", ["in.csv", "in.ndjson"])
def test_a_null_is_one_reject(land: Land, name: str, rows: int) -> None:
    """The record with the null goes to the rejects, with its place; all others land."""
    csv = name.endswith("csv")
    lines = ["a,b"] if csv else []
    lines += ["1,x" if csv else '{"a": 1, "b": "x"}'] * rows
    lines += [",y"] if csv else ['{"a": null, "b": "y"}', '{"b": "z"}']
    lines += ["2,x" if csv else '{"a": 2, "b": "x"}']
    landed = land("\n".join(lines), name, schema=SCHEMA)
    assert landed.table.num_rows == rows + 1
    assert not landed.schema.field("a").nullable
    assert [(reject["line"], reject["column"], reject["error"]) for reject in landed.rejects] == [
        (line, "a", MESSAGE) for line in ([rows + 2] if csv else [rows + 1, rows + 2])
    ]


def test_null_words_count(land: Land) -> None:
    """A null by `--null` is one, too."""
    landed = land("a,b\n1,x\nn/a,y\n", null_words=["n/a"], schema=SCHEMA)
    assert [reject["line"] for reject in landed.rejects] == [3]


@pytest.mark.parametrize("content", ["a,c\n1,1\n,2\n2,x\n", '{"a": 1, "c": 1}\n{"c": 2}\n{"a": 2, "c": "x"}\n'])
def test_widening_keeps_the_declaration(land: Land, monkeypatch: pytest.MonkeyPatch, content: str) -> None:
    """Another column that widens leaves it as it was."""
    monkeypatch.setattr(ndjson, "SNIFF_BYTES", 20)
    monkeypatch.setattr("dataplat.connectors.files.csv.SNIFF_BYTES", 10)
    name = "in.csv" if content.startswith("a") else "in.ndjson"
    landed = land(content, name, schema=pa.schema([SCHEMA.field("a")]))
    assert landed.widened
    assert not landed.schema.field("a").nullable
    assert [reject["column"] for reject in landed.rejects] == ["a"]


def test_the_rest_of_a_file_lands(tmp_path: Any) -> None:
    """An ingest into a dataset with such a column ends in a reject, not in an error."""
    lake = dp.open("memory://")
    lake.ingest(pa.table({"a": [0], "b": ["x"]}), into="t", schema=SCHEMA)
    (tmp_path / "in.csv").write_text("a,b\n1,x\n,y\n")
    result = lake.ingest(tmp_path / "in.csv", into="t")
    assert (result.rows_added, result.rows_rejected) == (1, 1)
