"""The audit of requests that saw pushed rows: each is answered from exactly the rows that had been pushed by then."""

from __future__ import annotations

import random
import threading
import uuid
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

import dataplat as dp
from dataplat._features import FeatureStore
from dataplat._features._served import ServedLog
from dataplat.feature_store.online.connect import online_store

VIEW = dp.FeatureView(
    "weather",
    source="weather",
    entity=dp.Entity("airport"),
    timestamp="seen",
    ttl=None,
    features=["temp", dp.Count(window="1h"), dp.Mean("temp", window="1h")],
)
SERVICE = dp.FeatureService("model", [VIEW])
AIRPORTS = ("JFK", "LGA", "EWR")


@pytest.fixture
def store(tmp_path, monkeypatch):
    """A lake with an hour of weather, materialised."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    lake = dp.open(f"memory://{uuid.uuid4().hex}")
    begin = datetime.now(UTC) - timedelta(minutes=30)
    rows = {
        "airport": list(AIRPORTS) * 20,
        "seen": [begin + timedelta(minutes=n // 3) for n in range(60)],
        "temp": [float(n) for n in range(60)],
    }
    lake.ingest(pa.table(rows), into="weather")
    store = FeatureStore(lake)
    store.apply(SERVICE)
    store.materialize("model")
    yield store
    store.online.close()


def ask(store, log, airports=AIRPORTS):
    """Look up, and log it; return the temperatures."""
    asked = {"airport": list(airports)}
    looked = store.lookup("model", asked)
    log.record("model@1", asked, {}, len(airports), looked.t, looked.served)
    return looked.to_dict()["weather__temp"]


def push(store, airport, temp):
    """Push a row of now."""
    store.push("weather", {"airport": [airport], "seen": [datetime.now(UTC)], "temp": [temp]})


def test_each_request_is_answered_from_what_was_pushed_by_then(store):
    """Before a push, after it, after it landed, after a snapshot that holds it: never a difference, never stale."""
    with ServedLog.of(store, most=None) as log:
        assert ask(store, log) == [57.0, 58.0, 59.0]
        push(store, "JFK", 80.0)
        assert ask(store, log) == [80.0, 58.0, 59.0]
        push(store, "LGA", 81.0)
        push(store, "JFK", 82.0)
        assert ask(store, log) == [82.0, 81.0, 59.0]
        assert store.audit("model").ok  # what was logged so far is not all of it
        store.flush("weather")
        assert ask(store, log) == [82.0, 81.0, 59.0]
        store.materialize("model")
        push(store, "EWR", 83.0)
        assert ask(store, log) == [82.0, 81.0, 83.0]
    found = store.audit("model")
    assert (found.rows, found.snapshots) == (15, 2)
    assert found.causes == {}, found.differences
    assert found.stale == {}


def test_a_pushed_row_that_was_not_served_is_late(store, monkeypatch):
    """The overlay loses a row: what was served without it is found, and why."""
    with ServedLog.of(store, most=None) as log:
        push(store, "JFK", 80.0)
        whole = type(store.online).read

        def without(online, space, keys):
            return whole(online, space, keys)._replace(pushed=[() for _ in keys])

        with monkeypatch.context() as lossy:
            lossy.setattr(type(store.online), "read", without)
            assert ask(store, log) == [57.0, 58.0, 59.0]
    found = store.audit("model")
    assert set(found.causes) == {"late"}
    assert {(each.entities["airport"], each.column) for each in found.differences} == {
        ("JFK", "weather__temp"),
        ("JFK", "weather__count_1h"),
        ("JFK", "weather__temp_mean_1h"),
    }


def test_an_audit_while_everything_moves_finds_nothing(store):
    """Threads push, look up and materialise at once; afterwards each answer is right for its snapshot and sequence."""
    over, troubles = threading.Event(), []

    def work(what):
        rng = random.Random(what.__name__)
        try:
            while not over.is_set():
                what(rng)
        except Exception as error:  # noqa: BLE001  (told by the test)
            troubles.append(error)

    with ServedLog.of(store, most=None) as log:

        def asking(_rng):
            ask(store, log)

        def pushing(rng):
            push(store, rng.choice(AIRPORTS), rng.random() * 100)
            over.wait(0.01)

        def making(_rng):
            store.materialize("model")
            over.wait(0.2)

        threads = [threading.Thread(target=work, args=(what,)) for what in (asking, pushing, making)]
        for thread in threads:
            thread.start()
        over.wait(1.0)
        over.set()
        for thread in threads:
            thread.join()
    assert not troubles
    found = store.audit("model")
    assert found.rows > 30
    assert found.causes == {}, found.differences[:5]


def test_sequences_that_begin_anew_are_no_rows_of_before(store, tmp_path):
    """The online store is lost: a late row that has the sequence of one of before is not taken for what was seen then."""
    early = datetime.now(UTC) - timedelta(minutes=1)

    def late(airport, temp):
        store.push("weather", {"airport": [airport], "seen": [early], "temp": [temp]})

    with ServedLog.of(store, most=None) as log:
        late("JFK", 80.0)
        late("LGA", 81.0)
        assert ask(store, log) == [80.0, 81.0, 59.0]
        store.materialize("model")  # what it takes out of the overlay is remembered
        assert ask(store, log) == [80.0, 81.0, 59.0]
        store.online.close()
        store = FeatureStore(store.lake)
        store.__dict__["online"] = online_store(f"lmdb:{tmp_path / 'another'}", store.lake.id)
        store.materialize("model")
        assert ask(store, log) == [80.0, 81.0, 59.0]
        late("EWR", 82.0)
        late("JFK", 83.0)
        assert ask(store, log) == [83.0, 81.0, 82.0]
        assert store.audit("model").ok
        store.materialize("model")
        assert ask(store, log) == [83.0, 81.0, 82.0]
    found = store.audit("model")
    assert found.rows == 15
    assert found.causes == {}, found.differences
    store.online.close()
