"""Iceberg tables go out in place and come in: read back by pyiceberg and Polars, landed snapshot by snapshot."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest
from pyiceberg.table import StaticTable

import dataplat as dp
from dataplat.versioning.export import _iceberg


@pytest.fixture(autouse=True)
def _planned_by_pyiceberg(monkeypatch: pytest.MonkeyPatch) -> None:
    """Polars has a faster planner of its own, in another package, and warns where that is not there."""
    monkeypatch.setenv("POLARS_ICEBERG_PLANNER", "pyiceberg")


def _table(folder: Path) -> StaticTable:
    return StaticTable.from_metadata(str(folder))


def _equal(folder: Path, version: dp.Version, by: str = "id") -> None:
    """Hold the table, read by pyiceberg and by Polars, to the version's rows."""
    wanted = pl.DataFrame(version.to_arrow()).sort(by)
    for found in (pl.DataFrame(_table(folder).scan().to_arrow()), pl.scan_iceberg(_table(folder)).collect()):
        assert found.columns == wanted.columns
        assert found.sort(by).cast(wanted.schema).equals(wanted)


def _files(folder: Path) -> set[str]:
    return {task.file.file_path for task in _table(folder).scan().plan_files()}


def _in_lake(lake: dp.Lake, name: str) -> set[str]:
    return {str(lake.objects.local_path(part.id, ".parquet")) for part in lake[name].parts if not part.deleted}


def test_parts_are_referred_to_where_they_lie(lake: dp.Lake, numbers, tmp_path: Path) -> None:
    """Parts without deletes are not copied; what an upsert touched is, without the rows that went."""
    out = tmp_path / "out"
    lake.ingest(numbers(0, 1000), "t", key="id")
    lake.ingest(numbers(1000, 1100), "t")
    made = lake["t"].export(out, to="iceberg")
    assert _files(out) == _in_lake(lake, "t")
    assert made.notes[1].startswith("2 of 2 files lie in the lake; the tag exported/iceberg-")
    assert not list(out.rglob("*.parquet"))
    _equal(out, lake["t"])
    lake.ingest(numbers(995, 1000, "new"), "t", mode="upsert")
    before = _files(out)
    assert "2 files added, 1 removed" in lake["t"].export(out, to="iceberg").notes[0]
    assert len(_files(out) & before) == 1
    assert _files(out) > _in_lake(lake, "t")
    assert len(list(out.rglob("*.parquet"))) == 1
    _equal(out, lake["t"])
    assert "holds exactly this already" in lake["t"].export(out, to="iceberg").notes[0]
    assert len(_table(out).snapshots()) == 2
    old = _table(out).scan(snapshot_id=_table(out).snapshots()[0].snapshot_id).to_arrow()
    assert sorted(old["id"].to_pylist()) == list(range(1100))


def test_a_tag_keeps_the_parts(lake: dp.Lake, numbers, tmp_path: Path) -> None:
    """The commit is tagged before anything refers to its parts, once a version; copies alone need no tag."""
    lake.ingest(numbers(0, 10), "t", key="id")
    lake["t"].export(tmp_path / "one", to="iceberg")
    lake["t"].export(tmp_path / "two", to="iceberg")
    assert [tag.name for tag in lake.tags()] == [f"exported/iceberg-{lake['t'].id[:12]}"]
    assert lake[f"t@exported/iceberg-{lake['t'].id[:12]}"].id == lake["t"].id
    lake.delete("t", "id = 3")
    lake["t"].export(tmp_path / "three", to="iceberg")
    assert len(lake.tags()) == 1
    _equal(tmp_path / "three", lake["t"])


def test_columns_follow_the_version(lake: dp.Lake, numbers, tmp_path: Path) -> None:
    """After columns were added, dropped, retyped and renamed the table has those of the version, in its order."""
    out = tmp_path / "out"
    lake.ingest(numbers(0, 10).append_column("extra", pa.array(range(10), pa.int32())), "t", key="id")
    lake["t"].export(out, to="iceberg")
    other = pa.table({"extra": ["x"], "more": [[1, 2]], "id": pa.array([1], pa.int64()), "deep": [{"a": 1}]})
    lake.ingest(other, "t", mode="replace")
    lake["t"].export(out, to="iceberg")
    _equal(out, lake["t"])
    assert "holds exactly this already" in lake["t"].export(out, to="iceberg").notes[0]


