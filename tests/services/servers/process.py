"""One server process: started on a port, waited for, killed and started again on the same port and data."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

# Ends a server whose tests were killed: the pipe it reads from closes with them.
WATCHDOG = 'read -r _ || true; kill -KILL -"$1" 2>/dev/null'


class ServerFailedError(Exception):
    """A server ended, or did not become ready in time; the message holds the end of its log."""


def free_port() -> int:
    """Return a port of the loopback that nothing listens on now.

    It is below those that a system gives to clients: none takes it while its server is down, and a client that tries
    again and again does not reach itself.
    """
    while True:
        with socket.socket() as probe, suppress(OSError):
            port = 10_000 + secrets.randbelow(20_000)  # pytest-randomly gives each worker the same `random`
            probe.bind(("127.0.0.1", port))
            return port


def answers(url: str) -> bool:
    """Return whether an HTTP server answers at all, whatever it says."""
    try:
        with urllib.request.urlopen(url, timeout=2):  # noqa: S310 - our own
            return True
    except urllib.error.HTTPError as error:
        error.close()
        return True
    except OSError:
        return False


@dataclass(slots=True)
class Process:
    """A command that serves, in its own session, so that a signal reaches all of it and nothing else."""

    command: Callable[[], Sequence[str]]  # asked at every start
    folder: Path
    ready: Callable[[], bool]
    timeout: float
    env: Mapping[str, str]
    cwd: Path
    running: subprocess.Popen[bytes] | None = None
    watchdog: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and return when it serves."""
        self.stop()
        command = self.command()
        with (self.folder / "log").open("ab") as log:
            self.running = subprocess.Popen(
                command,
                cwd=self.cwd,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.watchdog = subprocess.Popen(
            ["/bin/sh", "-c", WATCHDOG, "watchdog", str(self.running.pid)],
            stdin=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        deadline = time.monotonic() + self.timeout
        while not self.ready():
            code = self.running.poll()
            if code is not None or time.monotonic() > deadline:
                self.stop()
                what = "did not become ready" if code is None else f"ended with {code}"
                raise ServerFailedError(f"{command[0]} {what}:\n{self.log[-3000:]}")
            time.sleep(0.02)

    @property
    def log(self) -> str:
        """What it has printed, over all its starts."""
        return (self.folder / "log").read_text("utf-8", errors="replace")

    def signal(self, number: int) -> None:
        """Send a signal to all of it, where it runs."""
        if self.running is not None and self.running.poll() is None:
            os.killpg(self.running.pid, number)

    def stop(self) -> None:
        """Ask it to end, and make it after five seconds."""
        if self.running is None:
            return
        with suppress(subprocess.TimeoutExpired):
            self.signal(signal.SIGTERM)
            self.running.wait(5)
        self.kill()

    def kill(self) -> None:
        """End it at once, as a crash would; return when it is gone."""
        if self.running is None:
            return
        self.signal(signal.SIGKILL)
        self.running.wait()
        self.running = None
        if self.watchdog is not None:
            assert self.watchdog.stdin is not None
            self.watchdog.kill()
            self.watchdog.wait()
            self.watchdog.stdin.close()
            self.watchdog = None


@dataclass(frozen=True)
class Server:
    """A server that runs: its host and port stay the same however often it is killed and started again."""

    host: str
    port: int
    folder: Path
    run: Process = field(repr=False)

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The process that serves now."""
        assert self.run.running is not None
        return self.run.running

    @property
    def serves(self) -> bool:
        """Whether it runs, and is ready."""
        running = self.run.running
        return running is not None and running.poll() is None and self.run.ready()

    def start(self) -> None:
        """Start it after `stop` or `kill`, with the same port and data; return when it serves."""
        self.run.start()

    def stop(self) -> None:
        """End it in its own order."""
        self.run.stop()

    def kill(self) -> None:
        """End it at once, as a power cut would."""
        self.run.kill()

    def restart(self) -> None:
        """Start it anew (killed first if it runs) with the same port and data; return when it serves."""
        self.run.kill()
        self.run.start()

    def pause(self) -> None:
        """Let it hang: connections are taken in by the kernel, and nothing is answered until `resume`.

        Returns when it stands still: a signal that was sent has not yet reached every thread of a busy machine.
        """
        self.run.signal(signal.SIGSTOP)
        os.waitpid(self.process.pid, os.WUNTRACED)

    def resume(self) -> None:
        """Let it go on where it was paused."""
        self.run.signal(signal.SIGCONT)


@contextmanager
def running(
    folder: Path,
    command: Callable[[int], Sequence[str]],
    ready: Callable[[int], bool],
    timeout: float = 30,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> Iterator[tuple[int, Process]]:
    """Start a server on a free port, on another one if somebody took that in between; stop it in the end."""
    folder.mkdir(parents=True, exist_ok=True)
    for attempt in range(3):
        port = free_port()
        given = {**os.environ, **(env or {})}
        process = Process(partial(command, port), folder, partial(ready, port), timeout, given, cwd or folder)
        try:
            process.start()
            break
        except ServerFailedError:
            if attempt == 2:
                raise
    try:
        yield port, process
    finally:
        process.kill()
