"""Pushes: seen at once, everywhere, counted once, in the dataset once, whatever dies in between."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from datetime import UTC, datetime, timedelta

import pytest

import dataplat as dp
from dataplat._features import FeatureStore
from dataplat._features._push import LOG
from dataplat.errors import ConfigError, FeatureNotFound, SchemaError, StoreError
from dataplat.feature_store.online.connect import online_store


def row(temp=50.0, airport="JFK", ago=1.0):
    """Return a row of just now."""
    return {"origin": [airport], "at": [datetime.now(UTC) - timedelta(seconds=ago)], "temp": [temp]}


@pytest.fixture
def served(desk):
    """Return the desk with a live snapshot."""
    desk.store.apply(desk.service)
    desk.store.materialize("delays")
    return desk


def test_a_pushed_row_is_served_at_once(served):
    """Its value, and windows that it is in, in every service that reads the dataset."""
    other = dp.FeatureService("other", [served.view_of(features=["temp"])])
    served.store.apply(other)
    served.store.materialize(other)
    made = served.store.push("airport_weather", row())
    assert (made.rows, set(made.sequences)) == (1, {"delays@1", "other@1"})
    found = served.store.lookup("delays", {"airport": ["JFK", "LGA"]}).to_dict()
    assert found["airport_weather__temp"] == [50.0, 105.0]
    assert found["airport_weather__count_3h"] == [1, 0]
    assert served.store.lookup(other, {"airport": ["JFK"]}).to_dict()["airport_weather__temp"] == [50.0]


def test_a_push_counts_once(served):
    """However often it is sent, by its idempotency key (PIT 9)."""
    for _ in range(3):
        served.store.push("airport_weather", row(), idempotency="first")
    assert served.store.lookup("delays", {"airport": ["JFK"]}).to_dict()["airport_weather__count_3h"] == [1]
    served.store.materialize("delays")
    served.store.push("airport_weather", row(), idempotency="first")
    assert served.store.lookup("delays", {"airport": ["JFK"]}).to_dict()["airport_weather__count_3h"] == [1]
    served.store.flush("weather")
    assert served.lake["weather"].rows == 13


def test_pushed_rows_land_and_leave_the_overlay(served):
    """With the snapshot that holds them, and what is served stays what it was."""
    served.store.push("airport_weather", row(51.0))
    served.store.push("airport_weather", row(52.0, ago=0.5))
    before = served.store.lookup("delays", {"airport": ["JFK"]}).to_dict()
    made = served.store.materialize("delays")
    assert (made.settled, served.store.online.size("delays@1").pushed) == (2, 0)
    assert served.lake["weather"].rows == 14
    after = served.store.lookup("delays", {"airport": ["JFK"]}).to_dict()
    assert before == after
    assert served.store.materialize("delays").snapshot == made.snapshot


def test_an_older_row_does_not_replace_a_newer_one(served):
    """Out of order, the newest (e, k) is served; the late one is an event all the same (PIT 9)."""
    served.store.push("airport_weather", row(60.0, ago=1))
    served.store.push("airport_weather", row(10.0, ago=100))
    found = served.store.lookup("delays", {"airport": ["JFK"]}).to_dict()
    assert (found["airport_weather__temp"], found["airport_weather__count_3h"]) == ([60.0], [2])


def test_known_times_never_go_back(served, monkeypatch):
    """A clock that goes backwards stamps no older time than before."""
    first = served.store.push("airport_weather", row()).known_at
    monkeypatch.setattr("dataplat._features._push.time.time_ns", lambda: 10**18)
    assert served.store.push("airport_weather", row()).known_at > first


def test_a_clock_behind_the_snapshot_stamps_its_time(served, monkeypatch):
    """A row is not known at a time that the snapshot was served for without it, whatever the clock says."""
    at = served.store.online.snapshot("delays@1").at
    with monkeypatch.context() as behind:
        behind.setattr("dataplat._features._push.time.time_ns", lambda: (at - 3_000_000) * 1000)
        made = served.store.push("airport_weather", {"origin": ["JFK"], "at": [served.hour(5.5)], "temp": [77.0]})
    assert made.known_at == at
    assert served.temps("JFK", t=datetime.fromtimestamp(at / 1e6, UTC)) == [77.0]
    served.store.materialize("delays")
    assert served.temps("JFK") == [77.0]


def test_a_store_that_takes_nothing_keeps_nothing(served, monkeypatch):
    """Its disk is full: the push fails, is neither served nor landed, and the same again later counts."""
    with monkeypatch.context() as full:
        full.setattr(type(served.store.online), "push_all", _full)
        with pytest.raises(StoreError, match="full"):
            served.store.push("airport_weather", row(61.0), idempotency="one")
    assert served.temps("JFK") == [5.0]
    assert served.store.flush("weather") == 0
    served.store.push("airport_weather", row(61.0), idempotency="one")
    assert (served.temps("JFK"), served.store.flush("weather")) == ([61.0], 1)


def _full(_store, _jobs):
    raise StoreError("the disk is full")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"origin": ["JFK"], "at": ["yesterday"], "temp": [1.0]}, "weather.at"),
        ({"origin": ["JFK"], "at": ["2026-01-01T00:00:00"], "temp": [1.0]}, "zone"),
        ({"origin": ["JFK"], "temperature": [1.0]}, "no column 'temperature'"),
        ({"origin": ["JFK"], "at": [None], "temp": [1.0]}, "null"),
        ({"origin": ["JFK"], "at": ["2026-01-01T00:00:00Z"], "temp": ["warm"]}, "weather.temp"),
    ],
)
def test_a_row_that_does_not_fit_is_refused(served, given, said):
    """Nothing of the push is kept."""
    with pytest.raises(SchemaError, match=said):
        served.store.push("airport_weather", given)
    assert list(served.store.online.pending(LOG + "weather")) == []


def test_what_cannot_be_pushed_to(served):
    """A view of a query, or of commits, and one that is not there."""
    query = dp.FeatureView(
        "q",
        source=dp.sql("select distinct * from weather"),
        entity=dp.Entity("origin"),
        timestamp="at",
        ttl=None,
        features=["temp"],
    )
    with pytest.raises(ConfigError, match="looks at more than one row"):
        served.store.push(query, row())
    with pytest.raises(ConfigError, match="when they are committed"):
        served.store.push(served.view_of(history="commits", known_at=None), row())
    with pytest.raises(FeatureNotFound):
        served.store.push("nothing", row())


_PUSHER = """
import os, sys
import dataplat as dp
from datetime import UTC, datetime
from dataplat._features import FeatureStore
from dataplat.feature_store.online.connect import online_store
import dataplat._features._push as push
lake, folder, step = sys.argv[1:]
store = FeatureStore(dp.open(lake, create=False))
store.__dict__["online"] = online_store(f"lmdb:{folder}", store.lake.id)
left = [int(step)]
def dying(function):
    def call(*given, **more):
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), 9)
        found = function(*given, **more)
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), 9)
        return found
    return call
