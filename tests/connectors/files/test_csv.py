"""Delimited text: what lands, what is rejected and where, what widens."""

from __future__ import annotations

import csv
import datetime as dt
import io
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import hypothesis.strategies as st
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings

from dataplat.connectors.files import _blocks
from dataplat.connectors.files import csv as csv_format
from dataplat.errors import SchemaError, SchemaMismatch, SourceError

Land = Callable[..., Any]


def test_types_are_inferred(land: Land) -> None:
    """Numbers, truth values, dates, times with and without zone and texts get their types."""
    landed = land("i,f,b,d,n,z,s,e\n1,1.5,true,2024-01-31,2024-01-31 10:00:00.5,2024-01-31T10:00:00+02:00,x,\n")
    assert landed.types == {
        "i": "int64",
        "f": "double",
        "b": "bool",
        "d": "date32[day]",
        "n": "timestamp[us]",
        "z": "timestamp[us, tz=UTC]",
        "s": "string",
        "e": "null",
    }
    assert landed.rows[0]["z"] == dt.datetime(2024, 1, 31, 8, tzinfo=dt.UTC)


def test_unquoted_empty_is_null_quoted_empty_is_a_string(land: Land) -> None:
    """An empty field is null, `""` is an empty string."""
    assert land('a,b\n,""\nx,y\n').rows == [{"a": None, "b": ""}, {"a": "x", "b": "y"}]


def test_a_quoted_empty_number_makes_a_string(land: Land) -> None:
    """`""` is no number and not null, so the column is text."""
    assert land('a,b\n1,x\n"",y\n').types["a"] == "string"


def test_other_null_words_only_when_asked(land: Land) -> None:
    """`NA` is a text, unless it was named as a null word."""
    assert land("a,b\n1,x\nNA,y\n").rows[1]["a"] == "NA"
    assert land("a,b\n1,x\nNA,y\n", null_words=["NA"]).table.column("a").to_pylist() == [1, None]


@pytest.mark.parametrize(
    ("texts", "kind"),
    [
        (["00501", "12345"], "string"),
        (["+4930", "5"], "string"),
        (["0x1F", "5"], "string"),
        (["1e5", "5"], "double"),
        (["-0", "5"], "double"),
        (["-0.5", "0"], "double"),
        ([" 5", "7 "], "int64"),
        (["nan", "1.5"], "double"),
        (["NaN", "inf"], "string"),
        (["9223372036854775807", "1"], "int64"),
        (["9223372036854775808", "1"], "decimal128(38, 0)"),
        (["9" * 38, "1"], "decimal128(38, 0)"),
        (["9" * 39, "1"], "string"),
        (["9007199254740993", "1.5"], "string"),
        (["9007199254740992", "1.5"], "double"),
        (["1e999", "1"], "string"),
        (["007.5", "1"], "string"),
        (["1", "true"], "string"),
        (["2024-01-01", "2024-01-01 10:00"], "timestamp[us]"),
        (["2024-01-01 10:00:00.123456789", "2024-01-01"], "timestamp[ns]"),
        (["2024-01-01 10:00Z", "2024-01-01"], "string"),
        (["2024-02-30", "2024-01-01"], "string"),
        (["True", "FALSE"], "bool"),
        (["12:30", "13:00"], "string"),
    ],
)
@pytest.mark.parametrize("late", [False, True])
def test_nothing_is_lost(land: Land, monkeypatch: pytest.MonkeyPatch, texts: list[str], kind: str, late: bool) -> None:
    """A column's type keeps what each text says, also when the telling text comes long after the sniffed beginning."""
    monkeypatch.setattr(csv_format, "SNIFF_BYTES", 64)
    plain, odd = texts[1], texts[0]
    filler = [plain] * 200
    landed = land("v,w\n" + "".join(f"{text},x\n" for text in ([*filler, odd] if late else [odd, *filler])))
    if late and texts == ["NaN", "inf"]:
        assert landed.types["v"] == "string"
        return
    assert landed.types["v"] == kind
    assert not landed.rejects
    assert landed.table.num_rows == 201
    got = landed.table.column("v").to_pylist()
    assert None not in got
    if kind == "string":
        assert got == ([*filler, odd] if late else [odd, *filler])
    if kind.startswith("decimal"):
        assert Decimal(odd) in got


