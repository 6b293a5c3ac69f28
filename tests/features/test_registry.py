"""Definitions in the lake: applied once, never changed, read back equal, by several at once."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import polars as pl
import pyarrow as pa
import pytest

import dataplat as dp
from dataplat._features import FeatureStore
from dataplat.errors import ConfigError, FeatureNotFound, LakeFormatError, StoreError
from dataplat.feature_store.closure import closure_hash
from dataplat.feature_store.codec import service_from_json, service_to_json
from dataplat.testing.features_worlds import drawn_world


def test_apply_is_one_commit_and_the_second_is_none(desk):
    """The same definition again does nothing."""
    first, second = desk.store.apply(desk.service), desk.store.apply(desk.service)
    assert first.commit is not None
    assert second.commit is None
    assert [each.name for each in desk.store.services()] == ["delays@1"]
    assert desk.lake["features.definitions"].rows == 1


def test_a_service_that_is_applied_can_be_planned_by_its_name(desk):
    """What it costs now, and whether all is well with it; a view is no service."""
    desk.store.apply(desk.service)
    assert desk.store.plan("delays").state == "same"
    assert desk.store.apply("delays").commit is None
    with pytest.raises(ConfigError, match="a service, or the name of one, is asked for, and not FeatureView"):
        desk.store.apply(desk.view_of())


def test_another_process_reads_what_was_applied(desk):
    """What is read back is the same, hash and all."""
    desk.store.apply(desk.service)
    [held] = FeatureStore(desk.lake).services()
    assert closure_hash(held.read()) == closure_hash(desk.service) == held.closure


@pytest.mark.parametrize("first", range(0, 60, 20))
def test_every_definition_comes_back(first):
    """Drawn services, windows, aliases, on-demand chains: equal after JSON, and after that again."""
    for seed in range(first, first + 20):
        service = drawn_world(seed, events=4, rows=1).service
        back = service_from_json(service_to_json(service))
        assert closure_hash(back) == closure_hash(service), seed
        assert closure_hash(service_from_json(service_to_json(back))) == closure_hash(service), seed


def test_a_version_never_changes_its_meaning(desk):
    """Another definition of the same version is refused; what differs is said, and which version to give."""
    desk.store.apply(desk.service)
    other = dp.FeatureService("delays", [desk.view_of(ttl="6h")])
    with pytest.raises(ConfigError, match="applied already, and defined otherwise.*version=2"):
        desk.store.apply(other)
    assert desk.store.apply(dp.FeatureService("delays", [desk.view_of(ttl="6h")], version=2)).commit is not None
    assert [each.name for each in desk.store.services()] == ["delays@1", "delays@2"]


def test_many_apply_at_once(desk):
    """Of the same definition one commit is made; of two of one version one wins, and the other is told."""
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: desk.store.apply(desk.service), range(8)))
    assert sum(each.commit is not None for each in made) == 1
    services = [dp.FeatureService("raced", [desk.view_of(ttl=f"{number + 1}h")]) for number in range(4)]

    def race(service: dp.FeatureService) -> bool:
        try:
            return FeatureStore(desk.lake).apply(service).commit is not None
        except ConfigError:
            return False

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(race, services)) == 1
    assert [each.name for each in FeatureStore(desk.lake).services()] == ["delays@1", "raced@1"]


def test_what_is_not_there_is_named(desk):
    """A service, a version, a view: what is meant, and what there is."""
    desk.store.apply(desk.service)
    with pytest.raises(FeatureNotFound, match="no feature service 'dellays'.*did you mean 'delays'"):
        desk.store.training_set({}, "dellays")
    with pytest.raises(FeatureNotFound, match="has no version '7'; it has 1"):
        desk.store.show("delays@7")
    with pytest.raises(FeatureNotFound, match="no feature view 'airport_wether'"):
        desk.store.push("airport_wether", {})


def test_retired_is_gone_and_may_come_back(desk):
    """Its snapshot goes with it; the same definition may be applied again."""
    desk.store.apply(desk.service)
    desk.store.materialize("delays")
    assert list(desk.lake.store.list("leases/"))
    assert desk.store.retire("delays@1") is not None
    assert desk.store.list() == []
    assert desk.store.online.snapshot("delays@1") is None
    assert list(desk.lake.store.list("leases/")) == []
    assert desk.store.apply(desk.service).commit is not None


def test_retired_never_comes_back_as_something_else(desk):
    """A version never changes its meaning, not even when it was away (PIT 26)."""
    desk.store.apply(desk.service)
    desk.store.retire("delays@1")
    other = dp.FeatureService("delays", [desk.view_of(ttl="6h")])
    made = desk.store.plan(other)
    assert made.state == "changed"
    assert "was retired, and meant something else" in made.refused[0]
    with pytest.raises(ConfigError, match="was retired, and meant something else.*version=2"):
        desk.store.apply(other)
    assert desk.store.apply(desk.service).commit is not None
    desk.store.retire("delays@1")
    assert desk.store.apply(dp.FeatureService("delays", [desk.view_of(ttl="6h")], version=2)).commit is not None


def test_a_snapshot_that_outlived_its_service_goes_when_that_is_retired_again(desk, monkeypatch):
    """An online store that was away leaves nothing half done; what was never there is no service."""
    desk.store.apply(desk.service)
    desk.store.materialize("delays")
    with monkeypatch.context() as away:
        away.setattr(desk.store.online, "drop", lambda space: (_ for _ in ()).throw(StoreError("away")))
        with pytest.raises(StoreError, match="away"):
            desk.store.retire("delays@1")
    assert desk.store.list() == []
    assert desk.store.retire("delays@1") is None
    assert desk.store.online.snapshot("delays@1") is None
    with pytest.raises(FeatureNotFound):
        desk.store.retire("delays@1")


def test_limits_may_change_without_a_new_version(desk):
    """Freshness, events of a key and drift are no part of what a version means; the plan says what changes."""
    first = desk.store.apply(desk.service)
    service = dp.FeatureService("delays", [desk.view_of(freshness="1h", drift={"temp": 0.1})])
    made = desk.store.plan(service)
    assert (made.state, made.ok) == ("same", True)
    assert made.changes == [
        "view airport_weather: freshness is 1h, and was not limited",
        "view airport_weather: drift is temp 0.1, and was not limited",
    ]
    second = desk.store.apply(service)
    assert second.commit not in (None, first.commit)
    [held] = desk.store.services()
    assert held.read().views[0].view.drift == (("temp", 0.1),)
    assert desk.store.apply(service).commit is None
    assert "drift: temp 0.1" in repr(desk.store.show("airport_weather"))


def test_views_have_the_features_of_all_that_use_them(desk):
    """Of one service, of on-demand features, and of several services."""
    view = desk.view_of()

    @dp.on_demand(inputs=[view[["count_3h"]]])
    def twice(t):
        return t.count_3h * 2

    desk.store.apply(dp.FeatureService("one", [view[["temp"]], twice]))
    desk.store.apply(dp.FeatureService("two", [view[["temp_mean_3h"]]]))
    assert [name for name, _ in desk.store.show("airport_weather").features] == ["temp", "count_3h", "temp_mean_3h"]


def test_a_name_that_means_two_sources_is_refused(desk):
    """Nobody can say which is meant."""
    desk.lake.ingest(desk.weather(range(3)), into="other")
    desk.store.apply(desk.service)
    desk.store.apply(dp.FeatureService("others", [desk.view_of(source="other")]))
    with pytest.raises(ConfigError, match="different views called 'airport_weather', of 'other' and 'weather'"):
        desk.store.push("airport_weather", {})


def test_what_cannot_be_read_hides_nothing_else(desk):
    """A service of another version of dataplat is listed as that; others are served, and it can be retired or kept anew."""
    desk.store.apply(desk.service)
    desk.store.apply(dp.FeatureService("mine", [desk.view_of()]))
    broken = desk.lake["features.definitions"].to_arrow().to_pylist()
    for row in broken:
        if row["service"] == "delays":
            row["definition"] = row["definition"].replace('"ttl"', '"time_to_live"')
    desk.lake.ingest(pa.Table.from_pylist(broken), into="features.definitions", mode="replace")
    listed = {each.service: each for each in desk.store.list()}
    assert "another version of dataplat" in (listed["delays"].unreadable or "")
    assert listed["mine"].unreadable is None
    assert desk.store.show("airport_weather").kind == "view"
    assert "service mine@1" in repr(desk.store.lineage("weather"))
    with pytest.raises(LakeFormatError, match="another version of dataplat"):
        desk.store.show("delays")
    with pytest.raises(ConfigError, match="defined otherwise"):
        desk.store.apply(dp.FeatureService("delays", [desk.view_of(ttl="6h")]))
    assert desk.store.apply(desk.service).commit is not None
    assert desk.store.show("delays").name == "delays@1"


_RACER = """
import sys
import dataplat as dp
from dataplat.errors import ConfigError

