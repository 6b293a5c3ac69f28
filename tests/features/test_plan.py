"""The plan: what would change, what serving costs, and what is refused, on the real rows."""

from __future__ import annotations

import pyarrow as pa
import pytest

import dataplat as dp
from dataplat.errors import ConfigError


def test_a_new_service_and_then_the_same(desk):
    """Nothing is changed by a plan; its costs are close to those of the snapshot."""
    made = desk.store.plan(desk.service)
    assert (made.state, made.ok, made.keys) == ("new", True, 2)
    assert "features.definitions" not in {each.name for each in desk.lake.datasets()}
    desk.store.apply(desk.service)
    snapshot = desk.store.materialize("delays")
    assert desk.store.plan(desk.service).state == "same"
    assert (snapshot.keys, desk.store.online.snapshot("delays@1").keys) == (2, 2)
    assert made.bytes_per_key > 10


def test_what_differs_from_the_version_before(desk):
    """In words."""
    desk.store.apply(desk.service)
    made = desk.store.plan(dp.FeatureService("delays", [desk.view_of(ttl="1h")], version=2))
    assert any("differs in ttl" in each for each in made.changes)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"source": "wether"}, "no dataset 'wether'"),
        ({"features": ["tmp"]}, "no column 'tmp'; did you mean 'temp'"),
        ({"timestamp": "temp"}, "no times"),
        ({"keys": {"temp": "airport"}}, "no key of entity airport"),
        ({"features": [dp.Count(window="3h")], "max_events_per_key": 2}, "max_events_per_key is 2.*accuracy='hop"),
        ({"where": "temp >"}, "where"),
    ],
)
def test_what_cannot_be_is_refused(desk, options, said):
    """A source, a column, times, keys, too many events: said before anything is applied."""
    service = dp.FeatureService("bad", [desk.view_of(**options)])
    with pytest.raises(ConfigError, match=said):
        desk.store.apply(service)
    assert desk.store.services() == []


def test_an_on_demand_feature_that_looks_at_other_rows_is_refused(desk):
    """A mean over the batch is another value for every batch (PIT 25)."""
    view = desk.view_of()

    @dp.on_demand(inputs=[view])
    def centred(t):
        return t.temp - t.temp.mean()

    with pytest.raises(ConfigError, match="centred is not row-local"):
        desk.store.apply(dp.FeatureService("bad", [view, centred]))


def test_a_source_that_loses_rows_is_refused(desk):
    """Training sets must see what was served: commits are read, times are part of the key, or nothing (PIT 28)."""
    desk.lake.delete("weather", "temp = 3")
    made = desk.store.plan(desk.service)
    assert not made.ok
    assert "does not only grow" in made.refused[0]
    assert desk.store.plan(dp.FeatureService("commits", [desk.view_of(history="commits", known_at=None)])).ok
    rows = desk.weather(range(3))
    desk.lake.ingest(rows, into="keyed", key=["origin", "at", "seen"])
    desk.lake.ingest(rows, into="keyed", mode="upsert", key=["origin", "at", "seen"])
    assert desk.store.plan(dp.FeatureService("keyed", [desk.view_of(source="keyed")])).ok


def test_naive_times_are_refused_unless_a_zone_is_named(desk):
    """Naive times could be any (PIT 13)."""
    naive = desk.weather(range(3)).set_column(
        1, "at", pa.array([desk.hour(0).replace(tzinfo=None)] * 6, pa.timestamp("us"))
    )
    desk.lake.ingest(naive, into="naive")
    assert "without a zone" in desk.store.plan(dp.FeatureService("n", [desk.view_of(source="naive")])).refused[0]
    assert desk.store.plan(dp.FeatureService("n", [desk.view_of(source="naive", zone="America/New_York")])).ok


def test_null_keys_and_ties_are_told(desk):
    """They are no errors, and nobody wants them."""
    rows = desk.weather([1.0, 1.0], ["JFK", None])
    desk.lake.ingest(rows, into="odd")
    told = " ".join(desk.store.plan(dp.FeatureService("odd", [desk.view_of(source="odd")])).warnings)
    assert "2 rows have no key" in told
    assert "agree with another one" in told


def test_labels_do_not_leak(desk):
    """A feature of the label itself, or of its dataset without a known time, is refused with the reason (PIT 27)."""
    labels = pa.table({"origin": ["JFK"], "at": pa.array([desk.hour(1)], pa.timestamp("us", "UTC")), "late": [1.0]})
    desk.lake.ingest(labels, into="labels")
    spine = {"airport": ["JFK"], "origin": ["JFK"], "t": [desk.hour(2)]}
    asked = {"entity": dp.Entity("airport"), "keys": {"origin": "airport"}, "timestamp": "at", "ttl": None}
    itself = dp.FeatureView("itself", source="labels", features=["late"], **asked)
    with pytest.raises(ConfigError, match="made of the label itself"):
        desk.store.training_set(spine, dp.FeatureService("l", [itself]), labels="labels", label_on="origin")
    silent = dp.FeatureView("silent", source="labels", features=[dp.Count(window="3h")], **asked)
    with pytest.raises(ConfigError, match="does not say when its rows were known"):
        desk.store.training_set(spine, dp.FeatureService("l", [silent]), labels="labels", label_on="origin")
