"""One process that holds the socket and looks after the workers: it starts one anew that died, and ends them in order.

Workers are processes of their own, started and not forked, so no handle of a store is carried over. They accept from one
socket that the supervisor keeps open: connections that wait in it outlive a worker's death. It serves nothing itself, and
loads the standard library only.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import FrameType
from typing import Any, Final

from dataplat import errors
from dataplat.errors import ConfigError
from dataplat.server._counts import BEAT, PID, READY, RESTARTS, Counts, make
from dataplat.server._settings import Settings

WORKER: Final = "dataplat.server._worker"
BACKLOG: Final = 4096
STARTING: Final = 120.0
"""Seconds until a worker has to answer."""
_CALM: Final = 10.0
"""Seconds of life after which a death is no sign of more to come."""
_LOG: Final = logging.getLogger("dataplat.serve")


@dataclass(slots=True)
class Worker:
    """A worker, or its place while it has none."""

    row: int
    process: subprocess.Popen[bytes] | None = None
    said: int = -1
    began: float = 0.0
    ready: bool = False
    again: float = 0.0
    deaths: int = 0
    told_to_end: bool = False


@dataclass
class Supervisor:
    """See the module.

    Args:
        settings: how to serve.
        told: what workers are told beside: the lake, the branch, flags.
        on_ready: called with the URL when the first worker answers.
        worker: the module that is run as a worker.
        stalled: seconds without a beat after which a worker is taken for dead, and killed.
    """

    settings: Settings
    told: Mapping[str, Any]
    on_ready: Callable[[str], None] = lambda _url: None
    worker: str = WORKER
    stalled: float = 30.0
    _workers: list[Worker] = field(default_factory=list)
    _rolling: list[int] = field(default_factory=list)
    _ending: bool = False
    _failure: errors.DataplatError | None = None
    _ever_ready: bool = False

    def run(self) -> None:
        """Serve until SIGTERM or SIGINT; SIGHUP starts workers anew, one after another.

        Raises:
            DataplatError: Nobody can listen there, or no worker can begin.
        """
        with listening(self.settings.host, self.settings.port) as sock, make(self.settings.workers) as rows:
            self._socket, self._rows = sock, rows
            self._counts = Counts(rows.fileno())
            self._selector = selectors.DefaultSelector()
            self._alive, self._lifeline = os.pipe()
            woken, self._wake = os.pipe()
            os.set_blocking(self._wake, False)
            os.set_blocking(woken, False)
            self._selector.register(woken, selectors.EVENT_READ, None)
            before = {
                number: signal.signal(number, self._signalled)
                for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
            }
            try:
                self._workers = [Worker(row) for row in range(self.settings.workers)]
                for worker in self._workers:
                    self._start(worker)
                while not self._ending:
                    self._turn()
                if self._failure is not None:
                    raise self._failure
            finally:
                sock.close()  # whoever comes now is refused, and does not wait in vain
                self._end()
                for number, handler in before.items():
                    signal.signal(number, handler)
                for descriptor in (self._alive, self._lifeline, woken, self._wake):
                    os.close(descriptor)
                self._selector.close()

    # ---------------------------------------------------------------------------------------------------- signals

    def _signalled(self, number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGHUP:
            self._rolling = [worker.row for worker in self._workers]
        else:
            self._ending = True
        try:
            os.write(self._wake, b".")
        except OSError as error:
            if error.errno != errno.EAGAIN:
                raise

    # --------------------------------------------------------------------------------------------------- one turn

    def _turn(self) -> None:
        for key, _ in self._selector.select(0.25):
            if key.data is None:
                os.read(key.fd, 4096)
            else:
                self._heard(key.data)
        now = time.monotonic()
        for worker in self._workers:
            if worker.process is None and now >= worker.again:
                self._start(worker)
            elif worker.process is not None:
                self._watch(worker, now)
        self._roll()

    def _heard(self, worker: Worker) -> None:
        """Take note of a worker that answers now, cannot begin, or is no more."""
        said = os.read(worker.said, 65536)
        if said.startswith(b"{"):
            self._refused(worker, json.loads(said))
        elif said:
            worker.ready = True
            if not self._ever_ready:
                self._ever_ready = True
                host, port = self._socket.getsockname()[:2]
                self.on_ready(f"http://{f'[{host}]' if ':' in host else host}:{port}")
        else:
            self._died(worker)

    def _refused(self, worker: Worker, told: Mapping[str, str]) -> None:
        """Give up where no worker could ever begin: a setting is wrong, there is no lake; later it is tried again."""
        if not self._ever_ready and self._failure is None:
            self._failure = getattr(errors, told["error"], ConfigError)(told["message"])
            self._ending = True
        else:
            _LOG.error("worker %d cannot begin: %s", worker.row, told["message"])

    def _watch(self, worker: Worker, now: float) -> None:
        """Kill a worker whose loop does not turn."""
        assert worker.process is not None
        last = self._counts.of(BEAT, worker.row) if worker.ready else worker.began
        if now - max(last, worker.began) > (self.stalled if worker.ready else STARTING):
            _LOG.error("worker %d (process %d) does not answer: it is killed", worker.row, worker.process.pid)
            worker.process.kill()

    def _died(self, worker: Worker) -> None:
        self._selector.unregister(worker.said)
        os.close(worker.said)
        assert worker.process is not None
        code = worker.process.wait()
        self._counts.set(READY, 0, worker.row)
        worker.process, worker.said = None, -1
        lived = time.monotonic() - worker.began
        worker.deaths = 0 if worker.told_to_end or lived > _CALM else worker.deaths + 1
        worker.again = time.monotonic() + (0.0 if worker.deaths < 3 else min(0.25 * 2**worker.deaths, 10.0))
        if not worker.told_to_end:
            how = f"signal {-code}" if code < 0 else f"code {code}"
            _LOG.warning("worker %d ended with %s after %.1f s; another is started", worker.row, how, lived)
        worker.ready = worker.told_to_end = False

    def _start(self, worker: Worker) -> None:
        said, saying = os.pipe()
        handed = {
            "socket": self._socket.fileno(),
            "counts": self._rows.fileno(),
            "alive": self._alive,
            "saying": saying,
        }
        told = json.dumps({**self.told, **handed, "row": worker.row})
        again = worker.began > 0
        worker.began = time.monotonic()
        worker.process = subprocess.Popen(  # noqa: S603  (this program)
            [sys.executable, "-m", self.worker, told],
            pass_fds=tuple(handed.values()),
            stdin=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for the supervisor, which ends workers in order
        )
        os.close(saying)
        worker.said = said
        self._selector.register(said, selectors.EVENT_READ, worker)
        self._counts.set(PID, worker.process.pid, worker.row)
        if again:
            self._counts.add(RESTARTS, 1, worker.row)

    def _roll(self) -> None:
        """Start the next worker anew, once all the others answer."""
        if not self._rolling or not all(worker.ready for worker in self._workers):
            return
        worker = self._workers[self._rolling.pop(0)]
        if worker.process is not None:
            worker.told_to_end = True
            worker.ready = False
            worker.process.terminate()

    # -------------------------------------------------------------------------------------------------------- end

    def _end(self) -> None:
        """Let workers answer what they began, within the grace; then end them."""
        running = [worker.process for worker in self._workers if worker.process is not None]
        for process in running:
            process.terminate()
        until = time.monotonic() + self.settings.grace + 1.0
        for process in running:
            try:
                process.wait(max(0.0, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                _LOG.warning("process %d did not end within %g s: it is killed", process.pid, self.settings.grace)
                process.kill()
                process.wait()
        for worker in self._workers:
            if worker.said >= 0:
                os.close(worker.said)


def listening(host: str, port: int) -> socket.socket:
    """Return the socket that workers accept from.

    Raises:
        ConfigError: Nobody can listen there: the port is taken, or the host is none of this machine.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        sock = socket.socket(family, kind, protocol)
    except OSError as error:
        raise ConfigError(f"host {host}: {error.strerror or error}") from error
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
        sock.listen(BACKLOG)
        sock.setblocking(False)
    except OSError as error:
        sock.close()
        hint = "; name another with --port" if error.errno == errno.EADDRINUSE else ""
        raise ConfigError(f"cannot listen on {host}, port {port}: {error.strerror}{hint}") from error
    return sock