def test_wider_types_start_over(land: Land, monkeypatch: pytest.MonkeyPatch) -> None:
    """A later value that disagrees is a signal with the place and the change, and the second pass has one type."""
    monkeypatch.setattr(csv_format, "SNIFF_BYTES", 64)
    landed = land("a,b\n" + "1,2\n" * 100 + "1.5,2\n")
    assert landed.types == {"a": "double", "b": "int64"}
    assert len(landed.widened) == 1
    assert "'a' int64 → double" in landed.widened[0]


def test_ragged_rows_are_rejects(land: Land) -> None:
    """Too few or too many fields: line, row, byte, raw bytes; the rest lands."""
    landed = land('a,b\n1,x\n2\n3,y,z\n"4\n4",w\n5,v\n')
    assert [row["b"] for row in landed.rows] == ["x", "w", "v"]
    first, second = landed.rejects
    assert (first["line"], first["row"], first["offset"], first["raw"]) == (3, 2, 8, b"2")
    assert first["error"] == "1 fields, but the header has 2"
    assert (second["line"], second["row"], second["offset"], second["raw"]) == (4, 3, 10, b"3,y,z")


def test_invalid_utf8_is_a_reject(land: Land) -> None:
    """Bytes that are no UTF-8 name line and column and are kept raw."""
    landed = land(b"a,b\n1,x\n2,\xff\xfe\n3,y\n")
    assert [row["a"] for row in landed.rows] == [1, 3]
    reject = landed.rejects[0]
    assert (reject["line"], reject["column"], reject["raw"]) == (3, "b", b"2,\xff\xfe")
    assert "UTF-8" in reject["error"]


def test_an_unterminated_quote_costs_one_line(land: Land) -> None:
    """A quote that is never closed rejects its line only."""
    landed = land('a,b\n1,"x\n2,y\n3,"z"\n')
    assert [row["a"] for row in landed.rows] == [2, 3]
    assert (landed.rejects[0]["line"], landed.rejects[0]["raw"]) == (2, b'1,"x')


def test_text_behind_a_closing_quote_costs_one_line(land: Land) -> None:
    """`"a"b` is no field; quotes inside unquoted fields are characters."""
    landed = land('a,b\n1,"x"y\n2,5" pipe\n3,"say ""hi"""\n')
    assert [row["b"] for row in landed.rows] == ['5" pipe', 'say "hi"']
    assert landed.rejects[0]["line"] == 2
    assert "closing quote" in landed.rejects[0]["error"]


def test_quoted_newlines_and_delimiters(land: Land) -> None:
    """What is quoted may hold newlines and delimiters, and lines are still counted."""
    landed = land('a,b\n"x\n1,2\ny",1\r\nz,2,3\r\nz,2')
    assert landed.rows == [{"a": "x\n1,2\ny", "b": 1}, {"a": "z", "b": 2}]
    assert landed.rejects[0]["line"] == 5


def test_small_blocks_give_the_same(land: Land, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where blocks are cut changes neither rows nor the places of rejects."""
    text = "a,b\n" + 'x,"y\n""z"""\n' * 50 + "bad\n" + '5" q,7\n' * 50 + '"open,1\n' + "u,v\n" * 20
    whole = land(text)
    monkeypatch.setattr(_blocks, "BLOCK_BYTES", 40)
    pieces = land(text)
    assert pieces.rows == whole.rows
    assert pieces.rejects == whole.rejects
    assert [reject["line"] for reject in whole.rejects] == [102, 153]


def test_byte_order_mark_crlf_and_no_last_newline(land: Land) -> None:
    """A UTF-8 mark is dropped, CRLF ends lines, the last line needs no end."""
    landed = land(b"\xef\xbb\xbfa,b\r\n1,x\r\n2,y")
    assert landed.table.column_names == ["a", "b"]
    assert landed.rows == [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]


def test_header_spaces_are_kept(land: Land) -> None:
    """A name is what the header says, spaces included."""
    assert land("a, b\n1,2\n").table.column_names == ["a", " b"]


def test_nul_bytes_are_kept(land: Land) -> None:
    """A NUL inside a text is a character like any other."""
    assert land("a,b\nx\0y,1\n").rows[0]["a"] == "x\0y"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"\n\n", "is empty"),
        (b"a,b,a\n1,2,3\n", "'a' more than once (columns 1, 3)"),
        (b"a,,c\n1,2,3\n", "no name to column 2"),
        (b"1,2.5\n3,4.5\n", "the first line is a row"),
        (b"2024-01-01,x\n2024-01-02,y\n", "the first line is a row"),
        ("a,b\n1,2\n".encode("utf-16"), "UTF-16"),
        (b"a\0b,c\n1,2\n", "NUL"),
        (b"\xff\xffa,b\n1,2\n", "not UTF-8"),
        (b'"a,b\n1,2\n', "header"),
    ],
)
def test_unusable_headers(land: Land, content: bytes, message: str) -> None:
    """No header, an empty file, double or empty names, other encodings: an error that says so."""
    with pytest.raises(SourceError, match=message.replace("(", r"\(").replace(")", r"\)")):
        land(content)