def test_older_snapshots_stay_right_or_go(lake: dp.Lake, numbers, tmp_path: Path) -> None:
    """They are read as they were after columns changed; where a name means another column now, they are gone."""
    out = tmp_path / "out"
    rows = (
        numbers(0, 10)
        .append_column("small", pa.array(range(10), pa.int32()))
        .append_column("gone", pa.array(range(10)))
    )
    lake.ingest(rows, "t", key="id")
    lake["t"].export(out, to="iceberg")
    lake.evolve("t", rename={"name": "label"}, drop=["gone"], widen={"small": "int64"})
    lake["t"].export(out, to="iceberg")
    _equal(out, lake["t"])
    old = _table(out).scan(snapshot_id=_table(out).snapshots()[0].snapshot_id).to_arrow()
    assert old.sort_by("id").to_pylist() == rows.to_pylist()
    lake.ingest(numbers(0, 10).append_column("gone", pa.array(["x"] * 10)), "t", mode="replace")
    assert "those before are gone" in lake["t"].export(out, to="iceberg").notes[0]
    _equal(out, lake["t"])
    assert len(_table(out).snapshots()) == 1


TIME = dt.datetime(2024, 5, 6, 7, 8, 9, 123_000, dt.UTC)
TYPES = pa.table(
    {
        "id": pa.array([1, 2, 3], pa.int64()),
        "small": pa.array([-1, None, 127], pa.int8()),
        "wide": pa.array([0, 2**32 - 1, 5], pa.uint32()),
        "real": pa.array([1.5, float("nan"), None], pa.float32()),
        "flag": [True, None, False],
        "text": ["", None, "é\n"],
        "fixed": pa.array([b"ab", None, b"cd"], pa.binary(2)),
        "day": [dt.date(1969, 1, 1), None, dt.date(2030, 1, 1)],
        "hour": pa.array([dt.time(1, 2, 3), None, dt.time(0)], pa.time32("ms")),
        "milli": pa.array([TIME, None, TIME], pa.timestamp("ms")),
        "nano": pa.array([TIME, None, TIME], pa.timestamp("ns", "UTC")),
        "money": pa.array([Decimal("1.50"), None, Decimal("-2.25")], pa.decimal128(12, 2)),
        "list": pa.array([[1, None], [], None], pa.list_(pa.int16())),
        "vector": pa.array([[1, 2], None, [3, 4]], pa.list_(pa.float32(), 2)),
        "struct": pa.array([{"a": 1, "b": "x"}, None, {"a": None, "b": None}]),
        "map": pa.array([[("a", 1)], None, []], pa.map_(pa.string(), pa.int64())),
    }
)


@pytest.mark.parametrize("in_place", [True, False])
def test_every_type_that_iceberg_has_comes_back(lake: dp.Lake, tmp_path: Path, in_place: bool) -> None:
    """Values are equal, whether a part is referred to or copied."""
    rows = TYPES.drop_columns(["wide", "hour", "milli", "nano", "vector"]) if in_place else TYPES
    lake.ingest(rows, "t", key="id")
    for _ in range(2):
        lake["t"].export(tmp_path / "out", to="iceberg")
        found = _table(tmp_path / "out").scan().to_arrow().sort_by("id")
        wanted = lake["t"].to_arrow().sort_by("id")
        for name in wanted.schema.names:
            ours = wanted.column(name)
            ours = ours.cast(pa.timestamp("us", ours.type.tz)) if pa.types.is_timestamp(ours.type) else ours
            assert str(found.column(name).to_pylist()) == str(ours.to_pylist()), name
        if in_place:
            break
        lake.delete("t", "id = 3")
    assert bool(_files(tmp_path / "out") & _in_lake(lake, "t")) is in_place


def test_what_is_refused(lake: dp.Lake, numbers, tmp_path: Path) -> None:
    """A type that Iceberg has not, folders around the lake, what is no table, and another dataset's table."""
    lake.ingest(pa.table({"a": pa.array([1], pa.duration("us"))}), "bad")
    with pytest.raises(dp.SchemaError, match="Iceberg has no type for column 'a'"):
        lake["bad"].export(tmp_path / "out", to="iceberg")
    lake.ingest(numbers(0, 10), "t")
    lake.ingest(numbers(0, 10), "u")
    with pytest.raises(dp.ConfigError, match="the lake's own folder"):
        lake["t"].export(tmp_path / "lake" / "t", to="iceberg")
    lake["u"].export(tmp_path / "u", to="iceberg")
    with pytest.raises(dp.AlreadyExists, match="was not exported from dataset 't'"):
        lake["t"].export(tmp_path / "u", to="iceberg")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    with pytest.raises(dp.AlreadyExists, match="no Iceberg table"):
        lake["t"].export(tmp_path / "full", to="iceberg")


