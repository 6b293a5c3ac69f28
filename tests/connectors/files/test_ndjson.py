"""JSON lines and arrays: what lands, what is rejected and where, what widens."""

from __future__ import annotations

import datetime as dt
import json
import math
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import hypothesis.strategies as st
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings

from dataplat.connectors.files import _blocks, ndjson
from dataplat.errors import SchemaMismatch, SourceError

Land = Callable[..., Any]


@pytest.fixture
def lines(land: Land) -> Land:
    """Return a function that lands lines of JSON texts or of values."""

    def lines(*records: Any, **options: Any) -> Any:
        texts = [record if isinstance(record, str) else json.dumps(record) for record in records]
        return land("\n".join(texts) + "\n", "in.ndjson", **options)

    return lines


def test_types(lines: Land) -> None:
    """Numbers, truth values, texts, ISO times, objects and arrays get their types; strings of digits stay strings."""
    landed = lines(
        {
            "i": 1,
            "f": 1.5,
            "b": True,
            "s": "00501",
            "n": None,
            "t": "2024-01-01T10:00:00",
            "z": "2024-01-01T10:00:00Z",
            "d": "2024-01-01",
            "o": {"x": 1, "y": ["a"]},
        }
    )
    assert landed.types == {
        "i": "int64",
        "f": "double",
        "b": "bool",
        "s": "string",
        "n": "null",
        "t": "timestamp[us]",
        "z": "timestamp[us, tz=UTC]",
        "d": "date32[day]",
        "o": "struct<x: int64, y: list<item: string>>",
    }
    assert landed.rows[0]["z"] == dt.datetime(2024, 1, 1, 10, tzinfo=dt.UTC)


