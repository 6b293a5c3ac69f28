"""`store.lookup`: features of entities now, from the online store."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import dataplat as dp
from dataplat._features import FeatureStore
from dataplat.errors import ClosureMismatch, FeatureNotFound, NotMaterialized, SchemaError
from dataplat.feature_store.closure import closure_hash
from dataplat.feature_store.kernel.order import facts
from dataplat.feature_store.online.lmdb_store import LmdbStore
from dataplat.feature_store.online.plan import ServingPlan, types_of
from dataplat.feature_store.online.record import pack
from dataplat.feature_store.online.store import Snapshot

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
AIRPORT = dp.Entity("airport")
ROWS = {
    "origin": ["JFK", "LGA", "JFK"],
    "at": [NOON - timedelta(hours=3), NOON - timedelta(hours=9), NOON - timedelta(hours=1)],
    "temp": [3.0, 5.0, 3.5],
    "seen": [NOON, None, NOON],
    "visib": [9.0, 8.0, None],
}
WEATHER = dp.FeatureView(
    "weather",
    source="weather",
    entity=AIRPORT,
    keys={"origin": "airport"},
    timestamp="at",
    ttl="6h",
    features=["temp", dp.Field("visib", default=10.0), "seen", dp.Count(window="24h")],
)


@dp.on_demand(inputs=[WEATHER, dp.Request({"distance": "float64"})])
def per_km(t: Any) -> Any:
    """Return the temperature by distance."""
    return t.temp / t.distance


SERVICE = dp.FeatureService("delays", [WEATHER, per_km])
PLAIN = dp.FeatureService("plain", [WEATHER[["temp"]]])


def micros(t: datetime) -> int:
    """Return a time in microseconds."""
    return (t - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def serve(store: FeatureStore, service: dp.FeatureService, at: datetime = NOON) -> None:
    """Put the records of a service into the online store."""
    table = pa.table(ROWS)
    plan = ServingPlan.of(service, types_of({"weather": table.schema}))
    own = {base.name: facts(base.view, table) for base in plan.bases}
    items = [item for group in plan.groups for item in pack(plan, group, own, micros(at))]
    snapshot = Snapshot(f"snapshot {at}", micros(at), {}, plan.closure, types=plan.types)
    store.online.load(plan.space, snapshot, items)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[FeatureStore]:
    """Return a feature store with a service in its online store."""
    found = FeatureStore(dp.open(tmp_path / "lake"))
    found.__dict__["online"] = LmdbStore(tmp_path / "online")
    serve(found, SERVICE)
    yield found
    found.online.close()


ASKED = {"airport": ["JFK", "LGA", "EWR", None], "distance": [7.0, 2.0, 1.0, 1.0]}


def test_values_statuses_ages(store: FeatureStore) -> None:
    """As a training set has them: present, defaulted, expired, missing."""
    found = store.lookup(SERVICE, ASKED, t=NOON, statuses=True)
    told = found.to_dict()
    assert told["weather__temp"] == [3.5, None, None, None]
    assert told["weather__visib"] == [10.0] * 4
    assert told["weather__count_24h"] == [2, 0, 0, 0]
    assert told["weather__seen"] == [NOON, None, None, None]
    assert told["per_km"] == [0.5, None, None, None]
    assert told["weather__temp__status"] == ["present", "expired", "missing_key", "missing_key"]
    assert told["weather__visib__status"] == ["defaulted"] * 4
    assert told["weather__temp__age"] == [timedelta(hours=1), timedelta(hours=9), None, None]
    assert found.snapshot == f"snapshot {NOON}"
    assert found.sequence == 0
    assert found.t == micros(NOON)
    assert len(found) == 4
    assert "4 rows of 5 features" in repr(found)


def test_one_row_is_as_many(store: FeatureStore) -> None:
    """The same values by row, as a dictionary, in Arrow and pandas; columns in the order of the service."""
    for at, airport in enumerate(ASKED["airport"]):
        one = store.lookup(SERVICE, {"airport": [airport], "distance": [ASKED["distance"][at]]}, t=NOON)
        many = store.lookup(SERVICE, ASKED, t=NOON)
        assert list(one.to_dict()) == list(many.to_dict()) == [*one.columns]
        assert one.rows()[0] == many.rows()[at]
        assert one.to_arrow().equals(many.to_arrow().slice(at, 1))
    frame = many.to_pandas()
    assert frame["weather__temp"].isna().tolist() == [False, True, True, True]
    serve(store, PLAIN)
    plain = store.lookup(PLAIN, {"airport": ["JFK"]}, t=NOON)
    assert plain.to_dict() == {"weather__temp": [3.5]}
    assert plain.rows() == [(3.5,)]
    assert repr(plain.columns) == "{'weather__temp': (3.5,)}"
    assert plain.to_arrow().column("weather__temp").to_pylist() == [3.5]


@pytest.mark.parametrize("convert", [np.array, tuple, pa.array, lambda values: pa.chunked_array([values])])
def test_columns_of_any_kind(store: FeatureStore, convert: Any) -> None:
    """Arrays of numpy and Arrow, and tuples, are lists of values."""
    found = store.lookup(SERVICE, {"airport": convert(["JFK"]), "distance": convert([7.0])}, t=NOON)
    assert found.to_dict()["per_km"] == [0.5]


def test_now_is_the_time_by_default(store: FeatureStore) -> None:
    """What was looked at long ago is expired by now; a time is aware, or microseconds."""
    assert store.lookup(SERVICE, ASKED, t=micros(NOON)).to_dict()["weather__temp"][0] == 3.5
    found = store.lookup(SERVICE, ASKED, statuses=True)
    assert found.statuses["weather__temp"][0] == "expired"
    assert abs(found.t - time.time_ns() // 1000) < 600_000_000
    with pytest.raises(SchemaError, match="without a zone"):
        store.lookup(SERVICE, ASKED, t=NOON.replace(tzinfo=None))


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"airport": ["JFK"]}, r"needs the column 'distance'"),
        ({"distance": [1.0]}, r"needs the key 'airport'"),
        ({"airports": ["JFK"], "distance": [1.0]}, r"delays@1 is not asked by 'airports'; did you mean 'airport'"),
        ({"airport": "JFK", "distance": [1.0]}, r"airport is 'JFK', and should be a list"),
        ({"airport": 7, "distance": [1.0]}, r"airport is 7, and should be a list"),
        ({"airport": [7], "distance": [1.0]}, r"airport, row 0: .*7.*no key of entity airport \(string\)"),
        ({"airport": ["a", 7], "distance": [1.0, 1.0]}, r"airport, row 1: .*7"),
        ({"airport": ["JFK", "LGA"], "distance": [1.0]}, r"distance has 1 values, and others 2"),
        ({"airport": ["JFK"], "distance": ["far"]}, r"'distance', row 0: 'far' is no double"),
        ({"airport": ["x"] * 1_000_000, "distance": [1.0] * 1_000_000}, r"1,000,000 rows: it is of at most 100,000"),
    ],
)
def test_what_cannot_be_asked_is_refused(store: FeatureStore, asked: dict[str, Any], said: str) -> None:
    """Column, row and value are named."""
    with pytest.raises(SchemaError, match=said):
        store.lookup(SERVICE, asked, t=NOON)


def test_whole_numbers_are_numbers(store: FeatureStore) -> None:
    """A request's 7 is a float where one is wanted, as JSON writes it."""
    assert store.lookup(SERVICE, {"airport": ["JFK"], "distance": [7]}, t=NOON).to_dict()["per_km"] == [0.5]


