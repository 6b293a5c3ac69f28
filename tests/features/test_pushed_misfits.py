"""Pushed rows whose key is taken: they are set aside, and keep no other row from landing."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

import dataplat as dp
from dataplat._features import FeatureStore

NOW = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=5)
SERVICE = dp.FeatureService(
    "model",
    [
        dp.FeatureView(
            "weather", source="weather", entity=dp.Entity("airport"), timestamp="seen", ttl=None, features=["temp"]
        )
    ],
)


@pytest.fixture
def store(tmp_path, monkeypatch):
    """Weather with a key, materialised."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    lake = dp.open(f"memory://{uuid.uuid4().hex}")
    first = {"airport": ["JFK", "LGA"], "seen": [NOW, NOW], "temp": [1.0, 2.0]}
    lake.ingest(pa.table(first), into="weather", key=["airport", "seen"])
    store = FeatureStore(lake)
    store.apply(SERVICE)
    store.materialize("model")
    yield store
    store.online.close()


def temps(store):
    """Return what is served."""
    return store.lookup("model", {"airport": ["JFK", "LGA", "EWR"]}).to_dict()["weather__temp"]


def test_a_key_that_is_taken_keeps_nothing_from_landing(store, caplog):
    """Of four rows two land; the others, of a key of the dataset and of one among them, are set aside and said."""
    later = NOW + timedelta(minutes=1)
    rows = {
        "airport": ["JFK", "LGA", "EWR", "LGA"],
        "seen": [NOW, later, later, later],
        "temp": [10.0, 20.0, 30.0, 40.0],
    }
    store.push("weather", rows, idempotency="a")
    assert store.flush("weather") == 2
    assert store.lake["weather"].rows == 4
    aside = store.lake["features.refused"].to_arrow().to_pylist()
    assert [json.loads(row["row"])["temp"] for row in aside] == [10.0, 40.0]
    assert {row["why"] for row in aside} == {"its key is taken, or it has none"}
    assert "2 pushed rows of weather did not land" in caplog.text
    store.materialize("model")
    assert temps(store) == [1.0, 20.0, 30.0]
    assert store.online.size("model@1").pushed == 0


def test_a_retry_of_what_landed_is_no_misfit(store):
    """The same idempotency key again lands nothing, and sets nothing aside."""
    rows = {"airport": ["JFK"], "seen": [NOW + timedelta(minutes=1)], "temp": [10.0]}
    for _ in range(2):
        store.push("weather", rows, idempotency="a")
        store.flush("weather")
    assert store.lake["weather"].rows == 3
    assert "features.refused" not in [each.name for each in store.lake.datasets()]


def test_only_misfits_land_nothing_and_are_not_tried_again(store):
    """A flush of nothing but taken keys ends, and the next has nothing to do."""
    store.push("weather", {"airport": ["JFK"], "seen": [NOW], "temp": [10.0]})
    assert store.flush("weather") == 0
    assert store.flush("weather") == 0
    assert store.lake["features.refused"].rows == 1
    assert store.lake["weather"].rows == 2
