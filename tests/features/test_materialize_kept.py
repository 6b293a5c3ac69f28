"""What is served outlives collections: of live snapshots, the ones before, and of what was erased since."""

from __future__ import annotations

import msgspec
import pytest

from dataplat._features import FeatureStore, _kept
from dataplat.errors import CommitConflict, StoreError, VersionNotFound
from dataplat.feature_store.online.connect import online_store
from dataplat.lake._object_keys import object_key
from dataplat.versioning.gc._log import GcLog, Opened
from dataplat.versioning.manifest import load_manifest


@pytest.fixture
def served(desk):
    """Return the desk with a live snapshot, on a branch that keeps only its newest versions."""
    desk.lake.keep("main", "1")
    desk.store.apply(desk.service)
    desk.store.materialize("delays")
    return desk


def more(desk, temp, airport="JFK"):
    """Bring a newer row, and collect."""
    desk.lake.ingest(desk.weather([temp], [airport]), into="weather")
    desk.lake.gc(grace="0s")


def pin(desk):
    """Return the version of the weather that is served."""
    return desk.store.online.snapshot("delays@1").pins["weather"]


def leases(desk):
    """Return the snapshots that hold versions."""
    found = [info.key for info in desk.lake.store.list("leases/features-")]
    return [key.split("-")[2] for key in found]


def test_versions_that_are_served_are_not_collected(served):
    """A branch that keeps one version has others by now: the next snapshot is still the difference to what is live."""
    pinned = pin(served)
    for temp in (7.0, 8.0):
        more(served, temp)
    assert load_manifest(served.lake.objects, pinned).rows == 12
    made = served.store.materialize("delays")
    assert (made.full, made.written) == (False, 1)
    assert served.temps("JFK") == [8.0]


def test_a_step_back_is_not_collected_and_what_it_left_is(served):
    """The snapshot before holds its versions, until it cannot be gone back to."""
    first = pin(served)
    more(served, 7.0)
    served.store.materialize("delays")
    second = pin(served)
    more(served, 8.0)
    assert load_manifest(served.lake.objects, first).rows == 12
    served.store.rollback("delays")
    assert leases(served) == [served.store.online.snapshot("delays@1").id]
    served.lake.gc(grace="0s")
    with pytest.raises(VersionNotFound, match="was collected"):
        load_manifest(served.lake.objects, second)
    made = served.store.materialize("delays")
    assert (made.full, made.written) == (False, 1)
    assert served.temps("JFK") == [8.0]


def test_only_the_live_one_and_the_one_before_hold_versions(served):
    """However many snapshots there were; one that did not go live leaves none behind."""
    names = [served.store.online.snapshot("delays@1").id]
    for temp in (7.0, 8.0, 9.0):
        served.lake.ingest(served.weather([temp]), into="weather")
        names.append(served.store.materialize("delays").snapshot)
    assert sorted(leases(served)) == sorted(names[-2:])
    served.lake.ingest(served.weather([9.5]), into="weather")

    def broken(*_, **__):
        raise OSError("nobody there")

    served.store.online.__dict__["change"] = broken
    with pytest.raises(OSError, match="nobody"):
        served.store.materialize("delays")
    del served.store.online.__dict__["change"]
    assert sorted(leases(served)) == sorted(names[-2:])


def test_two_online_stores_hold_each_their_own(served, tmp_path):
    """What one lets go of the other still has."""
    other = FeatureStore(served.lake)
    other.__dict__["online"] = online_store(f"lmdb:{tmp_path / 'other'}", served.lake.id)
    other.materialize("delays")
    for temp in (7.0, 8.0):
        more(served, temp)
        served.store.materialize("delays")
    assert other.online.snapshot("delays@1").id in leases(served)
    made = other.materialize("delays")
    assert (made.full, made.written) == (False, 1)
    other.online.close()


