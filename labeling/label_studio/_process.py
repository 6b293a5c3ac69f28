"""A server that goes on when the command that started it has ended: known by a file that holds its process id."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from dataplat.errors import LabelServerError

# The shell writes the id down before anybody else could die, and is gone at once: the server is nobody's child.
_LAUNCH = 'umask 077; log=$1 pid=$2; shift 2; "$@" </dev/null >>"$log" 2>&1 & echo $! >"$pid"'
_KEPT = 1 << 20
"""Bytes of an old log that are kept when the server starts again."""


@dataclass(frozen=True, slots=True)
class Daemon:
    """One server of a state folder. `mark` is a text in its command line: process ids are given anew, marks are not."""

    name: str
    folder: Path
    mark: str

    @property
    def log(self) -> Path:
        """Where what it prints goes."""
        return self.folder / f"{self.name}.log"

    @property
    def pid(self) -> int | None:
        """Its process id while it runs, else None."""
        with suppress(OSError, ValueError):
            pid = int((self.folder / f"{self.name}.pid").read_text("ascii"))
            if self.mark in _command_line(pid):
                return pid
        return None

    def start(self, command: Sequence[str], env: Mapping[str, str], cwd: Path | None = None) -> None:
        """Start it."""
        with suppress(FileNotFoundError):
            said = self.log.read_bytes()
            self.log.write_bytes(said[-_KEPT:])
        launch = ["/bin/sh", "-c", _LAUNCH, "launch", str(self.log), str(self.folder / f"{self.name}.pid"), *command]
        subprocess.run(launch, env=dict(env), cwd=cwd, check=True, start_new_session=True)  # noqa: S603 - ours

    def wait(self, ready: Callable[[], bool], seconds: float, hide: Sequence[str] = ()) -> None:
        """Return when it is ready.

        Raises:
            LabelServerError: it ended, or is not ready in time; it is stopped then. The end of its log is told, without
                what is to be hidden.
        """
        until = time.monotonic() + seconds
        while not ready():
            running = self.pid is not None
            if not running:  # while it becomes another program its command line is empty for a moment
                time.sleep(0.1)
                running = self.pid is not None
            if running and time.monotonic() < until:
                time.sleep(0.1)
                continue
            self.stop()
            what = f"was not ready in {seconds:.0f} s" if running else "ended by itself"
            raise LabelServerError(f"{self.name} {what}; the end of {self.log}:\n{self.said(hide)}")

    def said(self, hide: Sequence[str] = ()) -> str:
        """Return the end of its log."""
        try:
            text = self.log.read_bytes()[-2000:].decode("utf-8", "replace")
        except FileNotFoundError:
            return ""
        for secret in hide:
            text = text.replace(secret, "***")
        return text

    def stop(self) -> bool:
        """End it, by force after ten seconds; return whether it ran."""
        pid, number = self.pid, signal.SIGTERM
        if pid is None:
            return False
        for _ in range(2):
            with suppress(ProcessLookupError):
                os.kill(pid, number)
            until = time.monotonic() + 10
            while self.pid == pid and time.monotonic() < until:
                time.sleep(0.02)
            number = signal.SIGKILL
        return True


def _command_line(pid: int) -> str:
    """Return how a process was called; nothing if there is none (a dead one that nobody has asked after is none)."""
    proc = Path(f"/proc/{pid}")
    if Path("/proc/self").exists():
        return (proc / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
    listing = ["ps", "-ww", "-o", "args=", "-p", str(pid)]
    listed = subprocess.run(listing, capture_output=True, text=True, check=False)  # noqa: S603 - the system's own
    return listed.stdout


def free_port(wanted: int = 0) -> int:
    """Return a port of the loopback that nothing listens on now: the one that is wanted, if it is free.

    A new one is below those that a system gives to clients, so that none has it when the server starts again.
    """
    for _ in range(100):
        port = wanted or 10_000 + secrets.randbelow(20_000)
        wanted = 0
        with socket.socket() as probe, suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return port
    raise LabelServerError("no free port on 127.0.0.1")
