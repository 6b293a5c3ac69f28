"""The lake's disk is full while pushed rows land: none is lost or doubled, it is told, and goes on when there is room."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest

from dataplat._features import FeatureStore
from dataplat._lake import Lake
from dataplat.errors import StoreError
from dataplat.events._outbox import Outbox
from dataplat.server._counts import FAILED_FLUSHES, LANDED, WAITING, Counts
from dataplat.server._flush import Flusher
from dataplat.testing.store_faults import FullStore


def row(temp):
    """Return a row of just now."""
    return {"origin": ["JFK"], "at": [datetime.now(UTC) - timedelta(seconds=1)], "temp": [temp]}


@pytest.fixture
def disk(desk, tmp_path, monkeypatch):
    """Return the disk of the desk, whose snapshot is live; events go into a state folder of their own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dataplat.toml").write_text('[notify]\nlog = "events.ndjson"\n')
    full = FullStore(desk.lake.store)
    desk.lake = Lake(full, "test", "memory")
    store = FeatureStore(desk.lake)
    store.__dict__["online"] = desk.store.online
    desk.store = store
    store.apply(desk.service)
    store.materialize("delays")
    yield full
    for thread in threading.enumerate():
        if thread.name == "dataplat-events":
            thread.join(60)


def landed(desk):
    """Return the temperatures of rows that were pushed and are in the dataset."""
    return sorted(each for each in desk.lake["weather"].to_arrow()["temp"].to_pylist() if each >= 1000)


def said(desk):
    """Return the temperature that is served, and how many rows of it count."""
    found = desk.store.lookup("delays", {"airport": ["JFK"]}).to_dict()
    return found["airport_weather__temp"][0], found["airport_weather__count_3h"][0]


def test_full_at_every_step_of_a_flush(desk, disk):
    """Whatever was to be written: the row is served, and lands once when there is room; so does what is pushed meanwhile."""
    pushed, step, refused = [], 0, True
    while refused:
        step += 1
        pushed += [1000.0 + step, 1000.5 + step]
        desk.store.push("airport_weather", row(pushed[-2]), idempotency=f"first {step}")
        disk.full(step)
        with suppress(StoreError):
            desk.store.flush("weather")
        refused = disk.refused > 0
        desk.store.push("airport_weather", row(pushed[-1]), idempotency=f"second {step}")  # no room is needed for it
        desk.store.push("airport_weather", row(9999.0), idempotency=f"first {step}")  # sent again
        assert said(desk) == (pushed[-1], len(pushed))
        disk.room()
        desk.store.flush("weather")
        assert landed(desk) == pushed
        assert said(desk) == (pushed[-1], len(pushed))
    assert step > 4
    desk.store.materialize("delays")
    assert said(desk) == (pushed[-1], len(pushed))
    assert desk.store.online.size("delays@1").pushed == 0


def test_it_is_told_and_goes_on_by_itself(desk, disk):
    """A server's thread tries again and again, tells it once, and that it is over; another disk has the event."""
    counts = Counts()
    disk.full()
    desk.store.push("airport_weather", row(1001.0))
    flusher = Flusher(desk.store, counts, 0.01, 10)

    def wait(done):
        until = time.monotonic() + 60
        while not done():
            assert time.monotonic() < until
            time.sleep(0.01)

    wait(lambda: counts.of(FAILED_FLUSHES, 0) > 2)
    assert (landed(desk), said(desk)) == ([], (1001.0, 1))
    assert counts.of(WAITING, 0) == 1
    disk.room()
    wait(lambda: counts.of(LANDED, 0) == 1)
    flusher.close()
    assert (landed(desk), said(desk)) == ([1001.0], (1001.0, 1))
    told = [each.event for each in Outbox.of("test").all()]
    assert [each["kind"] for each in told] == ["pushes waiting", "pushes landing"]
    assert all(each["dataset"] == "weather" for each in told)
    assert "full" in told[0]["text"]
