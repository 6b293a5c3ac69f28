"""Avro containers, by Polars and by fastavro."""

from __future__ import annotations

import datetime as dt
import decimal
import io
from collections.abc import Callable
from typing import Any

import fastavro
import pytest

from dataplat.errors import SchemaError, SourceError

Land = Callable[..., Any]

_TIMESTAMP = {"type": "long", "logicalType": "timestamp-micros"}
_FIELDS: dict[str, tuple[Any, Any, str]] = {
    "i": ("int", 1, "int32"),
    "l": (["null", "long"], None, "int64"),
    "s": ("string", "x", "string"),
    "b": ("boolean", True, "bool"),
    "f": ("float", 1.5, "float"),
    "y": ("bytes", b"\x00", "binary"),
    "t": (_TIMESTAMP, dt.datetime(2024, 1, 1, tzinfo=dt.UTC), "timestamp[us, tz=UTC]"),
    "d": ({"type": "int", "logicalType": "date"}, dt.date(2024, 1, 1), "date32[day]"),
    "m": (
        {"type": "bytes", "logicalType": "decimal", "precision": 10, "scale": 2},
        decimal.Decimal("1.25"),
        "decimal128(10, 2)",
    ),
    "e": ({"type": "enum", "name": "E", "symbols": ["A", "B"]}, "A", "string"),
    "a": ({"type": "array", "items": "long"}, [1, 2], "list<item: int64>"),
    "r": ({"type": "record", "name": "R", "fields": [{"name": "x", "type": "int"}]}, {"x": 1}, "struct<x: int32>"),
    "x": ({"type": "fixed", "name": "F", "size": 2}, b"ab", "binary"),
}
_MAP = {"p": ({"type": "map", "values": "long"}, {"k": 1}, "map<string, int64>")}


def _avro(fields: dict[str, tuple[Any, Any, str]], rows: int, codec: str = "null") -> bytes:
    schema = {
        "type": "record",
        "name": "row",
        "fields": [{"name": name, "type": kind} for name, (kind, _, _) in fields.items()],
    }
    out = io.BytesIO()
    record = {name: value for name, (_, value, _) in fields.items()}
    fastavro.writer(out, schema, [record] * rows, codec=codec, sync_interval=500)
    return out.getvalue()


@pytest.mark.parametrize("fields", [_FIELDS, _FIELDS | _MAP], ids=["polars", "fastavro"])
def test_types_and_values(land: Land, fields: dict[str, tuple[Any, Any, str]]) -> None:
    """Every type arrives as itself, whichever decoder is used."""
    landed = land(_avro(fields, 100), "in.avro")
    assert landed.types == {name: kind for name, (_, _, kind) in fields.items()}
    assert landed.table.num_rows == 100
    expected = {name: value for name, (_, value, _) in fields.items()}
    assert landed.rows[-1] == expected | ({"p": [("k", 1)]} if "p" in fields else {})


@pytest.mark.parametrize("codec", ["null", "deflate", "bzip2", "xz"])
def test_codecs(land: Land, codec: str) -> None:
    """Codecs of the format are decoded."""
    assert land(_avro(_FIELDS, 50, codec), "in.avro").table.num_rows == 50


def test_no_rows(land: Land) -> None:
    """No rows land as none with their schema."""
    assert land(_avro(_FIELDS, 0), "in.avro").types["i"] == "int32"


@pytest.mark.parametrize("cut", [6, 0.5, 0.99])
def test_truncated(land: Land, cut: float) -> None:
    """A file that breaks off is an error that says behind which row."""
    data = _avro(_FIELDS, 500)
    with pytest.raises(SourceError, match="truncated or damaged"):
        land(data[: int(cut if cut > 1 else cut * len(data))], "in.avro")


def test_no_avro(land: Land) -> None:
    """Other bytes are no Avro."""
    with pytest.raises(SourceError, match="is no Avro file"):
        land(b"nope", "in.avro")


def test_unions_of_several_types(land: Land) -> None:
    """A union of several types is no column."""
    with pytest.raises(SchemaError, match="union of several types"):
        land(_avro({"u": (["long", "string"], 1, "")}, 1), "in.avro")
