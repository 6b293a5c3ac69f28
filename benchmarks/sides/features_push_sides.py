"""Serves a lake with the real server, pushes rows, and says how long it takes until each worker serves them.

python features_push_sides.py lmdb|redis SCRATCH
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "services")]

WORKERS, KEYS, ROWS = 2, 1000, 300


def main(way: str, scratch: Path) -> None:
    """Measure one store."""
    scratch = scratch.resolve()
    os.environ["XDG_STATE_HOME"] = str(scratch / "state")
    with contextlib.ExitStack() as stack:
        features = ""
        if way == "redis":
            from servers.redis import redis_server

            (scratch / "redis").mkdir(parents=True)
            features = f'[features]\nonline = "{stack.enter_context(redis_server(scratch / "redis")).url}"\n'
        scratch.mkdir(exist_ok=True)
        (scratch / "dataplat.toml").write_text(f'{features}[serve]\naccess_log = ""\n')
        os.chdir(scratch)
        prepared(scratch)
        url = stack.enter_context(served(scratch))
        figures = {}
        for name, clients in (("one client", 1), ("8 clients", 8)):
            took = sorted(pushed(url, clients))
            figures[f"{name}: p50 ms"] = took[len(took) // 2] * 1e3
            figures[f"{name}: p99 ms"] = took[len(took) * 99 // 100] * 1e3
    print(json.dumps(figures))


def prepared(scratch: Path) -> None:
    """Make a lake with a service of windows, materialised."""
    import pyarrow as pa

    import dataplat as dp

    lake = dp.open(scratch / "lake")
    now = datetime.now(UTC)
    first = {
        "airport": [f"k{number % KEYS}" for number in range(10 * KEYS)],
        "seen": [now - timedelta(minutes=number % 600) for number in range(10 * KEYS)],
        "temp": [float(number) for number in range(10 * KEYS)],
    }
    lake.ingest(pa.table(first), into="weather")
    view = dp.FeatureView(
        "weather",
        source="weather",
        entity=dp.Entity("airport"),
        timestamp="seen",
        ttl=None,
        features=["temp", dp.Count(window="1d", name="n"), dp.Mean("temp", window="1d"), dp.Max("temp", window="1d")],
    )
    service = dp.FeatureService("model", [view])
    lake.features.apply(service)
    lake.features.materialize(service)
    lake.features.online.close()


@contextlib.contextmanager
def served(scratch: Path) -> Iterator[str]:
    """Run the server; give where it listens."""
    words = ["serve", "--port", "0", "--workers", str(WORKERS), "--lake", str(scratch / "lake"), "--json"]
    process = subprocess.Popen([sys.executable, "-m", "dataplat", *words], stdout=subprocess.PIPE, text=True)
    try:
        url = json.loads(process.stdout.readline())["url"]
        until = time.monotonic() + 60
        while len(workers(url)) < WORKERS:
            assert time.monotonic() < until
        yield url
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def workers(url: str) -> dict[str, http.client.HTTPConnection]:
    """Return a connection to each worker that could be reached: ids of requests say whose they are."""
    found: dict[str, http.client.HTTPConnection] = {}
    for _ in range(40):
        connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=30)
        with contextlib.suppress(OSError):
            connection.request("GET", "/healthz")
            answer = connection.getresponse()
            answer.read()
            found.setdefault(str(answer.getheader("x-request-id")).partition("-")[0], connection)
        if len(found) == WORKERS:
            break
    return found


def pushed(url: str, clients: int) -> list[float]:
    """Return the seconds from each push to its value in every worker."""
    took: list[float] = []

    def client(number: int) -> None:
        connections = list(workers(url).values())
        assert len(connections) == WORKERS
        for row in range(ROWS // clients):
            key, temp = f"k{number * 100 + row % 97}", 1e6 * number + row
            told = {"airport": key, "seen": datetime.now(UTC).isoformat(), "temp": temp}
            begin = time.perf_counter()
            asked(connections[row % WORKERS], "/features/push", {"view": "weather", "rows": [told]})
            for connection in connections:
                found = asked(connection, "/features/lookup", {"service": "model", "entities": {"airport": [key]}})
                assert found["features"]["weather__temp"] == [temp], (found, temp)
            took.append(time.perf_counter() - begin)

    threads = [threading.Thread(target=client, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(took) == ROWS // clients * clients
    return took


def asked(connection: http.client.HTTPConnection, path: str, body: object) -> dict:
    """Return an answer."""
    connection.request("POST", path, json.dumps(body).encode(), {"content-type": "application/json"})
    answer = connection.getresponse()
    told = json.loads(answer.read())
    assert answer.status == 200, told
    return told


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
