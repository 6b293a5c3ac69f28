"""Rows that were pushed before their dataset's columns changed: they land as they can, keep no other from it, and none is lost."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

import dataplat as dp
from dataplat._features import FeatureStore
from dataplat.errors import SchemaError

BEGIN = datetime.now(UTC) - timedelta(minutes=30)


def view_of(*features, known_at=None, name="weather"):
    """Return a view of weather."""
    return dp.FeatureView(
        name,
        source="weather",
        entity=dp.Entity("airport"),
        timestamp="seen",
        known_at=known_at,
        ttl=None,
        features=features or ["temp"],
    )


@pytest.fixture
def store(tmp_path, monkeypatch):
    """Weather, materialised."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    lake = dp.open(f"memory://{uuid.uuid4().hex}")
    first = {
        "airport": ["JFK"],
        "seen": [BEGIN],
        "came": [BEGIN],
        "temp": [1.0],
        "wind": pa.array([3], pa.int32()),
        "sky": ["clear"],
    }
    lake.ingest(pa.table(first), into="weather")
    store = FeatureStore(lake)
    service = dp.FeatureService("model", [view_of("temp", dp.Count(window="7d", name="n"))])
    store.apply(service)
    store.materialize("model")
    yield store
    store.online.close()


def push(store, idempotency=None, **values):
    """Push a row of just now."""
    row = {"airport": "JFK", "seen": datetime.now(UTC), "temp": 2.0} | values
    return store.push("weather", {name: [value] for name, value in row.items()}, idempotency=idempotency)


def landed(store, name):
    """Return a column of the rows that landed, in order."""
    return store.lake["weather"].to_arrow()[name].to_pylist()[1:]


def served(store):
    """Return what is served."""
    found = store.lookup("model", {"airport": ["JFK"]}).to_dict()
    return found["weather__temp"][0], found["weather__n"][0]


def refused(store):
    """Return the rows that were set aside, and why."""
    aside = store.lake["features.refused"].to_arrow().to_pylist()
    return [json.loads(row["row"]) | {"why": row["why"]} for row in aside]


def test_a_column_that_is_new(store):
    """Rows from before have null in it; those from after, in the same flush, have what they were pushed with."""
    push(store, temp=2.0)
    store.lake.evolve("weather", add={"gust": "float64"})
    push(store, temp=3.0, gust=9.5)
    push(store, temp=4.0)
    assert store.flush("weather") == 3
    assert landed(store, "gust") == [None, 9.5, None]
    assert landed(store, "temp") == [2.0, 3.0, 4.0]
    store.materialize("model")
    assert served(store) == (4.0, 4)


def test_a_column_that_is_gone(store, caplog):
    """A row that has a value in it is set aside, whole, and said; one that has none lands."""
    push(store, temp=2.0, sky="rain")
    push(store, temp=3.0)
    store.lake.evolve("weather", drop=["sky"])
    push(store, temp=4.0)
    assert store.flush("weather") == 2
    assert landed(store, "temp") == [3.0, 4.0]
    assert [(row["temp"], row["sky"]) for row in refused(store)] == [(2.0, "rain")]
    assert refused(store)[0]["why"] == "weather has no column 'sky' any more"
    assert "1 pushed rows of weather did not land; features.refused says why" in caplog.text
    store.materialize("model")
    assert served(store) == (4.0, 3)
    assert store.flush("weather") == 0


def test_a_column_that_is_called_otherwise(store):
    """What was pushed under its old name is not landed as a null under the new one."""
    push(store, temp=2.0, wind=7)
    store.lake.evolve("weather", rename={"wind": "speed"})
    push(store, temp=3.0, speed=8)
    assert store.flush("weather") == 1
    assert landed(store, "speed") == [8]
    assert [row["wind"] for row in refused(store)] == [7]


