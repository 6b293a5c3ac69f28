"""Several who materialise at once: whoever looked at older data puts none of it in the place of newer."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest

from dataplat._features import FeatureStore
from dataplat.errors import SnapshotConflict
from dataplat.feature_store.online.connect import RedisSettings
from dataplat.feature_store.online.lmdb_store import LmdbStore
from dataplat.feature_store.online.redis_store import RedisStore


class Slowly:
    """A store into which records come slowly: after the first of each snapshot something else happens."""

    meanwhile: list[Callable[[], object]]

    def load(self, space: str, snapshot: Any, items: Iterable[Any], *, settled: int | None = None) -> None:
        """Load, interrupted."""
        super().load(space, snapshot, self._slowly(items), settled=settled)  # type: ignore[misc]

    def change(self, space: str, snapshot: Any, items: Iterable[Any], *, settled: int | None = None) -> None:
        """Change, interrupted."""
        super().change(space, snapshot, self._slowly(items), settled=settled)  # type: ignore[misc]

    def _slowly(self, items: Iterable[Any]) -> Iterator[Any]:
        for number, item in enumerate(items):
            yield item
            if number == 0 and self.meanwhile:
                self.meanwhile.pop(0)()


class SlowLmdb(Slowly, LmdbStore):
    """In a folder."""


class SlowRedis(Slowly, RedisStore):
    """In a Redis."""


@pytest.fixture(params=["lmdb", "redis"])
def slow(request, desk):
    """Return another feature store on the same lake and online store, and slow."""
    store = FeatureStore(desk.lake)
    if request.param == "redis":
        server = request.getfixturevalue("shared_redis")
        online = SlowRedis(RedisSettings(server.host, server.port), uuid4().hex)
        desk.store.online.close()
        desk.store.__dict__["online"] = RedisStore(online.settings, online.lake_id)
    else:
        online = SlowLmdb(desk.store.online.folder)
    online.meanwhile = []
    store.__dict__["online"] = online
    yield store
    online.close()


def newer(desk, temp):
    """Return what brings newer weather, and materialises."""

    def work():
        desk.lake.ingest(desk.weather([temp], ["JFK"]), into="weather")
        desk.store.materialize("delays")

    return work


@pytest.mark.parametrize("full", [False, True])
def test_the_slower_first_one_puts_nothing_older_live(desk, slow, full):
    """It looks again, and is the difference to what went live meanwhile, or all of it anew."""
    desk.store.apply(desk.service)
    slow.online.meanwhile.append(newer(desk, 9.0))
    made = slow.materialize("delays", full=full)
    assert desk.temps("JFK", "LGA") == [9.0, 105.0]
    assert made.full == full
    assert made.snapshot == desk.store.online.snapshot("delays@1").id
    assert (made.written, made.keys) == (2 if full else 0, 2)


def test_the_slower_full_one_puts_nothing_older_live(desk, slow):
    """Nor does it where a snapshot was there before."""
    desk.store.apply(desk.service)
    desk.store.materialize("delays")
    slow.online.meanwhile += [newer(desk, 9.0), newer(desk, 10.0)]
    assert slow.materialize("delays", full=True).written == 2
    assert desk.temps("JFK") == [10.0]
    assert not slow.online.meanwhile


def test_a_slower_difference_is_made_anew(desk, slow):
    """Of a change that was overtaken the newer one stays, and what it brought itself comes, too."""
    desk.store.apply(desk.service)
    desk.store.materialize("delays")
    desk.lake.ingest(desk.weather([7.0], ["LGA"]), into="weather")
    slow.online.meanwhile.append(newer(desk, 9.0))
    slow.materialize("delays")
    assert desk.temps("JFK", "LGA") == [9.0, 107.0]


def test_it_gives_up_where_others_are_always_quicker(desk, slow, monkeypatch):
    """After some tries it says that another one is live; what is live is the newest."""
    monkeypatch.setattr("dataplat._features._materialize._FIRST_WAIT", 0.001)
    desk.store.apply(desk.service)
    desk.store.materialize("delays")
    slow.online.meanwhile += [newer(desk, 9.0 + number) for number in range(20)]
    with pytest.raises(SnapshotConflict, match="live meanwhile"):
        slow.materialize("delays", full=True)
    last = 9.0 + 20 - len(slow.online.meanwhile) - 1
    assert desk.temps("JFK") == [last]
    assert 10 < len(slow.online.meanwhile) < 19


def test_many_at_once(desk, slow):
    """Of four who materialise at the same time, each with what came last, all end, and the newest data is live."""
    desk.store.apply(desk.service)

    def work(number):
        desk.lake.ingest(desk.weather([20.0 + number], [f"A{number}"]), into="weather")
        store = FeatureStore(desk.lake)
        store.__dict__["online"] = pickle.loads(pickle.dumps(desk.store.online))  # noqa: S301 - our own
        return store.materialize("delays")

    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(work, range(4)))
    assert {each.service for each in made} == {"delays@1"}
    assert slow.materialize("delays").written in {0, 1, 2, 3}
    assert desk.temps("A0", "A1", "A2", "A3", "JFK") == [20.0, 21.0, 22.0, 23.0, 5.0]
