"""Servers that really run: a supervisor and its workers, on a port of the loopback, over known values in LMDB or a Redis."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from benchmarks._served import Shape, fill
from dataplat.feature_store.online.connect import online_store
from dataplat.feature_store.online.lmdb_store import LmdbStore

if TYPE_CHECKING:
    from dataplat.feature_store.online.store import OnlineStore

ROOT = Path(__file__).resolve().parents[3]


class Answer(NamedTuple):
    """What came: the status, the header by name in lower case, the body."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, read."""
        return json.loads(self.body)


@dataclass
class Running:
    """A server that runs."""

    process: subprocess.Popen[str]
    url: str
    store: OnlineStore
    shape: Shape
    log: Path

    @property
    def place(self) -> tuple[str, int]:
        """Where it listens."""
        parts = urlsplit(self.url)
        assert parts.hostname is not None
        assert parts.port is not None
        return parts.hostname, parts.port

    def ask(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None, *, timeout: float = 20
    ) -> Answer:
        """Ask over a connection of its own."""
        connection = http.client.HTTPConnection(*self.place, timeout=timeout)
        with contextlib.closing(connection):
            data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
            kind = {"content-type": "application/json"} if data is not None else {}
            connection.request(method, path, data, {**kind, **(headers or {})})
            answer = connection.getresponse()
            return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())

    def lookup(self, body: Any, headers: dict[str, str] | None = None) -> Answer:
        """Look up."""
        return self.ask("POST", "/features/lookup", body, headers)

    def socket(self) -> socket.socket:
        """Return a connection, to say on it what no client would."""
        return socket.create_connection(self.place, timeout=20)

    def metrics(self) -> dict[str, float]:
        """Return the metrics by name and labels."""
        lines = self.ask("GET", "/metrics").body.decode().splitlines()
        return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if line[0] != "#")}

    def workers(self) -> list[int]:
        """Return the processes of the workers."""
        found = subprocess.run(["pgrep", "-P", str(self.process.pid)], capture_output=True, text=True, check=False)
        return [int(pid) for pid in found.stdout.split()]

    def ready(self) -> bool:
        """Tell whether all workers answer."""
        return all(value == 1 for name, value in self.metrics().items() if name.startswith("dataplat_worker_ready"))


def until(true: Callable[[], Any], seconds: float = 60) -> None:
    """Wait until something holds."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.05)


@contextlib.contextmanager
def running(
    folder: Path,
    *,
    filled: bool = True,
    stalled: float = 30.0,
    toml: str = "",
    env: dict[str, str] | None = None,
    online: str | None = None,
    **flags: Any,
) -> Iterator[Running]:
    """Run a server in a folder until the block ends: over an LMDB there, or the Redis of a URL."""
    shape, place = Shape(keys=100, views=3, features=5), str(folder / "online")
    store = LmdbStore(place) if online is None else online_store(online, place)
    if filled:
        fill(store, shape, 1)
    (folder / "dataplat.toml").write_text(toml)
    log = folder / "server.log"
    told = {
        "folder": place,
        "shape": {"keys": shape.keys, "views": shape.views, "features": shape.features},
        "flags": {"port": 0, **flags},
        "stalled": stalled,
        **({} if online is None else {"online": online}),
    }
    packages = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    surroundings = {**os.environ, "PYTHONPATH": packages, **(env or {})}
    with log.open("w") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks._served", json.dumps(told)],
            cwd=folder, env=surroundings, stdout=subprocess.PIPE, stderr=stderr, text=True,
        )  # fmt: skip
    try:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert url, log.read_text()
        yield Running(process, url, store, shape, log)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        assert process.stdout is not None
        process.stdout.close()
        store.close()