url, ttl = sys.argv[1:]
view = dp.FeatureView(
    "w", source="weather", entity=dp.Entity("airport"), keys={"origin": "airport"}, timestamp="at", ttl=ttl, features=["temp"]
)
store = dp.open(url).features
sys.stdin.read()
for name in ("raced", f"own_{ttl}"):
    try:
        print(store.apply(dp.FeatureService(name, [view])).commit is not None)
    except ConfigError as error:
        print("refused" if "a version never changes its meaning" in str(error) else error)
"""


def test_processes_that_apply_at_once(tmp_path, desk):
    """One definition of a version wins, the others are told; services of their own all land."""
    lake = dp.open(tmp_path / "lake", create=True)
    lake.ingest(desk.weather(range(6)), into="weather")
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", _RACER, str(tmp_path / "lake"), ttl],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for ttl in ("1h", "2h")
    ]
    for racer in racers:  # all are started before one goes on
        assert racer.stdin is not None
        racer.stdin.close()
        racer.stdin = None
    told = [racer.communicate(timeout=60)[0].split() for racer in racers]
    assert sorted(each[0] for each in told) == ["True", "refused"]
    assert [each[1] for each in told] == ["True"] * 2
    assert [each.name for each in lake.features.services()] == ["own_1h@1", "own_2h@1", "raced@1"]


def test_where_as_an_expression_comes_back(desk):
    """A condition is kept as Polars writes it."""
    service = dp.FeatureService("warm", [desk.view_of(where=pl.col("temp") > 2)])
    desk.store.apply(service)
    assert desk.store.services()[0].read().views[0].view.where == service.views[0].view.where


def test_lineage_goes_from_source_to_training_set(desk):
    """What a service is made of, and what was made of it."""
    desk.store.apply(desk.service)
    desk.store.materialize("delays")
    made = desk.store.training_set({"airport": ["JFK"], "t": [desk.hour(4)]}, "delays")
    made.save("train")
    [root] = desk.store.lineage("delays")
    told = repr(root)
    for word in ("dataset weather", "view airport_weather", "service delays@1", "snapshot", "training_set train@id:"):
        assert word in told
    assert desk.lake["train"].commit.changes["train"].lineage
    with pytest.raises(FeatureNotFound, match="'nothing'"):
        desk.store.lineage("nothing")
