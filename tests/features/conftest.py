"""A lake with hours of weather, features of it, and an online store of its own."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest

import dataplat as dp
from dataplat._features import FeatureStore
from dataplat.feature_store.online.connect import online_store

START = datetime(2026, 1, 5, tzinfo=UTC)
AIRPORT = dp.Entity("airport")


def hour(number: float) -> datetime:
    """Return a time, hours after the start."""
    return START + timedelta(hours=number)


def weather(hours: Any, airports: Any = ("JFK", "LGA"), late: float = 0.0) -> pa.Table:
    """Return a row for each airport and hour, known so many hours later."""
    rows = [(name, each) for each in hours for name in airports]
    return pa.table(
        {
            "origin": [name for name, _ in rows],
            "at": pa.array([hour(each) for _, each in rows], pa.timestamp("us", "UTC")),
            "seen": pa.array([hour(each + late) for _, each in rows], pa.timestamp("us", "UTC")),
            "temp": [each + 100.0 * (name == "LGA") for name, each in rows],
        }
    )


def view_of(**options: Any) -> dp.FeatureView:
    """Return a view of weather: the last temperature, and windows."""
    given: dict[str, Any] = {
        "source": "weather",
        "entity": AIRPORT,
        "keys": {"origin": "airport"},
        "timestamp": "at",
        "known_at": "seen",
        "ttl": None,
        "features": [
            "temp",
            dp.Mean("temp", window="3h"),
            dp.Count(window="3h"),
            dp.Max("temp", window="6h", accuracy="hop(1h)"),
        ],
    }
    return dp.FeatureView("airport_weather", **(given | options))


@dataclass
class Desk:
    """A lake and its feature store."""

    lake: dp.Lake
    store: FeatureStore
    service: dp.FeatureService

    hour = staticmethod(hour)
    weather = staticmethod(weather)
    view_of = staticmethod(view_of)

    def temps(self, *airports: str, t: datetime | None = None) -> list[float | None]:
        """Return what is served of airports' temperatures."""
        found: list[float | None] = self.store.lookup(self.service, {"airport": list(airports)}, t=t).to_dict()[
            "airport_weather__temp"
        ]
        return found


@pytest.fixture
def desk(new_lake, tmp_path):
    """Return a lake with six hours of weather, and a service that is not applied yet."""
    lake = new_lake()
    lake.ingest(weather(range(6)), into="weather")
    store = FeatureStore(lake)
    store.__dict__["online"] = online_store(f"lmdb:{tmp_path / 'online'}", lake.id)
    yield Desk(lake, store, dp.FeatureService("delays", [view_of()]))
    store.online.close()
