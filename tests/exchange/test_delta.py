"""Delta tables go out and come in: read back by delta-rs and Polars, and landed version by version."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

import dataplat as dp
from dataplat.versioning.export import _delta


def _equal(folder: Path, version: dp.Version, by: str = "id") -> None:
    """Hold the table, read by delta-rs and by Polars, to the version's rows."""
    wanted = pl.DataFrame(version.to_arrow()).sort(by)
    for found in (pl.DataFrame(DeltaTable(str(folder)).to_pyarrow_table()), pl.scan_delta(str(folder)).collect()):
        assert found.columns == wanted.columns
        assert found.sort(by).cast(wanted.schema).equals(wanted)


def _actions(folder: Path, version: int, kind: str) -> list[str]:
    lines = (folder / "_delta_log" / f"{version:020d}.json").read_text().splitlines()
    return sorted(json.loads(line)[kind]["path"] for line in lines if kind in json.loads(line))


def test_a_second_export_adds_what_differs(lake: dp.Lake, numbers, tmp_path: Path) -> None:
    """Rows are equal after an append, an upsert and another schema; files that stay are neither written nor named."""
    out = tmp_path / "out"
    lake.ingest(numbers(0, 1000), "t", key="id")
    assert lake["t"].export(out, to="delta").notes == ("version 0 of the table",)
    _equal(out, lake["t"])
    lake.ingest(numbers(1000, 1100), "t")
    lake["t"].export(out, to="delta")
    _equal(out, lake["t"])
    assert (len(_actions(out, 1, "add")), _actions(out, 1, "remove")) == (1, [])
    lake.ingest(numbers(995, 1010, "new"), "t", mode="upsert")
    lake.delete("t", "id < 10")
    lake["t"].export(out, to="delta")
    _equal(out, lake["t"])
    assert (len(_actions(out, 2, "add")), len(_actions(out, 2, "remove"))) == (3, 2)
    assert lake["t"].export(out, to="delta").notes == ("version 2 of the table holds exactly this already",)
    lake.ingest(pa.table({"id": [5], "name": [True], "more": [1.5]}), "t", mode="replace")
    lake["t"].export(out, to="delta")
    _equal(out, lake["t"])
    assert DeltaTable(str(out), version=0).to_pyarrow_table().num_rows == 1000


def test_paths_are_relative_and_files_may_be_links(lake: dp.Lake, numbers, tmp_path: Path) -> None:
    """The table can be moved; with `link="hardlink"` a part takes no space again, and a vacuum leaves the lake whole."""
    lake.ingest(numbers(0, 10), "t", key="id")
    lake["t"].export(tmp_path / "out", to="delta", link="hardlink")
    (name,) = _actions(tmp_path / "out", 0, "add")
    part = lake.objects.local_path(lake["t"].parts[0].id, ".parquet")
    assert part is not None
    assert part.samefile(tmp_path / "out" / name)
    (tmp_path / "out").rename(tmp_path / "moved")
    _equal(tmp_path / "moved", lake["t"])
    lake.ingest(numbers(0, 3), "t", mode="replace")
    lake["t"].export(tmp_path / "moved", to="delta")
    table = DeltaTable(str(tmp_path / "moved"))
    assert table.vacuum(0, dry_run=False, enforce_retention_duration=False) == [name]
    assert lake.verify().ok
    _equal(tmp_path / "moved", lake["t"])


TIME = dt.datetime(2024, 5, 6, 7, 8, 9, 123_000, dt.UTC)
TYPES = pa.table(
    {
        "id": pa.array([1, 2, 3], pa.int64()),
        "small": pa.array([-1, None, 127], pa.int8()),
        "unsigned": pa.array([0, 255, None], pa.uint8()),
        "wide": pa.array([0, 2**32 - 1, 5], pa.uint32()),
        "real": pa.array([1.5, float("nan"), None], pa.float64()),
        "flag": [True, None, False],
        "text": ["", None, "é\n"],
        "bytes": pa.array([b"", None, b"\0x"], pa.binary()),
        "fixed": pa.array([b"ab", None, b"cd"], pa.binary(2)),
        "day": [dt.date(1969, 1, 1), None, dt.date(2030, 1, 1)],
        "milli": pa.array([TIME, None, TIME], pa.timestamp("ms")),
        "nano": pa.array([TIME, None, TIME], pa.timestamp("ns")),
        "zoned": pa.array([TIME, None, TIME], pa.timestamp("us", "Europe/Paris")),
        "money": pa.array([Decimal("1.50"), None, Decimal("-2.25")], pa.decimal128(12, 2)),
        "list": pa.array([[1, None], [], None], pa.list_(pa.int16())),
        "vector": pa.array([[1, 2], None, [3, 4]], pa.list_(pa.float32(), 2)),
        "struct": pa.array([{"a": 1, "b": "x"}, None, {"a": None, "b": None}]),
    }
)


