"""Servers of drawn worlds: a worker of `dataplat serve` whose clock is set, and a Redis of this process's own."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from dataplat._features._client import FeatureClient
from dataplat.errors import FeatureServerError, StoreError
from dataplat.feature_store.definitions import FeatureService
from dataplat.feature_store.online.store import OnlineStore
from dataplat.server._app import Front
from dataplat.server._counts import Counts
from dataplat.server._opening import LakeCatalogue
from dataplat.server._services import Service, Services
from dataplat.server._settings import Settings
from dataplat.server._supervisor import listening
from dataplat.server._worker import Worker
from dataplat.testing._agreement_cases import Batch, Cases, Stage
from dataplat.testing._agreement_routes import CODES, Cells, repeated
from dataplat.testing.features_worlds import values

if TYPE_CHECKING:
    from dataplat._features._fetched import Fetched

HOST: Final = "127.0.0.1"
PATIENCE: Final = 60.0
"""Seconds until a server must answer: these machines may be busy."""


class _Online:
    """A feature store of nothing but an online store."""

    def __init__(self, online: OnlineStore) -> None:
        self.online = online


class Drawn(LakeCatalogue):
    """The services of drawn worlds."""

    def __init__(self, online: OnlineStore, counts: Counts, most: int) -> None:
        super().__init__(_Online(online), counts, most)  # type: ignore[arg-type]
        self.services: dict[str, FeatureService] = {}

    def spaces(self) -> list[str]:
        """Return those that are served now."""
        return list(self.services)

    def open(self, space: str) -> Service:
        """Return one of them."""
        return self.of(self.services[space], space)

    def close(self) -> None:
        """Leave the store to whoever made it."""


class Http:
    """A worker of `dataplat serve` in a thread, asked over the loopback by the client: rows of a time in one request.

    Args:
        store: what it serves from; another route keeps it.
    """

    name = "http"

    def __init__(self, store: OnlineStore) -> None:
        self.t = 0
        settings, counts = Settings(host=HOST, port=0, access_log="", deadline=PATIENCE, docs=False), Counts()
        self._catalogue = Drawn(store, counts, settings.max_entities)
        self._services = Services(self._catalogue)
        self._ends = os.pipe(), os.pipe()
        (alive, _), (said, saying) = self._ends
        front = Front.of(self._services, settings, counts, clock=lambda: self.t)
        self._worker = Worker(front, settings, counts, {"alive": alive, "saying": saying})
        self._socket = listening(HOST, 0)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        if os.read(said, 16) != b"ready\n":
            raise FeatureServerError("a worker did not begin")
        port = self._socket.getsockname()[1]
        self._client = FeatureClient(f"http://{HOST}:{port}", timeout=PATIENCE)

    def _run(self) -> None:
        try:
            self._worker.run([self._socket])
        finally:
            os.write(self._ends[1][1], b"ended\n")

    def begin(self, cases: Cases, stage: Stage) -> None:
        """Serve it."""
        if cases.space not in self._catalogue.services:
            self._catalogue.services[cases.space] = cases.service
            self._services.refresh()

    def ask(self, cases: Cases, batch: Batch) -> Cells:
        """Answer."""
        keys, request = cases.columns(cases.rows(batch))
        self.t = batch.t
        found = self._client.lookup(cases.space, keys | request, statuses=True, ages=True)
        return repeated(cells_fetched(found), len(batch))

    def end(self, cases: Cases) -> None:
        """Serve it no more."""
        self._catalogue.services.pop(cases.space, None)
        self._services.refresh()

    def close(self) -> None:
        """End the worker."""
        self._client.close()
        self._worker.should_exit = True
        self._thread.join()
        self._socket.close()
        for ends in self._ends:
            for descriptor in ends:
                os.close(descriptor)


def cells_fetched(found: Fetched) -> Cells:
    """Return the cells of what a server answered with; its ages are seconds."""
    statuses, ages = found.statuses, found.ages
    assert statuses is not None
    assert ages is not None
    table = found.table
    return Cells(
        {name: values(table.column(name)) for name in table.column_names},
        {name: [CODES[word] for word in statuses[name]] for name in table.column_names},
        {name: [None if age is None else round(age * 1e6) for age in ages[name]] for name in table.column_names},
        {field.name: field.type for field in table.schema},
    )


@contextmanager
def redis_server(folder: Path, url: str | None = None) -> Iterator[str]:
    """Return the URL of a Redis: of one that is named, or of one that is started in a folder and ended in the end.

    Raises:
        StoreError: There is no program, or it does not answer.
    """
    if url is not None:
        yield url
        return
    program = redis_program()
    for _ in range(3):  # somebody else may take a port in between
        with socket.socket() as probe:
            probe.bind((HOST, 0))
            port: int = probe.getsockname()[1]
        command = [
            program,
            "--bind",
            HOST,
            "--port",
            str(port),
            "--save",
            "",
            "--appendonly",
            "yes",
            "--appendfsync",
            "no",
        ]
        with (folder / "redis.log").open("ab") as log:
            process = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log)  # noqa: S603
        try:
            if _answers(process, port):
                yield f"redis://{HOST}:{port}"
                return
        finally:
            process.terminate()
            process.wait()
    raise StoreError(f"{program} does not begin:\n{(folder / 'redis.log').read_text('utf-8', 'replace')[-1000:]}")


def redis_program() -> str:
    """Return where redis-server lies: on the path, or where `make services` installs it."""
    if found := shutil.which("redis-server"):
        return found
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dataplat-services"
    installed = sorted(cache.glob("redis-*/redis-server"))
    if not installed:
        raise StoreError(
            "there is no redis-server: `make services` installs one, or name one that runs with --redis URL"
        )
    return str(installed[-1])


def _answers(process: subprocess.Popen[Any], port: int) -> bool:
    """Wait until a Redis answers; say whether it does, and is still the process that was started."""
    until = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < until:
        try:
            with socket.create_connection((HOST, port), timeout=1) as asked:
                asked.sendall(b"PING\r\n")
                if asked.recv(16).startswith(b"+PONG"):
                    return process.poll() is None
        except OSError:
            time.sleep(0.02)
    return False
