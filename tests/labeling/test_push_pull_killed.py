"""SIGKILL at every request of a push or a pull, before and after it took effect: the next one makes it whole."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import dataplat as dp
from dataplat.testing.label_server import Fault

if TYPE_CHECKING:
    from conftest import Desk

_ZYGOTE = """
import os, signal, sys
import httpx, numpy, polars, pyarrow, pyroaring
import dataplat as dp
import dataplat._lake, dataplat.ingest._ingest, dataplat.labeling.answers, dataplat.labeling.label_studio.client
from dataplat._labels import _pull, _push
from dataplat.labeling.label_studio.client import LabelStudioServer
from label_studio_sdk.base_client import LabelStudioBase
_push._CHUNK = 4
lake, url, token = sys.argv[1:]
print("ready", flush=True)
for line in sys.stdin:  # push or pull, in a child of which the id is told, and then how it ended
    child = os.fork()
    if not child:
        queue = dp.open(lake).label_queue("q", server=LabelStudioServer(url, token, budget=2.0))
        queue.push() if line == "push\\n" else queue.pull()
        os._exit(0)
    print(child, flush=True)
    print(os.waitpid(child, 0)[1], flush=True)
"""


class Zygote:
    """A process that has everything imported, and forks children that push and pull; each may be killed."""

    def __init__(self, desk: Desk) -> None:
        words = [sys.executable, "-c", _ZYGOTE, desk.lake.url, desk.site.url, desk.site.token]
        env = {**os.environ, "PYTHONWARNINGS": "ignore"}
        self._process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env)
        self._child: int | None = None
        self._known = threading.Event()
        assert self._read() == "ready"

    def run(self, what: str) -> bool:
        """Push or pull in a child; say whether it lived."""
        self._known.clear()
        assert self._process.stdin is not None
        self._process.stdin.write(f"{what}\n")
        self._process.stdin.flush()
        self._child = int(self._read())
        self._known.set()
        status = int(self._read())
        assert status in {0, signal.SIGKILL}
        return status == 0

    def kill(self) -> None:
        """Kill the child that runs."""
        self._known.wait()
        assert self._child is not None
        os.kill(self._child, signal.SIGKILL)

    def _read(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()


PASSED = [True, pytest.param(False, marks=pytest.mark.proof)]
"""Whether the request in which it dies arrives."""


@pytest.fixture
def stored(desk_on, tmp_path: Path) -> Desk:
    """A queue in a lake on a disk."""
    return desk_on(dp.open(tmp_path / "lake"))


@pytest.fixture
def zygote(stored: Desk) -> Iterator[Zygote]:
    """Forks children at that queue."""
    made = Zygote(stored)
    yield made
    made.close()


@pytest.mark.slow
@pytest.mark.parametrize("passed", PASSED, ids=["after", "before"])
def test_a_push_is_killed_at_every_request(stored: Desk, zygote: Zygote, passed: bool) -> None:
    """Each time a few rows are new: the push that dies at its n-th request is made good by the next."""
    for number in range(1, 30):
        stored.lake.ingest(stored.rows(2, 100 * number), "rows")
        stored.site.forget()
        stored.site.at(number, Fault("call", passed=passed, do=zygote.kill))
        lived = zygote.run("push")
        stored.site.forget()
        stored.queue.push()
        stored.check_placed()
        if lived:
            break
    assert number > 3
    assert stored.lake.verify().ok


@pytest.mark.slow
@pytest.mark.parametrize("passed", PASSED, ids=["after", "before"])
def test_a_pull_is_killed_at_every_request(stored: Desk, zygote: Zygote, passed: bool) -> None:
    """Each time something was answered, edited or taken back: nothing is missing after the next pull, or there twice."""
    stored.queue.push()
    stored.answer(3)
    for number in range(1, 30):
        stored.answer(1)
        first = stored.site.annotations()[0]
        stored.site.edit(first.id, stored.choice("b"))
        if number % 3 == 0:
            stored.site.withdraw(first.id)
        stored.site.forget()
        stored.site.at(number, Fault("call", passed=passed, do=zygote.kill))
        lived = zygote.run("pull")
        stored.site.forget()
        stored.queue.pull()
        stored.check_pulled()
        if lived:
            break
    assert number > 5
    assert stored.lake.verify().ok
