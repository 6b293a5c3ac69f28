"""`verify`: no difference where there is none, and every planted one is found."""

from __future__ import annotations

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

import dataplat as dp
from dataplat.errors import SchemaError
from dataplat.feature_store import verify as verified
from dataplat.feature_store.verify import verify

AIRPORT, NUMBER = dp.Entity("airport"), dp.Entity("n", "int64")
SCHEMA = pa.schema(
    [
        ("origin", pa.string()),
        ("k", pa.int64()),
        ("at", pa.timestamp("us", "UTC")),
        ("seen", pa.timestamp("us", "UTC")),
        ("id", pa.string()),
        ("flag", pa.bool_()),
        ("x", pa.float64()),
        ("s", pa.string()),
        ("v", pa.list_(pa.float64())),
    ]
)


def service() -> dp.FeatureService:
    """Return a service of everything that there is."""
    plain = dp.FeatureView(
        "plain",
        source="rows",
        entity=AIRPORT,
        keys={"origin": "airport"},
        timestamp="at",
        ttl="6h",
        features=["x", dp.Field("s", default="none"), "v"],
    )
    late = dp.FeatureView(
        "late",
        source="rows",
        entity=[AIRPORT, NUMBER],
        keys={"origin": "airport", "k": "n"},
        timestamp="at",
        known_at="seen",
        delay="5m",
        ttl="12h",
        row_key=["id"],
        where=pl.col("flag"),
        features=[
            dp.Mean("x", window="24h"),
            dp.Quantile("x", 0.9, window="7h"),
            dp.LastN("s", 3),
            dp.DistinctCount("s", window="7d", accuracy="hop(1h)"),
            dp.Sum("x", window="7h", accuracy="hop(30m)"),
            dp.Field("s", fill="last_non_null"),
            dp.Ratio(dp.Sum("x", window="7h"), dp.Count(window="7h")),
        ],
    )
    commits = dp.FeatureView(
        "commits",
        source="rows",
        entity=None,
        timestamp="at",
        ttl=None,
        history="commits",
        features=["x", dp.Count(window="7h")],
    )

    @dp.on_demand(inputs=[plain, dp.Request({"distance": "float64"})])
    def per(t):
        return t.x / t.distance

    return dp.FeatureService("all", [plain, late, commits, plain.alias("dest", on={"d": "airport"}), per])


def schemas() -> dict[str, pa.Schema]:
    """Return the schema of each view's source."""
    return dict.fromkeys(("plain", "late", "commits", "dest"), SCHEMA)


def test_all_ways_agree():
    """Every kind of view and feature, on drawn worlds."""
    found = verify(service(), schemas(), worlds=15)
    assert found.differences == []
    assert found.worlds == 15
    assert set(found.cells) == {"parts", "search", "serving"}
    assert min(found.cells.values()) > 1_000


def test_a_seed_draws_the_same():
    """And another one others."""
    assert verify(service(), schemas(), worlds=1, seed=3).cells == verify(service(), schemas(), worlds=1, seed=3).cells


@pytest.mark.parametrize("broken", ["a record is lost", "an age is off", "a search is one row late"])
def test_what_is_broken_is_found(monkeypatch, broken):
    """Serving that loses a record, an age that is off by a microsecond, a search that takes the row before."""
    if broken == "a record is lost":
        pack = verified.pack
        monkeypatch.setattr(verified, "pack", lambda *given: list(pack(*given))[1:])
    elif broken == "an age is off":
        answers = verified.answers

        def off(*given, **more):
            table = answers(*given, **more)
            ages = pa.array(
                [None if each.value is None else each.value + 1 for each in table["plain__x__age"]], pa.int64()
            )
            place = table.schema.get_field_index("plain__x__age")
            return table.set_column(place, "plain__x__age", ages.cast(pa.duration("us")))

        monkeypatch.setattr(verified, "answers", off)
    else:
        latest = verified.latest

        def late(*given):
            found = latest(*given)
            if found is not None:
                found.row[:] = np.maximum(found.row - 1, 0)
            return found

        monkeypatch.setattr(verified, "latest", late)
    assert not verify(service(), schemas(), worlds=6).ok


def test_by_the_store(desk):
    """Of a service that was applied, in the types of its sources; no row is read."""
    desk.store.apply(desk.service)
    found = desk.store.verify("delays", worlds=3)
    assert found.ok
    assert found.to_dict()["worlds"] == 3


def test_a_source_that_lost_a_column_is_said(desk):
    """View and column are named."""
    desk.store.apply(desk.service)
    desk.lake.ingest(desk.weather(range(3)).drop(["temp"]), into="weather", mode="replace")
    with pytest.raises(SchemaError, match="view airport_weather: its source has no column 'temp'"):
        desk.store.verify("delays", worlds=1)


def test_long_checks_say_how_far_they_are(desk):
    """A plan tells the view that it looks at and its rows, a proof its worlds, as ingests do."""
    told = []
    desk.store.plan(desk.service, progress=told.append)
    assert [each.stage for each in told] == ["looking at airport_weather:", "packing some keys of"]
    assert told[-1].rows == 12
    told.clear()
    desk.store.verify(desk.service, worlds=2, progress=lambda each: told.append((each.stage, each.rows)))
    assert told[0] == ("1 of 2 worlds:", 24)
