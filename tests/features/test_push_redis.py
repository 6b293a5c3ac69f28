"""Pushes on a real Redis: it dies in the middle and comes back, loses all that it had, and is a cluster."""

from __future__ import annotations

import contextlib
import threading
import time
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from dataplat._features import FeatureStore
from dataplat._features._push import LOG
from dataplat.errors import NotMaterialized, StoreError
from dataplat.feature_store.online.connect import RedisSettings
from dataplat.feature_store.online.redis_store import RedisStore


def row(temp=50.0, ago=1.0):
    """Return a row of just now."""
    return {"origin": ["JFK"], "at": [datetime.now(UTC) - timedelta(seconds=ago)], "temp": [temp]}


@pytest.fixture
def on(desk):
    """Return what puts the desk onto a Redis, materialised."""
    made = []

    def put(server, *, cluster=False, timeout=5.0):
        desk.store = FeatureStore(desk.lake)
        settings = RedisSettings(server.host, server.port, timeout=timeout, cluster=cluster)
        desk.store.__dict__["online"] = RedisStore(settings, uuid4().hex)
        made.append(desk.store)
        desk.store.apply(desk.service)
        desk.store.materialize("delays")
        return desk

    yield put
    for store in made:
        store.online.close()


def said(desk):
    """Return the temperature that is served, and how many rows of it count."""
    found = desk.store.lookup("delays", {"airport": ["JFK"]}).to_dict()
    return found["airport_weather__temp"][0], found["airport_weather__count_3h"][0]


def test_a_redis_that_dies_in_the_middle(own_redis, on):
    """It is killed and comes back while rows are pushed and land: what was answered is served and lands, once."""
    desk = on(own_redis, timeout=1.0)
    over, answered, troubles = threading.Event(), [], []

    def pushing(thread):
        number = 0
        while not over.is_set():
            temp = 100.0 * thread + number / 1e3
            with contextlib.suppress(StoreError):  # sent again, the same
                desk.store.push("airport_weather", row(temp), idempotency=f"{thread} {number}")
                answered.append(temp)
                number += 1

    def landing():
        while not over.wait(0.05):
            try:
                desk.store.flush("weather")
                desk.store.materialize("delays")
            except StoreError:
                continue
            except Exception as error:  # noqa: BLE001  (told by the test)
                troubles.append(error)

    threads = [threading.Thread(target=pushing, args=(number,)) for number in (2, 3)]
    threads.append(threading.Thread(target=landing))
    for thread in threads:
        thread.start()
    for _ in range(2):
        time.sleep(0.7)
        own_redis.kill()
        time.sleep(0.3)
        own_redis.start()
    time.sleep(0.5)
    over.set()
    for thread in threads:
        thread.join()
    assert not troubles
    desk.store.flush("weather")
    desk.store.materialize("delays")
    landed = [temp for temp in desk.lake["weather"].to_arrow()["temp"].to_pylist() if temp >= 200]
    assert len(landed) == len(set(landed))
    assert set(answered) <= set(landed)
    assert len(set(landed) - set(answered)) <= 2  # what was sent last, and not answered
    assert said(desk)[1] == len(desk.lake["features.pushed"])
    assert desk.store.online.size("delays@1").pushed == 0


def test_everything_in_redis_is_lost(own_redis, on):
    """The rebuild drill: from the lake alone comes all that had landed; what had not is gone, and can be sent again."""
    desk = on(own_redis)
    desk.store.push("airport_weather", row(50.0, ago=2.0), idempotency="landed")
    assert desk.store.flush("weather") == 1
    desk.store.push("airport_weather", row(60.0), idempotency="waits")
    before = said(desk)
    assert before == (60.0, 2)
    with own_redis.client() as client:
        client.flushall()
    with pytest.raises(NotMaterialized, match="delays@1 has no snapshot"):
        said(desk)
    assert desk.store.flush("weather") == 0
    made = desk.store.materialize("delays")
    assert made.full
    assert said(desk) == (50.0, 1)
    for _ in range(2):  # whoever sent them had no answer, and sends both again
        desk.store.push("airport_weather", row(70.0), idempotency="landed")
        desk.store.push("airport_weather", row(60.0), idempotency="waits")
        assert said(desk) == before
    desk.store.materialize("delays")
    assert said(desk) == before
    assert sorted(desk.lake["weather"].to_arrow()["temp"].to_pylist())[6:8] == [50.0, 60.0]
    assert len(desk.lake["features.pushed"]) == 2


def test_redis_loses_all_while_a_snapshot_is_made(own_redis, on):
    """Whatever it was at, it is told, or begins anew; after the next one all that landed is there."""
    desk = on(own_redis)
    for number in range(3):
        desk.store.push("airport_weather", row(50.0 + number, ago=9.0 - number), idempotency=f"row {number}")
    real, online = RedisStore.change, desk.store.online

    def change(store, *given, **more):
        with own_redis.client() as client:
            client.flushall()
        return real(store, *given, **more)

    online.change = change.__get__(online)
    with contextlib.suppress(StoreError):
        desk.store.materialize("delays")
    del online.change
    desk.store.materialize("delays")
    assert said(desk) == (52.0, 3)
    assert desk.store.flush("weather") == 0
    assert len(desk.lake["weather"]) == 15


def test_a_cluster_adds_rows_space_by_space(redis_nodes, on, monkeypatch):
    """Who dies after the log and before the overlays, and tries again with another value, has pushed the first one."""
    desk = on(redis_nodes[0], cluster=True)
    online = desk.store.online
    assert not online.together
    real = RedisStore._push
    with monkeypatch.context() as dying:

        def dies(store, jobs):
            if jobs[0][0] != LOG + "weather":
                raise StoreError("died")
            return real(store, jobs)

        dying.setattr(RedisStore, "_push", dies)
        with pytest.raises(StoreError, match="died"):
            desk.store.push("airport_weather", row(50.0), idempotency="one")
    ((_, first),) = online.pending(LOG + "weather")
    assert said(desk) == (5.0, 0)
    again = desk.store.push("airport_weather", row(60.0), idempotency="one")
    assert again.known_at == first.k
    assert said(desk) == (50.0, 1)
    desk.store.materialize("delays")
    assert said(desk) == (50.0, 1)
    assert online.size("delays@1").pushed == 0
