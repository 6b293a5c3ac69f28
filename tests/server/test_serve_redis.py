"""`dataplat serve` on a real lake whose features are in a real Redis: what comes is what `store.lookup` says, pushes included."""

from __future__ import annotations

import datetime as dt
import json
import signal
import subprocess
import sys

import pyarrow as pa
import pytest

import dataplat as dp
from servers.features import until

T = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
ASKED = {"airport": ["JFK", "LAX", None, "none"], "factor": [2.0, 0.5, 1.0, 1.0]}


def service():
    """Return a service of a last value, windows, and an on-demand feature."""
    weather = dp.FeatureView(
        "weather", source="weather", entity=dp.Entity("airport"), timestamp="t", ttl=None, row_key=["id"],
        features=["temp", dp.Count(window="36500d"), dp.Mean("temp", window="36500d")],
    )  # fmt: skip

    @dp.on_demand(inputs=[weather, dp.Request({"factor": "float64"})])
    def scaled(t):
        return t.temp * t.factor

    return dp.FeatureService("m", [weather, scaled])


@pytest.fixture(scope="module")
def served(tmp_path_factory, mortal_redis):
    """Return a feature store, and where a server of it listens."""
    folder = tmp_path_factory.mktemp("served-redis")
    (folder / "dataplat.toml").write_text(f'[features]\nonline = "{mortal_redis.url}"\n[serve]\nflush = ""\n')
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        lake = dp.open(str(folder / "lake"))
        rows = {"id": [1, 2, 3], "airport": ["JFK", "JFK", "LAX"], "temp": [1.0, 3.0, 0.1]}
        times = [T, T + dt.timedelta(hours=1), T]
        lake.ingest(pa.table(rows | {"t": pa.array(times, pa.timestamp("us", "UTC"))}), into="weather")
        store = lake.features
        store.apply(service())
        store.materialize("m")
        words = ["serve", "--port", "0", "--workers", "2", "--lake", str(folder / "lake"), "--json"]
        with (folder / "log").open("w") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "dataplat", *words], cwd=folder, stdout=subprocess.PIPE, stderr=log, text=True
            )
        with process:
            try:
                line = process.stdout.readline()
                assert line, (folder / "log").read_text()
                yield store, json.loads(line)["url"]
            finally:
                process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0


def same(client, store):
    """Hold the server to what the store says in process, with few rows and with many, and return it."""
    for times in (1, 100):
        asked = {name: values * times for name, values in ASKED.items()}
        found, wanted = client.lookup("m", asked, statuses=True), store.lookup("m", asked, statuses=True)
        assert found.to_arrow().equals(store.lookup("m", asked).to_arrow())
        assert found.statuses == wanted.statuses
        assert (found.snapshot, found.sequence) == (wanted.snapshot, wanted.sequence)
    return client.lookup("m", ASKED).to_dict()


def test_a_lake_over_redis(served, own_redis):
    """Values, statuses and pushes are those of the store; after Redis was killed, and came back, they are the same again."""
    store, url = served
    with dp.FeatureClient(url) as client:
        before = same(client, store)
        assert before["weather__count_36500d"] == [2, 1, 0, 0]
        row = {"id": 4, "airport": "LAX", "t": T + dt.timedelta(hours=2), "temp": 0.3}
        for _ in range(2):
            client.push("weather", [row], idempotency="once")
        after = same(client, store)
        assert (after["weather__temp"][1], after["weather__count_36500d"][1], after["scaled"][1]) == (0.3, 2, 0.15)
        own_redis.kill()
        with (
            dp.FeatureClient(url, retries=0) as hasty,
            pytest.raises(dp.FeatureServerError, match="the online store does not answer") as caught,
        ):
            hasty.lookup("m", ASKED)
        assert caught.value.status == 503
        own_redis.start()
        until(client.ready)
        assert same(client, store) == after
