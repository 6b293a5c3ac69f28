"""Snapshots that follow their sources: what may heal is waited for, said and told; what cannot ends it."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

import dataplat as dp
from dataplat._features import FeatureStore, _follow
from dataplat.errors import (
    CommitConflict,
    ConfigError,
    ContractFailed,
    FeatureNotFound,
    SchemaError,
    SnapshotConflict,
    StoreError,
    StoreTimeout,
)
from dataplat.events._outbox import Outbox
from dataplat.feature_store.online.lmdb_store import LmdbStore


class Away(LmdbStore):
    """A store that fails now and then, as one on another machine does: emulated."""

    errors: list[Exception]

    def snapshot(self, space: str) -> Any:
        """Fail, or say what is live."""
        if self.errors:
            raise self.errors.pop(0)
        return super().snapshot(space)


@pytest.fixture
def served(desk, tmp_path, monkeypatch):
    """Return the desk with a live snapshot; events go to a log, and into a state folder of their own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dataplat.toml").write_text('[notify]\nlog = "events.ndjson"\n')
    desk.store.apply(desk.service)
    desk.store.materialize("delays")
    yield desk
    for thread in threading.enumerate():
        if thread.name == "dataplat-events":
            thread.join(60)


def told(desk):
    """Return the kinds of events that were noticed, and of what."""
    return [(each.event["kind"], each.event["subject"]) for each in Outbox.of(desk.lake.id).all()]


def followed(desk, until, service="delays", **options):
    """Follow until `until` returns true of what was made and what failed, both in their order."""
    stop, seen = threading.Event(), []

    def see(each):
        seen.append(each)
        if until(seen):
            stop.set()

    desk.store.follow(service, see, failed=lambda error, _: see(error), every=0.01, stop=stop, **options)
    return seen


def test_a_store_that_is_away_is_waited_for(served):
    """Whatever kind of failure it is, the next look makes up for it; others who were quicker are no trouble to tell."""
    store = FeatureStore(served.lake)
    online = Away(served.store.online.folder)
    online.errors = [
        StoreError("down"),
        StoreTimeout("slow"),
        CommitConflict("gc"),
        SnapshotConflict("other"),
        OSError(5),
    ]
    store.__dict__["online"] = online
    served.lake.ingest(served.weather([7.0], ["JFK"]), into="weather")
    served.store = store
    seen = followed(served, lambda seen: not isinstance(seen[-1], Exception))
    assert [type(each).__name__ for each in seen[:-1]] == [
        "StoreError", "StoreTimeout", "CommitConflict", "SnapshotConflict", "OSError",
    ]  # fmt: skip
    assert seen[-1].written == 1
    assert told(served) == [("snapshot failing", "StoreError"), ("snapshot made", "StoreError")]


def test_a_contract_that_is_not_met_is_waited_for(served):
    """What was live is served until rows come that meet it; the trouble is told once."""
    contract = dp.Contract(checks=[dp.row_count(max=13)])
    served.lake.ingest(served.weather([7.0]), into="weather")

    def until(seen):
        if len(seen) == 3:
            assert served.temps("JFK") == [5.0]
            served.lake.delete("weather", "temp > 100")
        return not isinstance(seen[-1], Exception)

    seen = followed(served, until, contracts={"weather": contract})
    assert {type(each) for each in seen[:-1]} == {ContractFailed}
    assert len(seen) >= 4
    assert served.temps("JFK") == [7.0]
    assert told(served) == [("snapshot failing", "ContractFailed"), ("snapshot made", "ContractFailed")]


def test_a_source_that_lost_a_column_is_waited_for(served):
    """Until it is back."""
    served.lake.evolve("weather", drop=["temp"])

    def until(seen):
        if len(seen) == 1:
            served.lake.revert("main")
        return not isinstance(seen[-1], Exception)

    seen = followed(served, until)
    assert isinstance(seen[0], SchemaError)


def test_what_cannot_heal_ends_it(served):
    """A service that is retired, a definition that is another one, a contract of what is no source."""
    served.lake.ingest(served.weather([7.0]), into="weather")
    with pytest.raises(ConfigError, match="no source 'wether'"):
        followed(served, lambda _: False, contracts={"wether": dp.Contract(checks=[dp.row_count(max=9)])})
    other = dp.FeatureService("delays", [served.view_of(ttl="2h")])
    with pytest.raises(ConfigError, match="another definition"):
        followed(served, lambda _: False, service=other)

    def until(_):
        served.store.retire("delays@1")
        return False

    with pytest.raises(FeatureNotFound):
        followed(served, until)


def test_it_waits_longer_each_time(served):
    """Up to five minutes, or as long as it was told to wait anyway; and not everybody as long."""
    waits = [_follow._wait(10.0, failures) for failures in range(1, 60)]
    assert all(5.0 * 2**at <= wait <= 10.0 * 2**at for at, wait in enumerate(waits[:5]))
    assert all(150.0 <= wait <= 300.0 for wait in waits[5:])
    assert len({round(wait, 6) for wait in waits[5:]}) > 40
    assert 450.0 <= _follow._wait(900.0, 9) <= 900.0


def test_a_stale_view_is_told_once(served):
    """However often it is looked at, and by however many; when it is fresh again that is told, too."""
    stale = dp.FeatureService("old", [served.view_of(freshness="1us")])
    served.store.apply(stale)
    served.store.materialize("old")
    looks = []
    followed(served, lambda seen: looks.append(1) or len(seen) > 0, service="old")
    stop = threading.Event()
    thread = threading.Thread(target=served.store.follow, args=("old",), kwargs={"every": 0.01, "stop": stop})
    thread.start()
    time.sleep(0.5)
    stop.set()
    thread.join()
    assert told(served) == [("snapshot stale", "airport_weather")]
    [event] = [each.event for each in Outbox.of(served.lake.id).all()]
    assert event["text"].startswith("old@1 on main: view airport_weather is stale: its snapshot is of 20")


def test_a_view_that_is_fresh_again_is_told(served):
    """A snapshot that comes late is told as stale before it is made anew, and as fresh after that."""
    view = served.view_of(freshness="2s")
    served.store.apply(dp.FeatureService("late", [view]))
    served.store.materialize("late")
    time.sleep(2.1)
    served.lake.ingest(served.weather([7.0]), into="weather")
    followed(served, lambda _: True, service="late")
    assert sorted(told(served)) == [("snapshot fresh", "airport_weather"), ("snapshot stale", "airport_weather")]


def test_a_server_tells_it_too(served):
    """It looks every two seconds; it is ready all the same, and tells once, with whoever follows."""
    from dataplat.server._counts import Counts
    from dataplat.server._opening import LakeCatalogue
    from dataplat.server._services import Services

    served.store.apply(dp.FeatureService("old", [served.view_of(freshness="1us")]))
    served.store.materialize("old")
    services = Services(LakeCatalogue(served.store, Counts(), 10))
    for _ in range(3):
        services.refresh()
    states = {state.space: state for state in services.states()}
    assert services.ready(list(states.values()))
    assert states["old@1"].stale == ("airport_weather",)
    assert states["delays@1"].stale == ()
    followed(served, lambda _: True, service="old")
    assert told(served) == [("snapshot stale", "airport_weather")]
