"""Servers that go on when their starter is gone: found again, told apart from others, stopped."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dataplat.errors import LabelServerError
from dataplat.labeling.label_studio._process import Daemon, free_port

SLEEPS = "import sys, time; print('up', flush=True); time.sleep(60)"
STUBBORN = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    """Return one that is not started yet; whatever runs is stopped in the end."""
    found = Daemon("server", tmp_path, f"mark={tmp_path}")
    yield found
    found.stop()


def run(daemon: Daemon, code: str) -> None:
    """Start Python code."""
    daemon.start([sys.executable, "-c", code, daemon.mark], os.environ)


def up(daemon: Daemon) -> Callable[[], bool]:
    """Return what says whether the code has begun."""
    return lambda: "up" in daemon.said()


def test_started_and_stopped(daemon: Daemon) -> None:
    """It runs, is nobody's child, and is gone when it was stopped."""
    assert daemon.pid is None
    run(daemon, SLEEPS)
    daemon.wait(up(daemon), 20)
    pid = daemon.pid
    assert pid is not None
    with pytest.raises(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    assert daemon.stop() is True
    assert daemon.pid is None
    assert daemon.stop() is False


def test_outlives_its_starter(daemon: Daemon, tmp_path: Path) -> None:
    """It goes on when the process that started it has ended."""
    code = (
        "import os, sys; from pathlib import Path; from dataplat.labeling.label_studio._process import Daemon\n"
        f"Daemon('server', Path({str(tmp_path)!r}), {daemon.mark!r})"
        f".start([sys.executable, '-c', {SLEEPS!r}, {daemon.mark!r}], os.environ)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    daemon.wait(up(daemon), 20)
    assert daemon.pid is not None


@pytest.mark.slow
def test_stubborn(daemon: Daemon) -> None:
    """What does not end when it is asked to is ended."""
    run(daemon, STUBBORN)
    daemon.wait(up(daemon), 20)
    assert daemon.stop() is True
    assert daemon.pid is None


def test_ended_by_itself(daemon: Daemon) -> None:
    """What ends by itself is told with the end of its log, without secrets."""
    run(daemon, "print('the token is t0k3n'); raise SystemExit(3)")
    with pytest.raises(LabelServerError, match=r"server ended by itself; the end of .*\n.*the token is \*\*\*"):
        daemon.wait(lambda: False, 20, ["t0k3n"])


def test_not_ready(daemon: Daemon) -> None:
    """What does not become ready is stopped, and told."""
    run(daemon, SLEEPS)
    with pytest.raises(LabelServerError, match="was not ready in 1 s"):
        daemon.wait(lambda: False, 1)
    assert daemon.pid is None


def test_another_process_of_that_id(daemon: Daemon, tmp_path: Path) -> None:
    """Ids are given anew: another process that has it now is neither taken for it nor stopped."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        (tmp_path / "server.pid").write_text(f"{other.pid}\n", "ascii")
        assert daemon.pid is None
        assert daemon.stop() is False
        assert other.poll() is None
        other.communicate(b"\n")
    for text in ("", "x", "99999999"):
        (tmp_path / "server.pid").write_text(text, "ascii")
        assert daemon.pid is None


def test_log_is_kept_short(daemon: Daemon) -> None:
    """What was printed before is kept, but not without end; nobody else can read it."""
    daemon.log.write_bytes(b"x" * (3 << 20) + b"the end")
    run(daemon, SLEEPS)
    daemon.wait(up(daemon), 20)
    assert daemon.log.stat().st_size < 2 << 20
    assert "the end" in daemon.said()


def test_ports() -> None:
    """The port that is wanted is given while it is free, another one while it is not."""
    import socket

    port = free_port()
    assert free_port(port) == port
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        assert free_port(port) != port
    time.sleep(0)