for name in ("push_all", "kept", "settle", "load", "change"):
    setattr(store.online, name, dying(getattr(store.online, name)))
store.lake.transaction = dying(store.lake.transaction)
for number in range(3):
    store.push("airport_weather", {"origin": ["JFK"], "at": [datetime(2026, 1, 5, 6, number, tzinfo=UTC)], "temp": [1.0 * number]}, idempotency=f"row {number}")
store.materialize("delays")
print("done", flush=True)
"""


@pytest.mark.slow
def test_killed_at_every_step(tmp_path):
    """Whatever a pusher was at when it was killed, sent again each row is there once, and served as it is trained."""
    from datetime import UTC, datetime

    for step in range(1, 60, 1 if os.environ.get("DATAPLAT_DEATHS") else 6):
        where = tmp_path / str(step)
        lake = dp.open(where / "lake")
        import pyarrow as pa

        at = pa.array([datetime(2026, 1, 5, 5, tzinfo=UTC)], pa.timestamp("us", "UTC"))
        lake.ingest(pa.table({"origin": ["JFK"], "at": at, "temp": [0.5]}), into="weather")
        view = dp.FeatureView(
            "airport_weather",
            source="weather",
            entity=dp.Entity("airport"),
            keys={"origin": "airport"},
            timestamp="at",
            ttl=None,
            features=["temp", dp.Count(window=None, name="events")],
        )
        store = FeatureStore(lake)
        store.__dict__["online"] = online_store(f"lmdb:{where / 'online'}", lake.id)
        service = dp.FeatureService("delays", [view])
        store.apply(service)
        store.materialize(service)
        store.online.close()
        run = [sys.executable, "-c", textwrap.dedent(_PUSHER), str(where / "lake"), str(where / "online")]
        first = subprocess.run([*run, str(step)], capture_output=True, text=True, check=False)
        assert first.returncode in {0, -signal.SIGKILL}, first.stderr
        second = subprocess.run([*run, "0"], capture_output=True, text=True, check=False)
        assert second.returncode == 0, second.stderr
        assert lake["weather"].rows == 4, step
        found = store.lookup(service, {"airport": ["JFK"]}).to_dict()
        assert (found["airport_weather__temp"], found["airport_weather__events"]) == ([2.0], [4]), step
        store.online.close()
        if first.returncode == 0:
            break
    else:
        pytest.fail("it never came to its end")