def test_years_may_be_names(land: Land) -> None:
    """A table with years as names has a header."""
    assert land("country,1990,2000\nA,1,2\n").table.column_names == ["country", "1990", "2000"]


def test_names_may_be_given(land: Land) -> None:
    """Files without a header are read with names that are given."""
    assert land("1,2.5\n3,4.5\n", columns=["a", "b"]).rows[0] == {"a": 1, "b": 2.5}


def test_header_only_is_no_rows(land: Land) -> None:
    """A header without rows lands as no rows with its columns."""
    landed = land("a,b\n")
    assert landed.table.num_rows == 0
    assert landed.types == {"a": "null", "b": "null"}


@pytest.mark.parametrize("delimiter", [",", "\t", ";", "|"])
def test_delimiters_are_sniffed(land: Land, delimiter: str) -> None:
    """Comma, tab, semicolon and bar are told by the lines' equal number of fields."""
    text = "a,b,c\n1,x,2\n3,y,4\n".replace(",", delimiter)
    assert land(text, "in.txt", format="csv").rows[1] == {"a": 3, "b": "y", "c": 4}


def test_decimal_commas_stay_texts(land: Land) -> None:
    """`1,5` between semicolons is a text, not fifteen and not one."""
    assert land("a;b\n1,5;x\n2,5;y\n").rows[0] == {"a": "1,5", "b": "x"}


def test_one_column_keeps_its_empty_lines(land: Land) -> None:
    """In a file of one column an empty line is a null; in wider ones it is nothing."""
    assert land("a\n1\n\n2\n").table.column("a").to_pylist() == [1, None, 2]
    assert land("a,b\n1,2\n\n3,4\n").table.num_rows == 2


def test_a_given_schema_rejects_what_does_not_fit(land: Land) -> None:
    """Types that were asked for hold: a value that does not fit is a reject with its column."""
    schema = pa.schema([("a", pa.int8()), ("t", pa.timestamp("s"))])
    landed = land("t,a,z\n2024-01-01,1,x\n2024-01-01,300,x\nnope,5,x\n", schema=schema)
    assert landed.types == {"a": "int8", "t": "timestamp[s]", "z": "string"}
    assert landed.table.num_rows == 1
    assert [(reject["line"], reject["column"]) for reject in landed.rejects] == [(3, "a"), (4, "t")]
    assert "'300' is not int8" in landed.rejects[0]["error"]


def test_a_given_type_takes_leading_zeros(land: Land) -> None:
    """Who asks for an integer gets one: 00501 is 501."""
    assert land("a,b\n00501,1\n", schema=pa.schema([("a", pa.int64())])).rows[0]["a"] == 501


def test_missing_and_extra_columns_of_a_given_schema(land: Land) -> None:
    """A missing column is an error before anything is read; an extra one only when asked for."""
    with pytest.raises(SchemaMismatch, match="lacks the columns"):
        land("a\n1\n", schema=pa.schema([("b", pa.int64())]))
    with pytest.raises(SchemaMismatch, match="does not name"):
        land("a,b\n1,2\n", schema=pa.schema([("b", pa.int64())]), extra="error")


def test_on_error_fail(land: Land) -> None:
    """With `fail` the first bad record is an error with its place."""
    with pytest.raises(SourceError, match=r"line 3.*1 fields"):
        land("a,b\n1,2\n3\n", on_error="fail")


