"""A push counts once, as it came first, whatever was lost or died in between and whoever sends it again."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

import dataplat as dp
from dataplat._features import FeatureStore
from dataplat._features._push import LOG
from dataplat._features._pushed_landed import Landed
from dataplat._features._served import ServedLog
from dataplat.errors import StoreTimeout
from dataplat.feature_store.online.connect import online_store
from dataplat.feature_store.online.lmdb_store import LmdbStore


def row(temp=50.0, airport="JFK", ago=1.0):
    """Return a row of just now."""
    return {"origin": [airport], "at": [datetime.now(UTC) - timedelta(seconds=ago)], "temp": [temp]}


def said(desk, airport="JFK"):
    """Return the temperature that is served, and how many rows of it count."""
    found = desk.store.lookup("delays", {"airport": [airport]}).to_dict()
    return found["airport_weather__temp"][0], found["airport_weather__count_3h"][0]


def lost(desk, folder):
    """Give the desk an online store that has nothing."""
    desk.store.online.close()
    store = FeatureStore(desk.lake)
    store.__dict__["online"] = online_store(f"lmdb:{folder}", desk.lake.id)
    desk.store = store


@pytest.fixture
def served(desk):
    """Return the desk with a live snapshot."""
    desk.store.apply(desk.service)
    desk.store.materialize("delays")
    return desk


class Apart(LmdbStore):
    """A store that adds rows space by space, as a cluster does; it may die before one of them."""

    together = False
    dies_before = 99

    def push_all(self, jobs):
        """Add rows to one space after another."""
        found = []
        for number, job in enumerate(jobs):
            if number == self.dies_before:
                raise StoreTimeout("died")
            found += super().push_all([job])
        return found


@pytest.fixture
def apart(served):
    """Return the desk with a store that dies between the log and the overlays."""
    store = FeatureStore(served.lake)
    store.__dict__["online"] = Apart(served.store.online.folder)
    served.store = store
    store.online.dies_before = 1
    with pytest.raises(StoreTimeout):
        store.push("airport_weather", row(50.0), idempotency="one")
    store.online.dies_before = 99
    return served


def test_a_push_that_died_after_the_log_is_taken_from_it(apart):
    """Sent again with another value, the first one is served, as of when it was sent first, and lands; the audit agrees."""
    ((_, first),) = apart.store.online.pending(LOG + "weather")
    assert said(apart) == (5.0, 0)
    again = apart.store.push("airport_weather", row(60.0), idempotency="one")
    assert again.known_at == first.k
    ((_, shown),) = apart.store.online.pending("delays@1")
    assert shown.k == first.k
    assert said(apart) == (50.0, 1)
    with ServedLog.of(apart.store, most=None) as log:
        looked = apart.store.lookup("delays", {"airport": ["JFK"]})
        log.record("delays@1", {"airport": ["JFK"]}, {}, 1, looked.t, looked.served)
        assert apart.store.flush("weather") == 1
        apart.store.materialize("delays")
        assert said(apart) == (50.0, 1)
    assert apart.store.audit("delays").causes == {}
    landed = [each for each in apart.lake["weather"].to_arrow().to_pylist() if each["temp"] in {50.0, 60.0}]
    assert [each["seen"] for each in landed] == [datetime.fromtimestamp(first.k / 1e6, UTC)]


def test_a_push_that_died_after_the_log_is_served_by_the_flush(apart):
    """Nobody sends it again: what lands is served from then on, as it is once a snapshot holds it."""
    assert apart.store.flush("weather") == 1
    assert said(apart) == (50.0, 1)
    assert apart.store.push("airport_weather", row(60.0), idempotency="one").rows == 1
    assert said(apart) == (50.0, 1)
    apart.store.materialize("delays")
    apart.store.push("airport_weather", row(60.0), idempotency="one")
    assert said(apart) == (50.0, 1)
    assert apart.store.online.size("delays@1").pushed == 0


def test_a_service_that_comes_later_has_what_waits(served):
    """Its first snapshot is made while rows are pushed: those that it does not hold are served beside it."""
    other = dp.FeatureService("other", [served.view_of(features=["temp", dp.Count(window="3h")])])
    served.store.apply(other)
    load, pushed = served.store.online.load, []

    def loading(space, *given, **more):
        if space == "other@1":
            pushed.append(served.store.push("airport_weather", row(70.0)))
            assert served.store.flush("weather") == 1  # the server's
            pushed.append(served.store.push("airport_weather", row(71.0, ago=0.5)))
        return load(space, *given, **more)

    served.store.online.load = loading
    made = served.store.materialize(other)
    del served.store.online.load
    assert len(pushed) == 2
    assert made.snapshot == served.store.online.snapshot("other@1").id
    found = served.store.lookup(other, {"airport": ["JFK"]}).to_dict()
    assert (found["airport_weather__temp"], found["airport_weather__count_3h"]) == ([71.0], [2])


def test_a_key_that_landed_counts_once_after_the_store_was_lost(served, tmp_path):
    """The store is made again from the lake, and the key is sent again: windows and the dataset have the row once."""
    served.store.push("airport_weather", row(50.0), idempotency="one")
    served.store.flush("weather")
    lost(served, tmp_path / "another")
    served.store.materialize("delays")
    assert said(served) == (50.0, 1)
    for _ in range(2):
        assert served.store.push("airport_weather", row(60.0), idempotency="one").rows == 1
        assert said(served) == (50.0, 1)
        assert served.store.flush("weather") == 0
        served.store.materialize("delays")
    assert served.lake["weather"].rows == 13


def test_a_key_that_another_machine_landed(served, tmp_path):
    """A store of its own, whose snapshot lacks the row, serves it as it landed: not as it is sent now, and not twice."""
    first = FeatureStore(served.lake)
    first.__dict__["online"] = online_store(f"lmdb:{tmp_path / 'first'}", served.lake.id)
    first.materialize("delays")
    first.push("airport_weather", row(50.0), idempotency="one")
    first.flush("weather")
    assert said(served) == (5.0, 0)
    served.store.push("airport_weather", row(60.0), idempotency="one")
    assert said(served) == (50.0, 1)
    assert list(served.store.online.pending(LOG + "weather")) == []
    served.store.materialize("delays")
    assert said(served) == (50.0, 1)
    assert served.lake["weather"].rows == 13
    first.online.close()


def test_new_keys_are_told_without_reading_what_landed(served, monkeypatch):
    """However much has landed, a push under a new key reads no row of it; ids of a part are read once."""
    for batch in range(4):
        served.store.push(
            "airport_weather", {name: values * 50 for name, values in row().items()}, idempotency=f"batch {batch}"
        )
        served.store.flush("weather")
    served.store.push("airport_weather", row(), idempotency="warm")
    parts = {part.id: part.rows for part in served.lake["features.pushed"].parts}
    assert sorted(parts.values()) == [50] * 4
    read, nbytes = type(served.lake.store).read, []

    def counted(store, key, byte_range=None):
        found = read(store, key, byte_range)
        if any(id in key.replace("/", "") for id in parts):
            nbytes.append(len(found))
        return found

    monkeypatch.setattr(type(served.lake.store), "read", counted)
    for number in range(20):
        served.store.push("airport_weather", row(), idempotency=f"new {number}")
    assert sum(nbytes) == 0
    assert served.store.push("airport_weather", row(), idempotency=[f"batch 3-{49}"]).rows == 1
    assert sum(nbytes) > 0


def test_few_ids_are_remembered(served):
    """Of what landed the newest ids are held, and no more; keys beyond are told by no digest."""
    for batch in range(4):
        served.store.push(
            "airport_weather", {name: values * 50 for name, values in row().items()}, idempotency=f"batch {batch}"
        )
        served.store.flush("weather")
    head = served.lake.refs.head("main").commit
    held = Landed(most=100)
    assert set(held.of(served.store, "weather", ["batch 3-0", "batch 2-49", "batch 1-49", "none"], head)) == {
        "batch 3-0",
        "batch 2-49",
    }
    assert held.of(served.store, "another", ["batch 3-0"], head) == {}
    assert len(Landed().of(served.store, "weather", [f"batch {batch}-7" for batch in range(5)], head)) == 4


def test_several_under_one_key_at_once(served):
    """Threads that send the same key with other values: one of them counts, the same in the overlay and in the dataset."""
    with ThreadPoolExecutor(8) as pool:
        pushes = [
            pool.submit(served.store.push, "airport_weather", row(100.0 + number), idempotency="one")
            for number in range(8)
        ]
        assert {each.result().rows for each in pushes} == {1}
    temp, count = said(served)
    assert (temp >= 100.0, count) == (True, 1)
    served.store.materialize("delays")
    assert said(served) == (temp, 1)
    assert served.lake["weather"].rows == 13