def test_every_type_that_delta_has_comes_back(lake: dp.Lake, tmp_path: Path) -> None:
    """Values are equal, in the same type or the next wider one that Delta has; so they are after an upsert."""
    lake.ingest(TYPES, "t", key="id")
    for _ in range(2):
        lake["t"].export(tmp_path / "out", to="delta")
        found = DeltaTable(str(tmp_path / "out")).to_pyarrow_table().sort_by("id")
        wanted = lake["t"].to_arrow().sort_by("id")
        for name in wanted.schema.names:
            ours, theirs = wanted.column(name), found.column(name)
            if pa.types.is_timestamp(ours.type):
                theirs, ours = theirs.cast(pa.timestamp("us")), ours.cast(pa.timestamp("us"))
            assert str(theirs.to_pylist()) == str(ours.to_pylist()), name
        lake.ingest(TYPES.slice(1, 1), "t", mode="upsert")
        lake.delete("t", "id = 3")


def test_types_that_delta_has_not(lake: dp.Lake, tmp_path: Path) -> None:
    """A type without an equal is refused before anything is written, and so is a value that would lose digits."""
    columns = {
        "time": pa.array([1], pa.time64("us")),
        "big": pa.array([1], pa.uint64()),
        "duration": pa.array([1], pa.duration("us")),
        "decimal": pa.array([Decimal(1)], pa.decimal256(50, 1)),
    }
    for name, column in columns.items():
        lake.ingest(pa.table({"deep": pa.StructArray.from_arrays([column], [name])}), name)
        with pytest.raises(dp.SchemaError, match=f"Delta has no type for column 'deep.{name}'"):
            lake[name].export(tmp_path / "out", to="delta")
    lake.ingest(pa.table({"t": pa.array([1_001], pa.timestamp("ns"))}), "nano")
    with pytest.raises(dp.SchemaError, match="does not fit"):
        lake["nano"].export(tmp_path / "out", to="delta")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lake"]


def test_what_is_refused(lake: dp.Lake, numbers, tmp_path: Path) -> None:
    """The lake's folder, one inside and one around it, another's table, another dataset's, and what is no table."""
    lake.ingest(numbers(0, 10), "t")
    lake.ingest(numbers(0, 10), "u")
    for folder in (tmp_path / "lake", tmp_path / "lake" / "x", tmp_path):
        with pytest.raises(dp.ConfigError, match="the lake's own folder, or inside or around it"):
            lake["t"].export(folder, to="delta")
    write_deltalake(str(tmp_path / "other"), numbers(0, 5))
    lake["u"].export(tmp_path / "u", to="delta")
    for name in ("other", "u"):
        with pytest.raises(dp.AlreadyExists, match="was not exported from dataset 't'"):
            lake["t"].export(tmp_path / name, to="delta")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    with pytest.raises(dp.AlreadyExists, match="no Delta table"):
        lake["t"].export(tmp_path / "full", to="delta")


