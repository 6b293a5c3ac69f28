"""Definitions in the lake: applied once, never changed, read back equal, by several at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import polars as pl
import pytest

import dataplat as dp
from dataplat._features import FeatureStore
from dataplat.errors import ConfigError, FeatureNotFound
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
    assert desk.store.retire("delays@1") is not None
    assert desk.store.list() == []
    assert desk.store.online.snapshot("delays@1") is None
    assert desk.store.apply(desk.service).commit is not None


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
