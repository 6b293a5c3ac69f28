"""Training sets: spines of any kind, labels, splits, what is saved, what is refused; history and why."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import polars as pl
import pyarrow as pa
import pytest

import dataplat as dp
from dataplat.errors import BadColumn, ConfigError, SchemaError
from dataplat.feature_store.runs import Runs

COLUMN = "airport_weather__temp"


def hour(number):
    """Return a time, hours after the start of the weather."""
    return datetime(2026, 1, 5, tzinfo=UTC) + timedelta(hours=number)


def spine(**more):
    """Return three rows, two of them equal."""
    return {"airport": ["JFK", "LGA", "JFK"], "t": [hour(2), hour(3), hour(2)], **more}


def test_rows_stay_as_they_are(desk):
    """N in, N out, in their order, equal ones too, with all their columns (PIT 5)."""
    made = desk.store.training_set(spine(note=["a", "b", "c"]), desk.service)
    assert made.table.schema.names[:3] == ["airport", "t", "note"]
    assert made.table["note"].to_pylist() == ["a", "b", "c"]
    assert made.table[COLUMN].to_pylist() == [2.0, 103.0, 2.0]


@pytest.mark.parametrize("kind", ["arrow", "polars", "pandas", "dict", "reference", "query"])
def test_a_spine_of_any_kind(desk, kind):
    """Frames, references and queries give the same."""
    table = pa.table(spine())
    desk.lake.ingest(table, into="spine")
    given = {
        "arrow": table,
        "polars": pl.DataFrame(table),
        "pandas": table.to_pandas(),
        "dict": spine(),
        "reference": "spine",
        "query": "select * from spine",
    }[kind]
    made = desk.store.training_set(given, desk.service)
    assert made.table[COLUMN].to_pylist() == [2.0, 103.0, 2.0]
    if kind in {"reference", "query"}:
        assert made.recipe.spine.pins[0][0] == "spine"


def test_pinned_and_rebuilt(desk):
    """What comes later changes nothing: the set is of the versions of then, to the last byte; a new set is another."""
    made = desk.store.training_set(spine(), desk.service)
    desk.lake.ingest(desk.weather([1.5]), into="weather")
    again, fresh = made.rebuild(), desk.store.training_set(spine(), desk.service)
    assert again.table.equals(made.table)
    assert again.id == made.id
    assert fresh.id != made.id
    assert fresh.table["airport_weather__count_3h"].to_pylist() == [4, 4, 4]


def test_a_late_row_is_unknown_until_it_comes(desk):
    """By default as it was known; as_known="now" is explicit (PIT 8)."""
    desk.lake.ingest(desk.weather(range(6), late=5), into="late")
    service = dp.FeatureService("late", [desk.view_of(source="late")])
    assert desk.store.training_set(spine(), service).table[COLUMN].null_count == 3
    assert desk.store.training_set(spine(), service, as_known="now").table[COLUMN].to_pylist() == [2.0, 103.0, 2.0]
    with pytest.raises(ConfigError, match="as_known"):
        desk.store.training_set(spine(), service, as_known="then")


def test_labels_are_joined_and_immature_ones_left_out(desk):
    """By key, in order; rows whose label could not be known yet are counted (PIT 27)."""
    desk.lake.ingest(pa.table({"id": [1, 2, 3], "late": [True, False, True]}), into="labels", key=["id"])
    made = desk.store.training_set(spine(id=[3, 1, 9]), desk.service, labels="labels")
    assert made.table["late"].to_pylist() == [True, True, None]
    far = spine(id=[1, 2, 3]) | {"t": [hour(2), hour(10**6), hour(3)]}
    made = desk.store.training_set(far, desk.service, labels="labels", label_on="id", horizon="1h")
    assert (len(made), made.report.immature) == (2, 1)
    desk.lake.ingest(pa.table({"id": [1, 1], "late": [True, False]}), into="twice")
    with pytest.raises(SchemaError, match="two labels of id=1"):
        desk.store.training_set(spine(id=[1, 2, 3]), desk.service, labels="twice", label_on="id")
    with pytest.raises(BadColumn, match="no column 'idd'"):
        desk.store.training_set(spine(id=[1, 2, 3]), desk.service, labels="labels", label_on="idd")


def test_a_group_is_on_one_side_in_every_set(desk):
    """Groups are held out by a hash of their values; by time all from then on."""
    keys = [f"A{number}" for number in range(200)]
    made = desk.store.training_set({"airport": keys * 2, "t": [hour(2)] * 400}, desk.service)
    train, held = made.split(by="airport", holdout=0.25)
    assert len(train) + len(held) == 400
    assert 60 <= len(held) <= 140
    assert not set(train.table["airport"].to_pylist()) & set(held.table["airport"].to_pylist())
    other = desk.store.training_set({"airport": keys, "t": [hour(3)] * 200}, desk.service)
    assert set(other.split(by="airport", holdout=0.25)[1].table["airport"].to_pylist()) == set(
        held.table["airport"].to_pylist()
    )
    assert len(made.split(holdout=hour(2))[1]) == 400
    with pytest.raises(ConfigError, match="share"):
        made.split(holdout=2)


def test_saved_with_its_lineage(desk):
    """A version of a dataset, which says of which versions; the same again is no new one."""
    desk.store.apply(desk.service)
    made = desk.store.training_set(spine(), "delays")
    first, second = made.save("train"), made.save("train")
    assert first.version == second.version
    lineage = desk.lake["train"].commit.changes["train"].lineage
    assert ("weather", desk.lake["weather"].id) in [(each.name, each.version) for each in lineage]


def test_statuses_are_counted(desk):
    """How many cells have which status, in the report."""
    made = desk.store.training_set({"airport": ["JFK", "XXX"], "t": [hour(2)] * 2}, desk.service, statuses=True)
    assert made.report.statuses[COLUMN] == {"present": 1, "missing_key": 1}
    assert json.dumps(made.report.to_dict())


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"airport": ["JFK"]}, "no column 't'"),
        ({"airport": ["JFK"], "t": [None]}, "no times|null in row 0"),
        ({"airport": ["JFK"], "t": [hour(1).replace(tzinfo=None)]}, "without a zone"),
        ({"airport": [7], "t": [hour(1)]}, "no key of entity airport"),
        ({"air": ["JFK"], "t": [hour(1)]}, "no column 'airport'"),
        ({"airport": ["JFK"], "t": [hour(1)], COLUMN: [1.0]}, "rename that of the spine"),
    ],
)
def test_a_spine_that_says_too_little(desk, given, said):
    """Named: the column, the row, and what to do."""
    with pytest.raises(SchemaError, match=said):
        desk.store.training_set(given, desk.service)


def test_what_is_remembered_is_never_wrong(desk, tmp_path):
    """Sorted rows that are damaged, cut or taken away are made again; a folder that cannot be written costs time only."""
    wanted = desk.store.training_set(spine(), desk.service).table
    folder = tmp_path / "runs"
    desk.store.__dict__["runs"] = Runs(folder)
    assert desk.store.training_set(spine(), desk.service).table.equals(wanted)
    [file] = folder.glob("*/*.run")
    whole = file.read_bytes()
    for broken in (whole[:-1], whole[: len(whole) // 2], b"", whole[:400] + bytes([whole[400] ^ 1]) + whole[401:]):
        file.write_bytes(broken)
        assert desk.store.training_set(spine(), desk.service).table.equals(wanted)
        assert file.read_bytes() == whole
    desk.store.__dict__["runs"] = Runs(tmp_path / "no" / "folder", size=0)
    assert desk.store.training_set(spine(), desk.service).table.equals(wanted)
    (tmp_path / "file").write_text("in the way")
    desk.store.__dict__["runs"] = Runs(tmp_path / "file")
    assert desk.store.training_set(spine(), desk.service).table.equals(wanted)


def test_history_without_a_spine(desk):
    """A row for each key and time at which something became known."""
    found = desk.store.history(desk.view_of(), hour(1), hour(3))
    assert found.num_rows == 4
    assert sorted(found[COLUMN].to_pylist()) == [1.0, 2.0, 101.0, 102.0]


def test_why_a_value_is_what_it_is(desk):
    """The rows that could be served, the newest last, each with what became of it."""
    told = desk.store.explain(desk.service, {"airport": "JFK"}, hour(2.5))
    [view] = told.views
    assert view.features["temp"][:2] == (2.0, "present")
    verdicts = [each.verdict for each in view.candidates]
    assert "the newest: served" in verdicts
    assert any("not known yet" in each for each in verdicts)
    assert "the newest: served" in repr(told)
    assert json.dumps(told.to_dict())