def test_a_column_of_a_wider_type(store):
    """Rows from before are cast."""
    push(store, temp=2.0, wind=7)
    store.lake.evolve("weather", widen={"wind": "int64"})
    push(store, temp=3.0, wind=2**40)
    assert store.flush("weather") == 2
    assert landed(store, "wind") == [7, 2**40]


def test_a_column_that_must_have_a_value_now(store):
    """A row without one is set aside."""
    push(store, temp=2.0)
    push(store, temp=3.0, sky="rain")
    store.lake.evolve("weather", required=["sky"])
    assert store.flush("weather") == 1
    assert landed(store, "temp") == [3.0]
    assert [row["temp"] for row in refused(store)] == [2.0]


def test_a_retry_after_the_columns_changed(store):
    """It is the row that came first, as far as it fits; what does not fit is served no more, and nothing is counted twice."""
    push(store, "one", temp=2.0, sky="rain")
    push(store, "two", temp=3.0)
    store.lake.evolve("weather", drop=["sky"], add={"gust": "float64"})
    for _ in range(2):
        push(store, "one", temp=20.0)
        push(store, "two", temp=30.0)
        assert served(store) == (3.0, 3)
        store.flush("weather")
        assert served(store) == (3.0, 3)
    store.materialize("model")
    assert served(store) == (3.0, 2)
    assert landed(store, "temp") == [3.0]
    assert len(refused(store)) == 1


def test_a_column_that_the_view_reads_is_gone(store):
    """A push says so, and keeps nothing; what is live is served."""
    store.lake.evolve("weather", drop=["temp"])
    with pytest.raises(SchemaError, match="weather has no column 'temp'"):
        push(store)
    with pytest.raises(SchemaError, match="its source has no column 'temp'"):
        store.push("weather", {"airport": ["JFK"], "seen": [datetime.now(UTC)]})
    assert list(store.online.pending("push:weather")) == []
    assert served(store) == (1.0, 1)


CONTRACT = """
import pandera.polars as pa
import polars as pl

class Weather(pa.DataFrameModel):
    temp: float = pa.Field(lt=100)

    @pa.dataframe_check
    def few(cls, data):
        return data.lazyframe.select(pl.len() < 5)
"""


