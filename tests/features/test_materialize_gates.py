"""Before a snapshot goes live: contracts of its sources, and bounds of how far its features may move."""

from __future__ import annotations

import pyarrow as pa
import pytest

import dataplat as dp
from dataplat.errors import ConfigError, ContractFailed, NotMaterialized

MANY = [f"A{number:03}" for number in range(600)]


@pytest.fixture
def bounded(desk):
    """Return what applies a service of views with bounds of drift, with a live snapshot of 600 airports."""

    def made(**options):
        desk.lake.ingest(desk.weather([0.1], MANY), into="weather")
        desk.store.apply(dp.FeatureService("delays", [desk.view_of(**options)]))
        desk.store.materialize("delays")
        return desk

    return made


def spread(desk, hour, warmer):
    """Bring a row for each airport."""
    rows = desk.weather([hour], MANY)
    temps = pa.array([number % 100 + warmer for number in range(600)], pa.float64())
    desk.lake.ingest(rows.set_column(3, "temp", temps), into="weather")


def test_a_feature_that_moves_too_far_is_not_served(bounded):
    """The error names service, view, feature, figure, bound, and how to let it through; what was live is served."""
    desk = bounded(drift={"temp": 0.2})
    spread(desk, 1.0, 0.0)
    with pytest.raises(ContractFailed) as failed:
        desk.store.materialize("delays")
    live = desk.store.online.snapshot("delays@1")
    told = str(failed.value)
    assert f"delays@1 goes on to serve snapshot {live.id}" in told
    assert "view airport_weather: temp moves by 0.9" in told
    assert "and 0.2 is allowed" in told
    assert "temp_mean_3h" not in told
    assert "--accept-drift" in told
    assert desk.temps("A001") == [0.1]
    with pytest.raises(ContractFailed):
        desk.store.materialize("delays", dry_run=True)
    desk.store.materialize("delays", accept_drift=True)
    assert desk.temps("A001") == [1.0]


def test_a_feature_that_moves_little_is_served(bounded):
    """Another day of the same weather is no drift, nor what no bound is of."""
    desk = bounded(drift={"temp": 0.2})
    spread(desk, 1.0, 0.0)
    desk.store.materialize("delays", accept_drift=True)
    spread(desk, 2.0, 3.0)
    desk.store.materialize("delays")
    assert desk.temps("A001") == [4.0]
    spread(desk, 3.0, 40.0)
    with pytest.raises(ContractFailed, match=r"temp moves by 0\.[34]"):
        desk.store.materialize("delays")


def test_values_that_go_missing_are_drift(bounded):
    """Keys whose rows expired or vanished are compared as nulls."""
    desk = bounded(drift=0.2, features=["temp"])
    rows = desk.weather([1.0], MANY)
    desk.lake.ingest(rows.set_column(3, "temp", pa.nulls(600, pa.float64())), into="weather")
    with pytest.raises(ContractFailed, match="temp moves by 0.9"):
        desk.store.materialize("delays")


def test_full_snapshots_are_held_to_it_too(bounded):
    """All anew or by difference, the bound is the same; without one nothing is compared."""
    desk = bounded(drift=0.2, features=["temp"])
    spread(desk, 1.0, 50.0)
    with pytest.raises(ContractFailed, match="temp moves"):
        desk.store.materialize("delays", full=True)
    desk.store.apply(dp.FeatureService("free", [desk.view_of(features=["temp"])]))
    desk.store.materialize("free")
    spread(desk, 2.0, 500.0)
    desk.store.materialize("free")


def test_what_cannot_be_compared_is_said(bounded):
    """Where the versions of what is live were collected after all, it goes live, with a note."""
    desk = bounded(drift=0.2, features=["temp"])
    desk.lake.keep("main", "1")
    for info in list(desk.lake.store.list("leases/")):
        desk.lake.store.delete(info.key)
    spread(desk, 1.0, 50.0)
    desk.lake.gc(grace="0s")
    made = desk.store.materialize("delays")
    assert made.full
    assert "view airport_weather: its drift is not known" in made.notes[0]


def test_a_sample_of_keys_is_compared(bounded, monkeypatch):
    """Of many rows some keys are looked at, the same ones on both sides."""
    monkeypatch.setattr("dataplat._features._gates.ROWS", 100)
    monkeypatch.setattr("dataplat._features._gates.KEYS", 60)
    desk = bounded(drift=0.2, features=["temp"])
    spread(desk, 1.0, 0.0)
    with pytest.raises(ContractFailed, match="temp moves by") as failed:
        desk.store.materialize("delays")
    keys = int(str(failed.value).partition(" keys)")[0].rpartition(" and ")[2].replace(",", ""))
    assert 30 < keys < 400


def test_a_contract_of_what_is_no_source(desk):
    """It is refused, and what was meant is said."""
    desk.store.apply(desk.service)
    with pytest.raises(
        ConfigError, match=r"delays@1 has no source 'wether' to hold to a contract; did you mean 'weather'"
    ):
        desk.store.materialize("delays", contracts={"wether": dp.Contract(checks=[dp.row_count(max=9)])})
    with pytest.raises(NotMaterialized):
        desk.temps("JFK")