def test_nothing_is_asked(store: FeatureStore) -> None:
    """No rows in, none out, in every column."""
    found = store.lookup(SERVICE, {"airport": [], "distance": []}, t=NOON)
    assert found.to_dict() == {name: [] for name in found.columns}
    assert found.to_arrow().num_rows == 0


def test_a_clock_that_goes_backwards_is_refused(store: FeatureStore) -> None:
    """Records say nothing of times before theirs."""
    with pytest.raises(NotMaterialized, match="the clock went backwards"):
        store.lookup(SERVICE, ASKED, t=NOON - timedelta(microseconds=1))


def test_26_a_model_of_other_definitions_is_refused(store: FeatureStore) -> None:
    """Both hashes are named; the right one passes."""
    assert store.lookup(SERVICE, ASKED, t=NOON, closure=closure_hash(SERVICE))
    with pytest.raises(
        ClosureMismatch, match=f"trained under 'abc', and delays@1 is {closure_hash(SERVICE)}"
    ) as caught:
        store.lookup(SERVICE, ASKED, t=NOON, closure="abc")
    assert (caught.value.sent, caught.value.served) == ("abc", closure_hash(SERVICE))


def test_26_a_snapshot_of_other_definitions_is_refused(store: FeatureStore) -> None:
    """Its records would be read wrongly."""
    other = dp.FeatureService("delays", [WEATHER[["temp"]]])
    with pytest.raises(NotMaterialized, match="was made with other definitions"):
        store.lookup(other, {"airport": ["JFK"]}, t=NOON)


