"""Workbooks as a source."""

from __future__ import annotations

import datetime as dt
import io
from collections.abc import Callable
from typing import Any

import openpyxl
import pytest

from dataplat.errors import SourceError

Land = Callable[..., Any]


def _book(*sheets: list[list[Any]]) -> bytes:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for i, rows in enumerate(sheets, 1):
        sheet = book.create_sheet(f"s{i}")
        for row in rows:
            sheet.append(row)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def test_types(land: Land) -> None:
    """Numbers, texts, times and truth values; whole numbers are integers, mixed columns what the sheet shows."""
    when = dt.datetime(2024, 1, 2, 3, 4, 5)  # noqa: DTZ001 (workbooks know no zones)
    rows = [["n", "f", "s", "t", "mixed", "flag"], [1, 1.5, "00501", when, 1, True], [2, 2, None, None, "x", 3]]
    landed = land(_book(rows), "in.xlsx")
    assert landed.types == {
        "n": "int64",
        "f": "double",
        "s": "string",
        "t": "timestamp[us]",
        "mixed": "string",
        "flag": "string",
    }
    assert landed.rows[0] == {"n": 1, "f": 1.5, "s": "00501", "t": when, "mixed": "1", "flag": "true"}


def test_error_cells_are_rejects(land: Land) -> None:
    """A cell that holds an error rejects its row, with line and column."""
    book = openpyxl.Workbook()
    for row in (["a", "b"], [1, 2], [3, 4], [5, 6]):
        book.active.append(row)
    cell = book.active.cell(3, 2)
    cell.value, cell.data_type = "#DIV/0!", "e"
    out = io.BytesIO()
    book.save(out)
    landed = land(out.getvalue(), "in.xlsx")
    assert [row["a"] for row in landed.rows] == [1, 5]
    reject = landed.rejects[0]
    assert (reject["line"], reject["row"], reject["column"]) == (3, 2, "b")
    assert "Div0" in reject["error"]


def test_sheets_are_chosen(land: Land) -> None:
    """Several sheets with cells ask for one; an empty one does not count."""
    assert land(_book([["a"], [1]], []), "in.xlsx").rows == [{"a": 1}]
    two = _book([["a"], [1]], [["a"], [2]])
    with pytest.raises(SourceError, match="2 sheets with cells"):
        land(two, "in.xlsx")
    assert land(two, "in.xlsx", sheet="s2").rows == [{"a": 2}]
    with pytest.raises(SourceError, match="no sheet 'nope'"):
        land(two, "in.xlsx", sheet="nope")


def test_double_names(land: Land) -> None:
    """Two equal names are an error, not a silent `a_1`."""
    with pytest.raises(SourceError, match="more than once"):
        land(_book([["a", "a"], [1, 2]]), "in.xlsx")


def test_no_workbook(land: Land) -> None:
    """Other bytes are no workbook."""
    with pytest.raises(SourceError, match="cannot be read as a workbook"):
        land(b"PK\x03\x04nope", "in.xlsx")
