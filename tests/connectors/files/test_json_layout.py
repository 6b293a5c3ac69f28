"""JSON lines of one layout against the patient reading of each."""

from __future__ import annotations

import json
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import assume, example, given, settings

from dataplat.connectors.files._json_guard import is_utf8
from dataplat.connectors.files._json_layout import read_alike
from dataplat.connectors.files._json_rows import parse_rows
from dataplat.connectors.files._json_shape import decode_record, schema_of
from dataplat.connectors.files._options import Typing
from dataplat.connectors.source import SchemaWidened

SCHEMA = pa.schema(
    [
        ("i", pa.int64()),
        ("a long key", pa.float64()),
        ("s", pa.string()),
        ("b", pa.bool_()),
        ("t", pa.timestamp("us")),
        ("n", pa.null()),
        ("d", pa.decimal128(38, 0)),
    ]
)
GOOD: list[dict[str, Any]] = [
    {"i": 1, "a long key": 1.5, "s": "x", "b": True, "t": "2024-01-01T10:00:00", "n": None, "d": 10**20},
    {"i": -20, "a long key": -0.25, "s": "", "b": False, "t": "2024-01-01", "n": None, "d": -1},
    {"i": None, "a long key": 3, "s": "é: {}[],", "b": None, "t": None, "n": None, "d": 0},
    {"i": 0, "a long key": None, "s": None, "b": True, "t": "2024-01-01 10:00", "n": None, "d": None},
]


def _text(records: list[dict[str, Any]], separators: tuple[str, str], *, ascii_only: bool = False) -> bytes:
    return "".join(json.dumps(r, separators=separators, ensure_ascii=ascii_only) + "\n" for r in records).encode()


def _read(text: bytes, schema: pa.Schema = SCHEMA) -> pa.RecordBatch | None:
    return read_alike(np.frombuffer(text, dtype=np.uint8), schema)


@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": "), (", ", ":"), (",", ": ")])
@pytest.mark.parametrize("end", [True, False])
def test_layouts(separators: tuple[str, str], end: bool) -> None:
    """Compact and spaced lines are read, with or without a last newline, to the same values."""
    text = _text(GOOD, separators)
    batch = _read(text if end else text[:-1])
    assert batch is not None
    batch.validate(full=True)
    assert batch.equals(parse_rows(text.splitlines(), Typing(SCHEMA), "").batch)


def test_escapes() -> None:
    """Escaped quotes, backslashes and characters are what they stand for, next to strings without."""
    values = ['"', "\\", '\\"', "\\\\", "a\nb\tc", "é😀", "plain", "", '":', 'x\\":"y', None, "/"]
    records = [{"s": value, "k": i} for i, value in enumerate(values)]
    batch = _read(_text(records, (",", ":"), ascii_only=True), pa.schema([("k", pa.int64()), ("s", pa.string())]))
    assert batch is not None
    assert batch.to_pylist() == [{"k": i, "s": value} for i, value in enumerate(values)]


@pytest.mark.parametrize(
    "line",
    [
        '{"k":01,"s":"x"}',
        '{"k":+1,"s":"x"}',
        '{"k":0x1F,"s":"x"}',
        '{"k":-0x1,"s":"x"}',
        '{"k":-01,"s":"x"}',
        '{"k":NaN,"s":"x"}',
        '{"k":1.,"s":"x"}',
        '{"k":1.5,"s":"x"}',
        '{"k":"1","s":"x"}',
        '{"k":true,"s":"x"}',
        '{"k":nul,"s":"x"}',
        '{"k":,"s":"x"}',
        '{"k":1,"s":1}',
        '{"k":1,"s":"x"y"}',
        '{"k":1,"s":"x","k":2}',
        '{"k":1,"z":"x"}',
        '{"s":"x","k":1}',
        '{"k":1}',
        '{"k":1,"s":"x"} ',
        ' {"k":1,"s":"x"}',
        '{"k":1 ,"s":"x"}',
        '{"k":1,"s":["x"]}',
        '{"k":1,"s":"\t"}',
        '{"k":1,"s":"\\x"}',
        '{"k":1,"s":"\\ud800"}',
        '{"k":99999999999999999999,"s":"x"}',
        "",
        "null",
        "{}",
    ],
)
def test_anything_else_is_left_to_a_parser(line: str) -> None:
    """A line that is no JSON, or another layout or type, is never read as something."""
    schema = pa.schema([("k", pa.int64()), ("s", pa.string())])
    good = '{"k":1,"s":"x"}\n'
    assert _read((good * 2).encode(), schema) is not None
    assert _read(f"{good}{line}\n{good}".encode(), schema) is None
    assert _read(f"{good}{line}".encode(), schema) is None or line == ""


_BYTES = st.sampled_from([*b'{}[]",:\\nulltrefasx0123-+.eE \n\r\t', 0, 0x7F])


@settings(max_examples=500, deadline=None)
@given(
    rows=st.lists(st.sampled_from(GOOD), min_size=1, max_size=3),
    edits=st.lists(st.tuples(st.integers(0, 400), st.sampled_from(["swap", "insert", "delete"]), _BYTES), max_size=3),
    separators=st.sampled_from([(",", ":"), (", ", ": ")]),
)
@example(rows=GOOD[:1], edits=[], separators=(",", ":"))
def test_never_another_answer(
    rows: list[dict[str, Any]], edits: list[tuple[int, str, int]], separators: tuple[str, str]
) -> None:
    """Whatever bytes are changed: where the shortcut answers, the patient reading gives the same and rejects nothing."""
    text = bytearray(_text(rows, separators))
    for at, how, byte in edits:
        at %= len(text) + 1
        text[at : at + (how != "insert")] = b"" if how == "delete" else bytes([byte])
    assume(is_utf8(np.frombuffer(text, dtype=np.uint8)))
    batch = _read(bytes(text))
    if batch is None:
        assert edits
        return
    assume(b".e" not in text.lower())
    batch.validate(full=True)
    lines = bytes(text).removesuffix(b"\n").split(b"\n")
    try:
        expected = parse_rows(lines, Typing(SCHEMA, frozenset(SCHEMA.names)), "")
    except SchemaWidened:  # pragma: no cover
        pytest.fail("the patient reading would widen")
    assert not expected.wrong
    assert batch.equals(expected.batch)


@settings(deadline=None)
@given(st.lists(st.fixed_dictionaries({"k": st.integers(), "s": st.text(max_size=5), "f": st.floats()}), min_size=1))
def test_random_records(records: list[dict[str, Any]]) -> None:
    """Random records come back, or are left to a parser."""
    text = _text(records, (",", ":"), ascii_only=True)
    schema = schema_of(decode_record(line) for line in text.splitlines())
    batch = _read(text, schema)
    assume(batch is not None)
    assert batch is not None
    assert batch.equals(parse_rows(text.splitlines(), Typing(schema), "").batch)