def test_what_was_collected_after_all_is_made_anew(served):
    """Leases that somebody removed: nothing fails, all of it is made from what is there now."""
    for info in list(served.lake.store.list("leases/")):
        served.lake.store.delete(info.key)
    more(served, 7.0)
    made = served.store.materialize("delays")
    assert (made.full, made.written) == (True, 2)
    assert served.temps("JFK") == [7.0]


def test_leases_are_taken_anew(served, monkeypatch):
    """In the second half of their time, by whoever looks; where one is missing, too; of one who died none stays."""
    [before] = served.lake.store.list("leases/features-")
    served.store.materialize("delays")
    assert list(served.lake.store.list("leases/features-")) == [before]
    monkeypatch.setattr(_kept, "YEAR", 0)
    served.store.materialize("delays")
    [after] = served.lake.store.list("leases/features-")
    assert after.key != before.key
    served.lake.store.delete(after.key)
    kept = _kept.Kept(served.store, "delays@1")
    kept.take("died", [served.lake.refs.head("main").commit.id])
    monkeypatch.setattr(_kept, "YEAR", 10**15)
    served.store.materialize("delays")
    live = served.store.online.snapshot("delays@1").id
    assert sorted(leases(served)) == sorted(["died", live])
    monkeypatch.setattr(_kept, "WEEK", -(10**9))
    served.store.materialize("delays")
    assert leases(served) == [live]


def test_a_collection_under_way(served):
    """What is leased after its first look stays; what it may be deleting cannot be leased any more, and that is said."""
    lake, kept = served.lake, _kept.Kept(served.store, "other@1")
    before = lake.refs.head("main").commit
    version = pin(served)
    for info in list(lake.store.list("leases/")):
        lake.store.delete(info.key)
    for temp in (7.0, 8.0):
        lake.ingest(served.weather([temp], ["JFK"]), into="weather")
    collected = lake.gc(grace="0s", planned=lambda _: kept.take("late", [before.id]))
    assert collected.done.objects
    assert load_manifest(lake.objects, version).rows == 12
    kept.release()
    number = collected.done.number + 1
    signed = {"number": number, "actor": "a", "time": lake.refs.now(), "nonce": "n"}
    GcLog(lake.store).write(Opened(**signed, keys=[object_key(version, ".json")]), lake.refs.patience)
    with pytest.raises(CommitConflict, match=f"may be deleted by collection {number}, which is under way"):
        kept.take("later", [before.id])
    assert leases(served) == []


def test_erased_rows_are_served_no_more(served):
    """After an erase all is made anew: no difference tells what went, and the lease keeps none of it."""
    served.lake.erase("weather", "origin = 'JFK'", "they asked for it")
    served.lake.gc(grace="0s")
    made = served.store.materialize("delays")
    assert (made.full, made.keys) == (True, 1)
    found = served.store.lookup("delays", {"airport": ["JFK", "LGA"]}).to_dict()
    assert found["airport_weather__temp"] == [None, 105.0]
    assert not served.store.materialize("delays").full


def test_a_lake_that_is_another_one(served):
    """What is live names versions that the lake never had (it was put back, or made anew): all of it is made anew."""
    store = served.store
    live = store.online.snapshot("delays@1")
    pins = dict.fromkeys(live.pins, "0" * 64)
    store.online.load("delays@1", msgspec.structs.replace(live, id="foreign", parent=live.id, pins=pins), [])
    made = store.materialize("delays")
    assert (made.full, made.written) == (True, 2)
    assert served.temps("JFK") == [5.0]


def test_a_lake_that_can_only_be_read(served, monkeypatch):
    """It is served from all the same; that its versions are not held is said, each time."""
    served.lake.ingest(served.weather([7.0]), into="weather")

    def refuses(self, key, data, *_, **__):
        raise StoreError(f"{key}: permission denied")

    monkeypatch.setattr(type(served.lake.store), "create", refuses)
    made = served.store.materialize("delays")
    assert made.written == 2
    assert "its versions are not held, and may be collected: leases/features-" in made.notes[0]
    assert "its versions are not held" in served.store.materialize("delays").notes[0]
    assert served.temps("JFK") == [7.0]