def test_a_stop_leaves_nothing_or_the_snapshot_before(
    lake: dp.Lake, numbers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A first export that stops is not there; a later one leaves the table as it was, and the next goes on."""
    out = tmp_path / "out"
    lake.ingest(numbers(0, 10), "t", key="id")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(_iceberg, "_snapshot", full)
        with pytest.raises(dp.StoreError):
            lake["t"].export(out, to="iceberg")
    assert [path.name for path in tmp_path.iterdir()] == ["lake"]
    lake["t"].export(out, to="iceberg")
    before = lake["t"]
    lake.ingest(numbers(5, 15), "t", mode="upsert")
    with monkeypatch.context() as patch:
        patch.setattr(_iceberg, "_snapshot", full)
        with pytest.raises(dp.StoreError):
            lake["t"].export(out, to="iceberg")
    _equal(out, before)
    lake["t"].export(out, to="iceberg")
    _equal(out, lake["t"])


def test_of_two_at_once_the_slower_one_is_told(
    lake: dp.Lake, numbers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two exports into one table cannot both be its next snapshot: the second to come leaves it alone."""
    out = tmp_path / "out"
    lake.ingest(numbers(0, 10), "t", key="id")
    lake["t"].export(out, to="iceberg")
    lake.ingest(numbers(10, 20), "t")
    snapshot = _iceberg._snapshot
    version = lake["t"]

    def late(*args: object) -> None:
        monkeypatch.undo()
        lake.ingest(numbers(20, 30), "t")
        lake["t"].export(out, to="iceberg")
        snapshot(*args)

    monkeypatch.setattr(_iceberg, "_snapshot", late)
    with pytest.raises(dp.CommitConflict, match="somebody else"):
        version.export(out, to="iceberg")
    monkeypatch.setenv("POLARS_ICEBERG_PLANNER", "pyiceberg")
    _equal(out, lake["t"])


def test_an_empty_version_and_a_part_that_is_there_twice(lake: dp.Lake, numbers, tmp_path: Path) -> None:
    """No rows make a table without rows; the same part twice makes its rows twice."""
    lake.ingest(numbers(0, 10), "t")
    lake.ingest(numbers(0, 10), "t")
    lake["t"].export(tmp_path / "out", to="iceberg")
    assert _table(tmp_path / "out").scan().to_arrow().num_rows == 20
    lake.delete("t", "id >= 0")
    lake["t"].export(tmp_path / "out", to="iceberg")
    assert _table(tmp_path / "out").scan().to_arrow().num_rows == 0
    lake["t"].export(tmp_path / "new", to="iceberg")
    assert _table(tmp_path / "new").scan().to_arrow().schema.names == ["id", "name"]


# ------------------------------------------------------------------------------------------------------- landing


@pytest.fixture
def table(numbers, tmp_path: Path) -> Path:
    """Return an Iceberg table of two snapshots that pyiceberg wrote itself."""
    from pyiceberg.catalog.memory import InMemoryCatalog

    catalog = InMemoryCatalog("test", warehouse=str(tmp_path / "warehouse"))
    catalog.create_namespace("n")
    made = catalog.create_table("n.t", numbers(0, 1).schema)
    made.append(numbers(0, 10))
    made.append(numbers(10, 15))
    return Path(made.location().removeprefix("file://"))


def test_snapshots_land(table: Path, in_order, lake: dp.Lake) -> None:
    """The newest one, again a no-op; one by its id; and the whole history, each a version."""
    lake.ingest(f"iceberg://{table}", "t", key="id")
    assert [row["id"] for row in in_order(lake["t"])] == list(range(15))
    assert lake.ingest(f"iceberg://{table}", "t").nothing_to_do
    lake.ingest(f"iceberg://{table}", "u", history=True)
    assert [entry.rows for entry in lake.log("u")] == [15, 10]
    made = lake["u@main~1"].commit.changes["u"].lineage[0]
    assert made.kind == "iceberg"
    assert lake.log("u")[-1].message.endswith(f"snapshot {made.version} (append)")
    lake.ingest(f"iceberg://{table}@{made.version}", "v")
    assert lake["v"].rows == 10
    newest = max((table / "metadata").glob("*.metadata.json"))
    lake.ingest(f"iceberg://{newest}", "w")
    assert lake["w"].rows == 15


def test_tables_that_are_not_there(table: Path, lake: dp.Lake, tmp_path: Path) -> None:
    """A missing table or snapshot, and a file that is gone, are said as what they are."""
    with pytest.raises(dp.SourceNotFound, match="no Iceberg table"):
        lake.ingest(f"iceberg://{tmp_path}/none", "t")
    with pytest.raises(dp.SourceNotFound, match="has no snapshot 7"):
        lake.ingest(f"iceberg://{table}@7", "t")
    for path in table.rglob("*.parquet"):
        path.unlink()
    with pytest.raises(dp.SourceError, match="gone or damaged"):
        lake.ingest(f"iceberg://{table}", "t")


def test_an_export_lands_again(lake: dp.Lake, numbers, tmp_path: Path) -> None:
    """What was exported is known as a table by its folder, and comes back with the same content id."""
    lake.ingest(numbers(0, 100), "t", key="id")
    lake.delete("t", "id = 7")
    lake["t"].export(tmp_path / "out", to="iceberg")
    lake.ingest(tmp_path / "out", "back", key="id")
    assert lake["back"].content_id == lake["t"].content_id
    assert json.loads((tmp_path / "out" / "metadata" / "v1.metadata.json").read_text())["location"] == str(
        tmp_path / "out"
    )
