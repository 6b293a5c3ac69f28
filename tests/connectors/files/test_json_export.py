"""NDJSON as our own export writes it, read by the schema that it had."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import dataplat as dp
from dataplat.connectors.files import ndjson

Land = Callable[..., Any]
D = Decimal
DAY = dt.date(2020, 1, 2)
MOMENT = dt.datetime(2020, 1, 2, 3, 4, 5)  # noqa: DTZ001 (both kinds are written)
CLOCK = dt.time(1, 2, 3)

COLUMNS: dict[str, pa.Array] = {
    "decimal": pa.array([D("1.50"), D("-0.05"), None], pa.decimal128(10, 2)),
    "wide decimal": pa.array([D(15), D("9" * 38), None], pa.decimal128(38, 0)),
    "int8": pa.array([1, -128, None], pa.int8()),
    "uint64": pa.array([2**64 - 1, 0, None], pa.uint64()),
    "float32": pa.array([0.1, 1e30, None], pa.float32()),
    "float64": pa.array([0.1, 5e-324, None], pa.float64()),
    "bool": pa.array([True, False, None]),
    "string": pa.array(['a"\n\u1234', "", None]),
    "null": pa.nulls(3),
    "date": pa.array([DAY, dt.date(1, 1, 1), None]),
    "time s": pa.array([CLOCK, dt.time(), None], pa.time32("s")),
    "time ms": pa.array([CLOCK.replace(microsecond=5000), CLOCK, None], pa.time32("ms")),
    "time us": pa.array([CLOCK.replace(microsecond=5), CLOCK, None], pa.time64("us")),
    "time ns": pa.array([86_399_999_999_999, 0, None], pa.time64("ns")),
    "duration s": pa.array([90061, 0, None], pa.duration("s")),
    "duration ms": pa.array([90061001, -5, None], pa.duration("ms")),
    "duration us": pa.array([90061001001, -1, None], pa.duration("us")),
    "duration ns": pa.array([2**62, -(2**62), None], pa.duration("ns")),
    "timestamp s": pa.array([MOMENT, MOMENT, None], pa.timestamp("s")),
    "timestamp ms": pa.array([MOMENT.replace(microsecond=6000), MOMENT, None], pa.timestamp("ms")),
    "timestamp us": pa.array([MOMENT.replace(microsecond=6), MOMENT, None], pa.timestamp("us")),
    "timestamp ns": pa.array([1, -1, None], pa.timestamp("ns")),
    "timestamp utc": pa.array([1, -1, None], pa.timestamp("ns", "UTC")),
    "timestamp zone": pa.array([MOMENT, None, None], pa.timestamp("us", "Europe/Berlin")),
    "map": pa.array([[("a", 1), ("b", None)], [], None], pa.map_(pa.string(), pa.int64())),
    "map of decimals": pa.array([[("a", D("1.5"))], [], None], pa.map_(pa.string(), pa.decimal128(5, 1))),
    "map of structs": pa.array([[("a", {"x": 1})], [], None], pa.map_(pa.string(), pa.struct([("x", pa.int8())]))),
    "list": pa.array([[1, None], [], None], pa.list_(pa.int64())),
    "fixed list": pa.array([[1, 2], [3, None], None], pa.list_(pa.int32(), 2)),
    "list of maps": pa.array([[[("a", 1)], None], [], None], pa.list_(pa.map_(pa.string(), pa.int64()))),
    "list of nanoseconds": pa.array([[1, None], [], None], pa.list_(pa.timestamp("ns"))),
    "list of times": pa.array([[CLOCK], [None], None], pa.list_(pa.time64("us"))),
    "list of durations": pa.array([[dt.timedelta(1, 2)], [], None], pa.list_(pa.duration("us"))),
    "list of decimals": pa.array([[D("1.50")], [], None], pa.list_(pa.decimal128(5, 2))),
    "struct": pa.array(
        [{"a": 1, "b": MOMENT, "c": [D("0.1")]}, {"a": None, "b": None, "c": None}, None],
        pa.struct([("a", pa.int8()), ("b", pa.timestamp("ms")), ("c", pa.list_(pa.decimal128(3, 1)))]),
    ),
}


def table() -> pa.Table:
    """Return a column of each type that the export writes."""
    return pa.table({"id": pa.array([1, 2, 3]), **COLUMNS})


@pytest.mark.parametrize("repeat", [1, 500], ids=["few", "many"])
@pytest.mark.parametrize("name", COLUMNS)
def test_what_the_export_writes_is_read(tmp_path: Path, name: str, repeat: int) -> None:
    """Each type comes back into the dataset's own schema, value for value: the same rows make no new version."""
    lake = dp.open("memory://")
    rows = pa.table({"id": pa.array(range(3 * repeat)), name: pa.concat_arrays([COLUMNS[name]] * repeat)})
    lake.ingest(rows, into="t")
    before = lake["t"].to_arrow()
    lake["t"].export(tmp_path / "out", to="ndjson")
    again = lake.ingest(tmp_path / "out" / "data.ndjson", into="t", mode="replace", schema=rows.schema)
    assert again.rows_rejected == 0
    assert (again.rows_added, again.rows_deleted) == (0, 0)
    assert lake["t"].to_arrow().equals(before)