def test_a_service_without_a_snapshot(store: FeatureStore) -> None:
    """Is said, with what to do."""
    with pytest.raises(NotMaterialized, match="other@1 has no snapshot to serve"):
        store.lookup(dp.FeatureService("other", [WEATHER]), ASKED)


def test_an_unknown_service(store: FeatureStore) -> None:
    """Is named."""
    with pytest.raises(FeatureNotFound, match="nobody"):
        store.lookup("nobody", ASKED)


def test_a_name_is_its_newest_version_that_is_served(store: FeatureStore) -> None:
    """A new version is filled while the old one serves; `name@version` is that one."""
    two = dp.FeatureService("delays", [WEATHER[["temp"]]], version=2)
    lake = store.lake
    lake.ingest(pa.table(ROWS), into="weather")
    store.apply(SERVICE)
    store.apply(two)
    assert len(store.lookup("delays", ASKED, t=NOON).columns) == 5
    serve(store, two)
    fresh = FeatureStore(lake)
    fresh.__dict__["online"] = store.online
    assert [*fresh.lookup("delays", {"airport": ["JFK"]}, t=NOON).columns] == ["weather__temp"]
    assert len(fresh.lookup("delays@1", ASKED, t=NOON).columns) == 5
    with pytest.raises(NotMaterialized):
        fresh.lookup(dp.FeatureService("delays", [WEATHER], version=3), ASKED)


def test_types_may_change_between_snapshots(store: FeatureStore) -> None:
    """Records are read as they were written: a column that was float32 and is float64, under the same definitions."""
    serve(store, PLAIN)
    assert store.lookup(PLAIN, {"airport": ["JFK"]}, t=NOON).to_arrow().column(0).type == pa.float64()
    table = pa.table(ROWS).set_column(2, "temp", pa.array([1, 2, 7], pa.int16()))
    plan = ServingPlan.of(PLAIN, types_of({"weather": table.schema}))
    own = {"weather": facts(plan.bases[0].view, table)}
    live = store.online.snapshot(plan.space)
    assert live is not None
    snapshot = Snapshot("two", micros(NOON), {}, plan.closure, live.id, types=plan.types)
    store.online.load(plan.space, snapshot, pack(plan, plan.groups[0], own, micros(NOON)))
    found = store.lookup(PLAIN, {"airport": ["JFK"]}, t=NOON)
    assert found.to_dict() == {"weather__temp": [7]}
    assert found.to_arrow().column(0).type == pa.int16()
