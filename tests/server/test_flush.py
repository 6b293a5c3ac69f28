"""What is pushed over HTTP lands in its dataset by itself: every row once, whoever is killed, and as the server ends."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

import dataplat as dp
from dataplat.errors import StoreError
from dataplat.feature_store.online.lmdb_store import LmdbStore
from dataplat.feature_store.served import landing
from dataplat.server._counts import FAILED_FLUSHES, FLUSHED_AT, LANDED, Counts
from dataplat.server._flush import Flusher, folder_of
from servers.features import until

VIEW = dp.FeatureView(
    "trips",
    source="trips",
    entity=dp.Entity("driver"),
    timestamp="finished",
    ttl=None,
    features=["minutes", dp.Count(window="1d", name="n")],
)
SERVICE = dp.FeatureService("eta", [VIEW])


class Place:
    """A lake with a trip, served from a folder."""

    def __init__(self, folder):
        self.folder = folder
        self.lake = dp.open(folder / "lake")
        first = {"driver": ["ann"], "finished": [datetime.now(UTC) - timedelta(hours=1)], "minutes": [1.0]}
        self.lake.ingest(pa.table(first), into="trips")
        self.store = self.lake.features
        self.store.apply(SERVICE)
        self.store.materialize(SERVICE)

    @contextlib.contextmanager
    def serving(self, workers=1, **settings):
        """Run the real server."""
        lines = [f"{name} = {json.dumps(value)}" for name, value in settings.items()]
        (self.folder / "dataplat.toml").write_text(
            "\n".join(["[notify]", 'log = "events.ndjson"', "[serve]", 'access_log = ""', *lines])
        )
        words = ["serve", "--port", "0", "--workers", str(workers), "--lake", str(self.folder / "lake"), "--json"]
        with (self.folder / "server.log").open("a") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "dataplat", *words],
                cwd=self.folder,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        try:
            line = process.stdout.readline()
            assert line, (self.folder / "server.log").read_text()
            self.url, self.process = json.loads(line)["url"], process
            yield self
        finally:
            process.send_signal(signal.SIGTERM)
            process.stdout.close()
            assert process.wait(60) == 0

    def workers(self):
        """Return the processes of the workers."""
        found = subprocess.run(["pgrep", "-P", str(self.process.pid)], capture_output=True, text=True, check=False)
        return [int(pid) for pid in found.stdout.split()]

    def ready(self):
        """Tell whether all workers answer."""
        with contextlib.suppress(OSError, http.client.HTTPException):
            return all(value for name, value in self.metrics().items() if name.startswith("dataplat_worker_ready"))
        return False

    def metrics(self):
        """Return the metrics by name and labels."""
        connection = http.client.HTTPConnection(self.url.removeprefix("http://"), timeout=20)
        with contextlib.closing(connection):
            connection.request("GET", "/metrics")
            lines = connection.getresponse().read().decode().splitlines()
        return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if line[0] != "#")}

    def landed(self):
        """Return the minutes of trips that are in the dataset."""
        return sorted(self.lake["trips"].to_arrow()["minutes"].to_pylist())


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Return a lake that can be served."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    found = Place(tmp_path)
    yield found
    found.store.online.close()


def trip(minutes):
    """Return a row of now."""
    return {"driver": "ann", "finished": datetime.now(UTC), "minutes": minutes}


def test_rows_land_by_themselves_and_workers_that_are_killed_lose_none(place):
    """All workers are killed with rows that wait, and as they land: each lands once, and is served as it was."""
    with place.serving(workers=2, flush="300ms") as served, dp.FeatureClient(served.url, timeout=60) as client:
        wanted = [1.0]
        for number in range(30):
            client.push("trips", [trip(100.0 + number)], idempotency=f"trip {number}")
            wanted.append(100.0 + number)
            if number in ((5, 17, 29) if os.environ.get("DATAPLAT_DEATHS") else (17,)):
                time.sleep(0.1 * number % 0.4)
                for pid in place.workers():
                    os.kill(pid, signal.SIGKILL)
                until(served.ready)
        until(lambda: place.landed() == wanted)
        until(lambda: served.metrics()["dataplat_pushed_rows_landed_total"] > 0)
        metrics = served.metrics()
        assert metrics["dataplat_pushed_rows_waiting"] == 0
        assert metrics["dataplat_flush_timestamp_seconds"] > 0
        for number in range(0, 30, 7):  # a client that did not hear it sends it again
            client.push("trips", [trip(500.0)], idempotency=f"trip {number}")
        assert client.lookup("eta", {"driver": ["ann"]}).to_dict()["trips__n"] == [31]
        place.store.materialize("eta")
        assert client.lookup("eta", {"driver": ["ann"]}).to_dict() == {"trips__minutes": [129.0], "trips__n": [31]}
    assert place.landed() == wanted


def test_what_waits_lands_as_the_server_ends_or_begins(place):
    """With an hour between commits, rows land at the end; those of a server that was killed when the next one begins."""
    with place.serving(flush="1h") as served, dp.FeatureClient(served.url) as client:
        client.push("trips", [trip(2.0)])
        assert place.landed() == [1.0]
    assert place.landed() == [1.0, 2.0]
    place.store.push("trips", {name: [value] for name, value in trip(3.0).items()})  # of somebody who died
    with place.serving(flush="1h"):
        until(lambda: place.landed() == [1.0, 2.0, 3.0])


def test_many_rows_are_not_waited_with(place):
    """So many rows of a worker land at once, whatever time is left."""
    with place.serving(flush="1h", flush_rows=10) as served, dp.FeatureClient(served.url) as client:
        client.push("trips", [trip(2.0)] * 4)
        assert place.landed() == [1.0]
        client.push("trips", [trip(3.0)] * 6)
        until(lambda: len(place.landed()) == 11)


def test_rows_that_cannot_land_are_said(place):
    """The dataset is gone: rows wait, are counted and told, once; when it is back they land."""
    with place.serving(flush="200ms") as served, dp.FeatureClient(served.url) as client:
        client.push("trips", [trip(2.0)])
        until(lambda: place.landed() == [1.0, 2.0])
        place.lake.rename("trips", "elsewhere")
        place.store.online.push("push:trips", [noted(place, 3.0)])
        until(lambda: served.metrics()["dataplat_flush_failures_total"] > 1)
        assert served.metrics()["dataplat_pushed_rows_waiting"] == 1
        place.lake.rename("elsewhere", "trips")
        until(lambda: served.metrics()["dataplat_pushed_rows_waiting"] == 0)
        until(lambda: "pushes landing" in (place.folder / "events.ndjson").read_text())
    kinds = [json.loads(line)["kind"] for line in (place.folder / "events.ndjson").read_text().splitlines()]
    assert kinds == ["pushes waiting", "pushes landing"]
    assert (place.folder / "server.log").read_text().count("rows that were pushed to trips wait to be landed") == 1
    assert place.landed() == [1.0, 2.0, 3.0]


def noted(place, minutes):
    """Return a row as a push notes it down."""
    from dataplat._features._pushed_types import row_bytes, typed
    from dataplat.feature_store.online.store import Pushed

    row = {name: [value] for name, value in trip(minutes).items()}
    table = typed("trips", place.lake["elsewhere"].schema, pa.table(row), (), 0)
    return Pushed(b"row", b"another", 1, 1, row_bytes(table))


class Away(LmdbStore):
    """A store that does not answer for a while: emulated."""

    away = False

    def spaces(self):
        """Fail, or say which there are."""
        if self.away:
            raise StoreError("nobody there")
        return super().spaces()


def test_one_worker_at_a_time(place):
    """Whoever holds the lock flushes; another one waits for its turn, and its end for that of the other."""
    counts = Counts()
    place.store.push("trips", {name: [value] for name, value in trip(2.0).items()})
    with landing(folder_of(place.store)) as mine:
        assert mine
        flusher = Flusher(place.store, counts, 0.01, 10)
        time.sleep(0.3)
        assert place.landed() == [1.0]
    flusher.close()
    assert place.landed() == [1.0, 2.0]
    assert counts.of(LANDED, 0) == 1


def test_a_store_that_is_away_is_counted_until_it_is_back(place, caplog):
    """Each try that fails is counted, the trouble said once; when the store answers, rows land and that is told."""
    online = place.store.__dict__["online"] = Away(place.store.online.folder)
    online.away = True
    counts = Counts()
    place.store.push("trips", {name: [value] for name, value in trip(2.0).items()})
    flusher = Flusher(place.store, counts, 0.01, 10)
    until(lambda: counts.of(FAILED_FLUSHES, 0) > 2)
    assert counts.of(FLUSHED_AT, 0) == 0
    online.away = False
    until(lambda: counts.of(FLUSHED_AT, 0) > 0)
    flusher.close()
    assert place.landed() == [1.0, 2.0]
    assert [each.message for each in caplog.records] == ["rows that were pushed wait to be landed: nobody there"]