def test_an_existing_dataset_takes_its_own_export(tmp_path: Path) -> None:
    """Appended, every type is read by the schema that the dataset has."""
    lake = dp.open("memory://")
    lake.ingest(table(), into="t")
    before = lake["t"].to_arrow()
    lake["t"].export(tmp_path / "out", to="ndjson")
    result = lake.ingest(tmp_path / "out" / "data.ndjson", into="t")
    assert (result.rows_added, result.rows_rejected) == (3, 0)
    assert lake["t"].to_arrow().equals(pa.concat_tables([before, before]))


def test_decimals_as_numbers_and_texts(land: Land) -> None:
    """A decimal may be a number or a text, in one file; one that does not fit is a reject."""
    lines = ['{"d": 1.5}', '{"d": "2.50"}', '{"d": 1e2}', '{"d": "x"}', '{"d": ""}', '{"d": "1.555"}', '{"d": true}']
    landed = land("\n".join(lines), "in.ndjson", schema=pa.schema([("d", pa.decimal128(10, 2))]))
    assert landed.rows == [{"d": D("1.50")}, {"d": D("2.50")}, {"d": D("100.00")}]
    assert [reject["line"] for reject in landed.rejects] == [4, 5, 6, 7]


def test_inferred_decimals_take_no_text(land: Land) -> None:
    """Digits in quotes beside integers beyond int64 are text: what was inferred widens."""
    landed = land(f'{{"d": {"9" * 30}}}\n{{"d": "1"}}\n', "in.ndjson")
    assert landed.types == {"d": "string"}


@pytest.mark.parametrize(
    ("kind", "bad"),
    [
        (pa.time64("us"), ["1:02:03", "25:00:00", "01:02:03.0000001", 5]),
        (pa.duration("ms"), ["PT", "P", "P1M", "PT0.0001S", "P999999999999D", 5, ""]),
        (pa.map_(pa.string(), pa.int8()), [[1], {"a": 300}, {"a": "1"}, "a"]),
        (pa.list_(pa.int8(), 2), [[1], [1, 2, 3], [1, 300]]),
    ],
    ids=str,
)
def test_misfits_are_rejects(land: Land, kind: pa.DataType, bad: list[Any]) -> None:
    """A value that does not fit one of these types is a reject, by name of its column."""
    content = "\n".join(json.dumps({"id": i, "v": value}) for i, value in enumerate([None, *bad]))
    landed = land(content, "in.ndjson", schema=pa.schema([("id", pa.int64()), ("v", kind)]))
    assert landed.rows == [{"id": 0, "v": None}]
    assert [(reject["line"], reject["column"]) for reject in landed.rejects] == [
        (i, "v") for i in range(2, len(bad) + 2)
    ]


@pytest.mark.parametrize(
    "kind", [pa.binary(), pa.list_(pa.binary()), pa.struct([("x", pa.binary())]), pa.map_(pa.int64(), pa.string())]
)
def test_what_json_cannot_hold_is_refused_up_front(land: Land, kind: pa.DataType) -> None:
    """Bytes, and maps without text keys, are refused before anything is read, as the export refuses them."""
    with pytest.raises(dp.SchemaError, match="column 'v' is to be .* but JSON has no values of type"):
        land('{"id": 1, "v": null}\n', "in.ndjson", schema=pa.schema([("id", pa.int64()), ("v", kind)]))


def test_a_late_column_of_bytes(land: Land, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a column of bytes comes late, its values are rejects; where it never comes, it is null."""
    monkeypatch.setattr(ndjson, "SNIFF_BYTES", 8)
    landed = land(
        '{"id": 1}\n{"id": 2, "v": "x"}\n', "in.ndjson", schema=pa.schema([("id", pa.int64()), ("v", pa.binary())])
    )
    assert landed.rows == [{"id": 1, "v": None}]
    assert landed.rejects[0]["error"] == "binary cannot be read from JSON"