def test_a_line_over_the_limit(land: Land, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line longer than a record may be is an error, whatever the memory there is."""
    monkeypatch.setattr(_blocks, "RECORD_LIMIT", 1000)
    monkeypatch.setattr(_blocks, "BLOCK_BYTES", 100)
    with pytest.raises(SourceError, match=r"line 3 .*is longer than"):
        land("a,b\n1,2\n" + "x" * 5000 + ",2\n")


def test_an_open_quote_over_the_limit_costs_one_line(land: Land, monkeypatch: pytest.MonkeyPatch) -> None:
    """A quote that is not closed within the limit of a record is taken for one that is never closed."""
    monkeypatch.setattr(_blocks, "RECORD_LIMIT", 1000)
    monkeypatch.setattr(_blocks, "BLOCK_BYTES", 100)
    landed = land('a,b\n1,2\n"x,2\n' + "3,4\n" * 1000)
    assert [reject["line"] for reject in landed.rejects] == [3]
    assert landed.table.num_rows == 1001


def test_a_lone_carriage_return_ends_a_record(land: Land) -> None:
    """A carriage return alone ends a record in any block, as it does for other readers."""
    assert land("a,b\n1,2\r3,4\n").table.num_rows == 2


def test_many_bad_rows(land: Land) -> None:
    """Thousands of bad rows are rejects of their own, each with its place."""
    landed = land("a,b\n" + "1,2\n3\n" * 3000)
    assert (landed.table.num_rows, len(landed.rejects)) == (3000, 3000)
    assert landed.rejects[-1]["line"] == 6001
    assert landed.rejects[-1]["row"] == 6000


_texts = st.text(st.characters(codec="utf-8", exclude_characters="\r"), max_size=8)
_cells = st.one_of(
    st.none(), _texts, st.integers(-(10**20), 10**20).map(str), st.floats().map(repr), st.dates().map(str)
)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None, max_examples=150
)
@given(
    rows=st.lists(st.tuples(_cells, _cells, st.integers(-5, 5)), min_size=1, max_size=12),
    delimiter=st.sampled_from(",;\t|"),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_NOTNULL if hasattr(csv, "QUOTE_NOTNULL") else csv.QUOTE_ALL]),
    size=st.sampled_from([16, 100, 8 << 20]),
)
def test_round_trip(
    land: Land, rows: list[tuple[str | None, str | None, int]], delimiter: str, quoting: Any, size: int
) -> None:
    """What the csv module writes comes back: texts as they are, or as the values that they are."""
    out = io.StringIO(newline="")
    names = ["left", "right", "last"]
    writer = csv.writer(out, delimiter=delimiter, quoting=quoting, lineterminator="\n")
    writer.writerow(names)
    writer.writerows(rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_blocks, "BLOCK_BYTES", size)
        landed = land(out.getvalue(), delimiter=delimiter)
    assert not landed.rejects
    assert landed.table.num_rows == len(rows)
    expected = list(csv.reader(io.StringIO(out.getvalue(), newline=""), delimiter=delimiter))[1:]
    for name, texts in zip(names, zip(*expected, strict=True), strict=True):
        for got, text in zip(landed.table.column(name).to_pylist(), texts, strict=True):
            _same(got, text)


def _same(got: object, text: str) -> None:
    if got is None:
        assert text == ""
    elif isinstance(got, str):
        assert got == text
    elif isinstance(got, float):
        assert repr(got) == repr(float(text))
    elif isinstance(got, int | Decimal):
        assert Decimal(got) == Decimal(text)
    else:
        assert str(got) == text or str(got).startswith(text)


def test_times_and_durations_by_a_schema(land: Land) -> None:
    """Times and durations that were asked for are read; one that does not fit is a reject, not the end."""
    schema = pa.schema([("t", pa.time32("s")), ("d", pa.duration("ms"))])
    landed = land("t,d\n01:02:03,5\n,PT1.5S\n25:00:00,1\n01:02:03,x\n", schema=schema)
    assert landed.rows == [
        {"t": dt.time(1, 2, 3), "d": dt.timedelta(milliseconds=5)},
        {"t": None, "d": dt.timedelta(seconds=1.5)},
    ]
    assert [(reject["line"], reject["column"]) for reject in landed.rejects] == [(4, "t"), (5, "d")]


def test_nested_columns_are_refused_up_front(land: Land) -> None:
    """A list asked of delimited text is refused by the name of its column."""
    with pytest.raises(SchemaError, match="column 'b' is to be list"):
        land("a,b\n1,2\n", schema=pa.schema([("b", pa.list_(pa.int64()))]))
