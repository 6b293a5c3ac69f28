"""A topic that is followed beside the test, in a thread or as the command."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import ExitStack

import pytest

import dataplat as dp

LONGEST = 120.0
"""Seconds that a test waits for what it waits for, before it says that it did not come."""


def wait_until(holds, what="it", seconds=LONGEST):
    """Return when `holds` does; fail where it does not in time."""
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until, f"{what} did not come in {seconds:g} s"
        time.sleep(0.05)


class Follower:
    """`lake.ingest(…, follow=True)` in a thread."""

    def __init__(self, lake, url, into="events", **options):
        self.stop, self.error, self.result, self.stages = threading.Event(), None, None, []
        given = {"follow": True, "every": 0.2, "timeout": 5.0, **options}
        self._thread = threading.Thread(target=self._run, args=(lake, url, into, given))
        self._thread.start()

    def _run(self, lake, url, into, given):
        try:
            self.result = lake.ingest(url, into, stop=self.stop, progress=self.stages.append, **given)
        except BaseException as error:  # noqa: BLE001 (shown by the test)
            self.error = error

    @property
    def is_alive(self):
        """Whether it goes on."""
        return self._thread.is_alive()

    def end(self):
        """Stop it, and return what it did; raise what it ran into."""
        self.stop.set()
        self.join()
        if self.error is not None:
            raise self.error
        return self.result

    def join(self):
        """Wait until it has ended by itself or was stopped."""
        self._thread.join(LONGEST)
        assert not self._thread.is_alive()


@pytest.fixture
def follow():
    """Return a function that follows a topic in a thread, which ends with the test."""
    followers = []

    def start(*args, **options):
        followers.append(Follower(*args, **options))
        return followers[-1]

    yield start
    for follower in followers:
        follower.stop.set()
        follower.join()


class Command:
    """`dataplat …` as a process."""

    def __init__(self, stack, folder, arguments):
        environment = {**os.environ, "PYTHONWARNINGS": "error::ResourceWarning", "NO_COLOR": "1"}
        self.process = stack.enter_context(
            subprocess.Popen(
                [sys.executable, "-m", "dataplat", *arguments],
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )

    def send(self, number):
        """Send it a signal."""
        self.process.send_signal(number)

    def end(self, number=signal.SIGTERM):
        """Ask it to end; return its exit code, what it said, and what it complained of."""
        self.send(number)
        said, complained = self.process.communicate(timeout=LONGEST)
        return self.process.returncode, said, complained


@pytest.fixture
def command(tmp_path):
    """Return a function that starts `dataplat …` in the test's folder."""
    started = []
    with ExitStack() as stack:

        def start(*arguments):
            started.append(Command(stack, tmp_path, arguments))
            return started[-1]

        yield start
        for one in started:
            one.process.kill()


@pytest.fixture
def lake(tmp_path):
    """Return a lake on the disk."""
    return dp.open(tmp_path / ".dataplat")


@pytest.fixture(params=["kafka-python", "confluent"])
def client(request):
    """Name each client library."""
    return request.param


@pytest.fixture
def numbers(lake):
    """Return a function that gives the `n` of all rows of a dataset, in order."""

    def of(dataset="events"):
        return sorted(lake[dataset].to_arrow(columns=["n"]).column("n").to_pylist()) if dataset in lake else []

    return of


@pytest.fixture
def until():
    """Return a function that waits until something holds."""
    return wait_until


@pytest.fixture
def parsed():
    """Return a function that reads the JSON that a command printed."""
    return json.loads