def test_a_stop_leaves_nothing_or_the_version_before(
    lake: dp.Lake, numbers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A first export that stops is not there; a later one leaves the table as it was, and the next goes on."""
    lake.ingest(numbers(0, 10), "t", key="id")
    place = _delta.place_piece

    def full(*args: object, **options: object) -> Path:
        place(*args, **options)
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(_delta, "place_piece", full)
        with pytest.raises(dp.StoreError):
            lake["t"].export(tmp_path / "out", to="delta")
    assert [path.name for path in tmp_path.iterdir()] == ["lake"]
    lake["t"].export(tmp_path / "out", to="delta")
    before = lake["t"]
    lake.ingest(numbers(5, 15), "t", mode="upsert")
    with monkeypatch.context() as patch:
        patch.setattr(_delta, "place_piece", full)
        with pytest.raises(dp.StoreError):
            lake["t"].export(tmp_path / "out", to="delta")
    _equal(tmp_path / "out", before)
    lake["t"].export(tmp_path / "out", to="delta")
    _equal(tmp_path / "out", lake["t"])


def test_columns_that_were_renamed_and_dropped_are_projected(lake: dp.Lake, numbers, tmp_path: Path) -> None:
    """Parts that hold columns under other names, or one that is gone, go out as the version shows them."""
    from dataplat.lake.schema import schema_to_json

    lake.ingest(numbers(0, 10).append_column("extra", pa.array(range(10))), "t", key="id")
    lake.evolve("t", rename={"name": "label", "extra": "name"})
    assert schema_to_json(lake["t"].schema)[1]["name"] == "label"
    lake["t"].export(tmp_path / "out", to="delta")
    _equal(tmp_path / "out", lake["t"])


# ------------------------------------------------------------------------------------------------------- landing


@pytest.fixture
def table(numbers, tmp_path: Path) -> Path:
    """Return a Delta table of three versions."""
    folder = tmp_path / "table"
    write_deltalake(str(folder), numbers(0, 10))
    write_deltalake(str(folder), numbers(10, 20), mode="append")
    DeltaTable(str(folder)).delete("id < 5")
    return folder


def test_the_newest_version_lands(table: Path, in_order, lake: dp.Lake) -> None:
    """By its name or as a folder; again it is a no-op, and after another commit the dataset becomes what it is then."""
    lake.ingest(f"delta://{table}", "t", key="id")
    assert [row["id"] for row in in_order(lake["t"])] == list(range(5, 20))
    assert lake.ingest(str(table), "t").nothing_to_do
    assert len(lake.log("t")) == 1
    DeltaTable(str(table)).delete("id >= 15")
    result = lake.ingest(table, "t")
    assert (result.rows_added, result.rows_deleted) == (0, 5)
    assert [row["id"] for row in in_order(lake["t"])] == list(range(5, 15))


def test_a_history_lands_version_by_version(table: Path, lake: dp.Lake) -> None:
    """With `history`, or a range, each version of the table is one of the dataset; a second ingest goes on."""
    lake.ingest(f"delta://{table}@1", "t", key="id")
    assert (lake["t"].rows, lake["t"].commit.changes["t"].lineage[0].version) == (20, "1")
    lake.ingest(f"delta://{table}", "t", history=True)
    assert [entry.rows for entry in lake.log("t")] == [15, 20]
    lake.ingest(f"delta://{table}@v0..v2", "u")
    assert [entry.rows for entry in lake.log("u")] == [15, 20, 10]
    assert "version 2 (delete)" in lake.log("u")[0].message
    assert lake.ingest(f"delta://{table}", "u", history=True).nothing_to_do


def test_a_plan_names_the_states(table: Path, lake: dp.Lake) -> None:
    """A plan of a history says which states would land, and touches nothing."""
    plan = lake.plan_ingest(f"delta://{table}", "t", history=True)
    assert [split.label.rpartition("@")[2] for split in plan.splits] == ["0", "1", "2"]
    assert list(lake) == []


def test_tables_that_are_not_there(table: Path, lake: dp.Lake, tmp_path: Path) -> None:
    """A missing table, version or file of a version is said as what it is."""
    with pytest.raises(dp.SourceNotFound, match="no Delta table"):
        lake.ingest(f"delta://{tmp_path}/none", "t")
    with pytest.raises(dp.SourceNotFound, match="no version 7 of"):
        lake.ingest(f"delta://{table}@7", "t")
    with pytest.raises(dp.SourceNotFound, match="versions up to 2"):
        lake.ingest(f"delta://{table}@1..7", "t")
    with pytest.raises(dp.ConfigError, match="only tables have a history"):
        lake.ingest(pa.table({"a": [1]}), "t", history=True)
    for path in table.glob("*.parquet"):
        path.unlink()
    with pytest.raises(dp.SourceError, match="gone or damaged"):
        lake.ingest(f"delta://{table}", "t")


def test_an_export_lands_again(lake: dp.Lake, numbers, tmp_path: Path) -> None:
    """What was exported comes back with the same content id."""
    lake.ingest(numbers(0, 100), "t", key="id")
    lake.delete("t", "id = 7")
    lake["t"].export(tmp_path / "out", to="delta")
    lake.ingest(tmp_path / "out", "back", key="id")
    assert lake["back"].content_id == lake["t"].content_id