@pytest.fixture
def protected(tmp_path, monkeypatch):
    """Weather in a folder, whose main holds it to a contract."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    lake = dp.open(tmp_path / "lake")
    lake.ingest(pa.table({"airport": ["JFK"], "seen": [BEGIN], "temp": [1.0]}), into="weather")
    (tmp_path / "contract.py").write_text(CONTRACT)
    lake.protect("main", f"{tmp_path / 'contract.py'}:Weather", "weather")
    store = lake.features
    service = dp.FeatureService("model", [view_of("temp", dp.Count(window="7d", name="n"))])
    store.apply(service)
    store.materialize("model")
    yield store
    store.online.close()


def names(store):
    """Return the branches of a lake."""
    return [each.branch for each in store.lake.branches()]


def test_a_row_that_breaks_the_contract_of_the_branch(protected, caplog):
    """It is set aside, the others land; from the next snapshot on it is served no more."""
    push(protected, temp=2.0)
    push(protected, temp=500.0)
    push(protected, temp=3.0)
    assert protected.flush("weather") == 2
    assert landed(protected, "temp") == [2.0, 3.0]
    assert [row["temp"] for row in refused(protected)] == [500.0]
    assert refused(protected)[0]["why"].startswith("it breaks contract Weather: temp")
    assert "1 pushed rows of weather did not land; features.refused says why" in caplog.text
    protected.materialize("model")
    assert served(protected) == (3.0, 3)
    assert protected.flush("weather") == 0


def test_rows_that_the_contract_takes_none_of(protected):
    """Where the dataset as a whole would break it, rows wait, and are served; a flush says why, and leaves nothing behind."""
    for temp in range(4):
        push(protected, temp=float(temp))
    branches = names(protected)
    for _ in range(2):
        with pytest.raises(dp.ContractFailed, match="few"):
            protected.flush("weather")
    assert names(protected) == branches
    assert served(protected) == (3.0, 5)
    assert landed(protected, "temp") == []
    protected.lake.unprotect("main", "weather")
    assert protected.flush("weather") == 4


def test_a_dataset_that_is_gone(store):
    """Its rows wait: they land when it is back, and a flush says what is missing until then."""
    push(store)
    store.lake.rename("weather", "elsewhere")
    with pytest.raises(dp.DatasetNotFound, match="weather"):
        store.flush("weather")
    store.lake.rename("elsewhere", "weather")
    assert store.flush("weather") == 1


def test_every_column_of_known_times_is_stamped(store):
    """Two services know rows by different columns: both say when the row was pushed, in training and in serving."""
    by_came = view_of("temp", known_at="came", name="by_came")
    by_seen = view_of(dp.Count(window="7d", name="n"), known_at="seen", name="by_seen")
    other = dp.FeatureService("other", [by_came, by_seen])
    store.apply(other)
    store.materialize(other)
    made = store.push("by_came", {"airport": ["JFK"], "temp": [5.0]})
    now = datetime.fromtimestamp(made.known_at / 1e6, UTC)
    asked = {"airport": ["JFK"]}
    before = store.lookup(other, asked).to_dict()
    assert before == {"by_came__temp": [5.0], "by_seen__n": [2]}
    store.materialize(other)
    assert store.lookup(other, asked).to_dict() == before
    assert (landed(store, "came"), landed(store, "seen")) == ([now], [now])
    trained = store.training_set({"airport": ["JFK"], "t": [datetime.now(UTC)]}, other).to_arrow().to_pydict()
    assert {name: trained[name] for name in before} == before


def test_known_times_in_seconds(tmp_path, monkeypatch):
    """A column that holds whole seconds says the same before the row landed and after."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    lake = dp.open(f"memory://{uuid.uuid4().hex}")
    seconds = pa.timestamp("s", "UTC")
    first = {"airport": ["JFK"], "seen": pa.array([BEGIN], seconds), "came": pa.array([BEGIN], seconds), "temp": [1.0]}
    lake.ingest(pa.table(first), into="weather")
    store = FeatureStore(lake)
    service = dp.FeatureService("model", [view_of("temp", known_at="came")])
    store.apply(service)
    store.materialize(service)
    at = datetime.now(UTC).replace(microsecond=0)
    for temp in (7.0, 6.0):  # of one second: the greater value is the newer one (PIT 6)
        store.push("weather", {"airport": ["JFK"], "seen": [at], "temp": [temp]})
    before = store.lookup(service, {"airport": ["JFK"]}, statuses=True).to_dict()
    store.materialize(service)
    after = store.lookup(service, {"airport": ["JFK"]}, statuses=True).to_dict()
    del before["weather__temp__age"], after["weather__temp__age"]
    assert before == after
    store.online.close()


@pytest.mark.parametrize("bad", [None, float("nan")])
def test_a_key_that_is_none_keeps_nothing_from_landing(tmp_path, monkeypatch, bad):
    """A row whose key in the dataset is null or NaN is set aside."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    lake = dp.open(f"memory://{uuid.uuid4().hex}")
    first = {"airport": ["JFK"], "seen": [BEGIN], "sensor": [1.5], "temp": [1.0]}
    lake.ingest(pa.table(first), into="weather", key=["sensor"])
    store = FeatureStore(lake)
    service = dp.FeatureService("model", [view_of()])
    store.apply(service)
    store.materialize(service)
    rows = {"airport": ["JFK"] * 3, "seen": [datetime.now(UTC)] * 3, "sensor": [2.5, bad, 3.5], "temp": [2.0, 3.0, 4.0]}
    store.push("weather", rows)
    assert store.flush("weather") == 2
    assert sorted(landed(store, "sensor")) == [2.5, 3.5]
    assert [row["temp"] for row in refused(store)] == [3.0]
    store.online.close()