def test_missing_is_null_and_new_fields_widen(lines: Land, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing field is null; a field that turns up late becomes a column, null before."""
    monkeypatch.setattr(ndjson, "SNIFF_BYTES", 32)
    landed = lines(*[{"a": 1}] * 50, {"b": "x"})
    assert landed.types == {"a": "int64", "b": "string"}
    assert landed.rows[0] == {"a": 1, "b": None}
    assert landed.rows[-1] == {"a": None, "b": "x"}


@pytest.mark.parametrize(
    ("odd", "plain", "kind", "value"),
    [
        ("1.5", "1", "double", 1.5),
        ("1.0", "1", "double", 1.0),
        ('"x"', "1", "string", "x"),
        ("1.50", '"x"', "string", "1.50"),
        ("true", '"x"', "string", "true"),
        ("true", "1", "string", "true"),
        ("9223372036854775808", "1", "decimal128(38, 0)", Decimal(9223372036854775808)),
        ("9007199254740993", "1.5", "string", "9007199254740993"),
        ("1e999", "1.5", "string", "1e999"),
        ("NaN", "1.5", "double", None),
        ('"2024-01-01T00:00:00"', '"2024-01-01"', "timestamp[us]", dt.datetime(2024, 1, 1)),  # noqa: DTZ001
        ('"2024-01-01T00:00:00Z"', '"2024-01-01T00:00:00"', "string", "2024-01-01T00:00:00Z"),
        ('"soon"', '"2024-01-01"', "string", "soon"),
        ("[1.5]", "[1]", "list<item: double>", [1.5]),
        ('{"x": "q"}', '{"x": 1}', "struct<x: string>", {"x": "q"}),
        ('{"y": 2}', '{"x": 1}', "struct<x: int64, y: int64>", {"x": None, "y": 2}),
        ("[]", "[1]", "list<item: int64>", []),
    ],
)
@pytest.mark.parametrize("late", [False, True])
def test_widening(
    lines: Land, monkeypatch: pytest.MonkeyPatch, odd: str, plain: str, kind: str, value: object, late: bool
) -> None:
    """A field that changes its type gets the narrowest one that keeps both, early or late."""
    monkeypatch.setattr(ndjson, "SNIFF_BYTES", 64)
    records = [f'{{"v": {plain}}}'] * 300
    records.insert(300 if late else 1, f'{{"v": {odd}}}')
    landed = lines(*records)
    assert landed.types["v"].replace("child 0, ", "") == kind
    assert not landed.rejects
    got = landed.table.column("v").to_pylist()[300 if late else 1]
    assert got == value or (odd == "NaN" and math.isnan(got))


@pytest.mark.parametrize(("odd", "plain"), [('{"x": 1}', "1"), ("[1]", "1"), ("1", "[1]"), ("[1]", '{"x": 1}')])
def test_object_against_scalar_is_a_reject(lines: Land, odd: str, plain: str) -> None:
    """Objects, arrays and scalars have no type together: the one that came first stays, the other is a reject."""
    landed = lines(*[f'{{"v": {plain}}}'] * 3, f'{{"v": {odd}}}')
    assert landed.table.num_rows == 3
    assert (landed.rejects[0]["line"], landed.rejects[0]["column"]) == (4, "v")


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        ("{", "no JSON"),
        ("x", "no JSON"),
        ("[1]", "an array, not an object"),
        ("5", "a number, not an object"),
        ("null", "null, not an object"),
        ('{"a": 1, "a": 2}', "'a' is there twice"),
        ('{"a": {"b": 1, "b": 2}}', "'b' is there twice"),
        ('{"a": 1} {"a": 2}', "no JSON"),
        ('{"a": 1} x', "no JSON"),
        ('{"a": 01}', "no JSON"),
        ('{"a": "\\ud800"}', "surrogate"),
        ('{"a": ' + "[" * 100_000, ""),
    ],
)
def test_bad_lines_are_rejects(lines: Land, bad: str, error: str) -> None:
    """A line that is no object of distinct keys is a reject with line, byte and raw bytes; the rest lands."""
    good = ['{"a": 1}'] * 400
    landed = lines(*good, bad, *good)
    assert landed.table.num_rows == 800
    (reject,) = landed.rejects
    assert (reject["line"], reject["row"], reject["offset"]) == (401, 401, 400 * 9)
    assert reject["raw"] == bad.encode()
    assert error in reject["error"]


def test_invalid_utf8_is_a_reject(land: Land) -> None:
    """Bytes that are no UTF-8 are kept raw."""
    landed = land(b'{"a": "x"}\n{"a": "\xff"}\n', "in.ndjson")
    assert landed.table.num_rows == 1
    assert landed.rejects[0]["raw"] == b'{"a": "\xff"}'
    assert "UTF-8" in landed.rejects[0]["error"]


def test_a_record_on_two_lines_is_rejected(lines: Land) -> None:
    """A record ends with its line."""
    landed = lines('{"a": 1}', '{"a":', "2}", '{"a": 3}')
    assert [row["a"] for row in landed.rows] == [1, 3]
    assert [reject["line"] for reject in landed.rejects] == [2, 3]


def test_blank_lines_crlf_and_no_last_newline(land: Land) -> None:
    """Blank lines are nothing, CRLF ends lines, the last line needs no end."""
    landed = land(b'\xef\xbb\xbf{"a": 1}\r\n\r\n  \n{"a": 2}', "in.jsonl")
    assert [row["a"] for row in landed.rows] == [1, 2]


def test_small_blocks_give_the_same(lines: Land, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where blocks are cut changes neither rows nor the places of rejects."""
    records = ['{"a": 1, "b": "x"}', '{"a": 2}', "bad", '{"b": null, "a": 3}'] * 30
    whole = lines(*records)
    monkeypatch.setattr(_blocks, "BLOCK_BYTES", 50)
    pieces = lines(*records)
    assert (pieces.rows, pieces.rejects) == (whole.rows, whole.rejects)


def test_an_array_of_objects(land: Land, monkeypatch: pytest.MonkeyPatch) -> None:
    """An array's elements are records; their rejects say where they began."""
    monkeypatch.setattr(_blocks, "BLOCK_BYTES", 16)
    text = ' [{"a": 1, "b": "]"},\n {"a": 2,\n "b": "é"}, 5,\n{"a": 3.5}\n]\n'
    landed = land(text, "in.json")
    assert landed.rows == [{"a": 1.0, "b": "]"}, {"a": 2.0, "b": "é"}, {"a": 3.5, "b": None}]
    (reject,) = landed.rejects
    assert (reject["line"], reject["offset"], reject["raw"]) == (3, text.encode().index(b"5,"), b"5")


def test_an_empty_array_has_no_columns(land: Land) -> None:
    """`[]` tells no column, so there is nothing to land."""
    with pytest.raises(SourceError, match="is empty"):
        land("[]", "in.json")


@pytest.mark.parametrize(
    "text", ['[{"a": 1}', '[{"a": 1},]', '[{"a": 1} {"a": 2}]', '[{"a": 1}, {"a": }]', '[{"a": 1}] x']
)
def test_a_broken_array(land: Land, text: str) -> None:
    """A broken array is an error with line and byte: nothing behind it can be found."""
    with pytest.raises(SourceError, match=r"broken at line 1"):
        land(text, "in.json")


@pytest.mark.parametrize(
    ("content", "message"), [("", "is empty"), ("\n \n", "is empty"), ("x\ny\n", "none of its first lines")]
)
def test_unusable_files(land: Land, content: str, message: str) -> None:
    """An empty file and one without any record are errors."""
    with pytest.raises(SourceError, match=message):
        land(content, "in.ndjson")


def test_a_given_schema(lines: Land) -> None:
    """Types that were asked for hold: other values are rejects, missing fields null, extra fields columns."""
    schema = pa.schema([("a", pa.int16()), ("d", pa.decimal128(6, 2)), ("t", pa.timestamp("us", "UTC"))])
    landed = lines(
        {"a": 1, "d": 1.25, "t": "2024-01-01T00:00:00Z", "x": "y"},
        {"a": 70000},
        {"a": "1"},
        {"a": 2, "d": 1.255},
        {"t": "2024-01-01T00:00:00"},
        {"a": 3},
        schema=schema,
    )
    assert landed.types == {
        "a": "int16",
        "d": "decimal128(6, 2)",
        "t": "timestamp[us, tz=UTC]",
        "x": "string",
    }
    assert [row["a"] for row in landed.rows] == [1, 3]
    assert landed.rows[0]["d"] == Decimal("1.25")
    assert [(reject["line"], reject["column"]) for reject in landed.rejects] == [(2, "a"), (3, "a"), (4, "d"), (5, "t")]


def test_extra_fields_can_be_refused(lines: Land, monkeypatch: pytest.MonkeyPatch) -> None:
    """With `extra="error"` a field outside the schema is an error, also a late one."""
    schema = pa.schema([("a", pa.int64())])
    with pytest.raises(SchemaMismatch, match="'b'"):
        lines({"a": 1, "b": 2}, schema=schema, extra="error")
    monkeypatch.setattr(ndjson, "SNIFF_BYTES", 8)
    with pytest.raises(SchemaMismatch, match="'b'"):
        lines({"a": 1}, {"a": 1, "b": 2}, schema=schema, extra="error")


def test_escapes(lines: Land) -> None:
    """Escapes in keys and values are what they stand for."""
    landed = lines('{"\\u0061\\"": "x\\n\\u00e9\\ud83d\\ude00\\/"}')
    assert landed.rows == [{'a"': "x\né😀/"}]


_scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(codec="utf-8"), max_size=6),
)
_values = st.recursive(
    _scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("xyz"), inner, max_size=2)
)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None, max_examples=200
)
@given(
    records=st.lists(st.dictionaries(st.sampled_from(["a", "b", "c"]), _values), min_size=1, max_size=8),
    size=st.sampled_from([30, 8 << 20]),
    array=st.booleans(),
)
def test_round_trip(land: Land, records: list[dict[str, Any]], size: int, array: bool) -> None:
    """What the json module writes comes back, record by record, or is among the rejects: nothing is lost."""
    if not any(records):
        return
    text = json.dumps(records) if array else "".join(json.dumps(record) + "\n" for record in records)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_blocks, "BLOCK_BYTES", size)
        landed = land(text, "in.json")
    assert landed.table.num_rows + len(landed.rejects) == len(records)
    rejected = {reject["row"] for reject in landed.rejects}
    assert all(json.loads(reject["raw"]) in records for reject in landed.rejects)
    kept = [record for i, record in enumerate(records, 1) if i not in rejected]
    for got, record in zip(landed.rows, kept, strict=True):
        for name, value in got.items():
            _same(value, record.get(name))


def _same(got: Any, value: Any) -> None:
    if value is None or value == {}:
        assert got in (None, "{}") or not any(item is not None for item in got.values())
    elif isinstance(value, dict) and isinstance(got, dict):
        for key, inner in got.items():
            _same(inner, value.get(key))
    elif isinstance(value, list):
        for one, other in zip(got, value, strict=True):
            _same(one, other)
    elif isinstance(got, str) and not isinstance(value, str):
        assert got == json.dumps(value)
    elif isinstance(got, dt.date):
        assert str(got) in str(value).replace("T", " ")
    else:
        assert got == value
