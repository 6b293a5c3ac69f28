"""kafka-python in a process of its own, which polls ahead: while records are decoded here, the next ones come."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dataplat.connectors.kafka._wire import Wire
from dataplat.errors import SourceUnreachable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from dataplat.connectors.codecs import Records
    from dataplat.connectors.kafka._client import Bounds, Topic
    from dataplat.connectors.kafka._columns import Columns
    from dataplat.connectors.kafka._location import KafkaLocation
    from dataplat.connectors.kafka._settings import Settings

_HELD_BACK = {signal.SIGINT, signal.SIGTERM}
"""Signals that go to all processes of a terminal or service: who reads for this one goes on until this one ends."""


class AheadClient:
    """A `Client` that asks a process which polls, see `_polling`; one poll is under way while the last one is used.

    What it raises beyond the contract is `SourceUnreachable`, where that process has died: nothing is lost by that.
    """

    def __init__(self, location: KafkaLocation, settings: Settings, **given: Any) -> None:
        self._location = location
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = _started(theirs)
        self._wire = Wire(ours)
        self._expected: deque[str] = deque()
        self._ready: dict[int, deque[Records]] = {}
        self._ahead: dict[int, int] = {}
        self._paused: set[int] = set()
        self._send("open", location, settings, given)

    def topic(self) -> Topic:
        """Return the topic as the cluster knows it now; see `Client`."""
        topic: Topic = self._asked("topic")
        return topic

    def bounds(self, partitions: Iterable[int]) -> Mapping[int, Bounds]:
        """Return what the partitions hold now; see `Client`."""
        bounds: Mapping[int, Bounds] = self._asked("bounds", list(partitions))
        return bounds

    def seek(self, starts: Mapping[int, int]) -> None:
        """Read exactly these partitions, each from its offset; see `Client`."""
        self._asked("seek", dict(starts))
        self._ready.clear()
        self._paused.clear()
        self._ahead = dict(starts)

    def poll(self, seconds: float, max_records: int) -> list[Records]:
        """Return what has come; see `Client`."""
        if not self._givable():
            self._poll_ahead(seconds, max_records)
            while self._expected:
                self._receive()
        self._poll_ahead(seconds, max_records)
        return self._taken(max_records)

    def positions(self) -> Mapping[int, int]:
        """Return where each partition goes on; see `Client`."""
        return {p: int(self._ready[p][0].offsets[0]) if self._ready.get(p) else end for p, end in self._ahead.items()}

    def pause(self, partitions: Iterable[int]) -> None:
        """Let these partitions give nothing; see `Client`."""
        self._paused.update(partitions)
        self._send("pause", list(partitions))

    def resume(self, partitions: Iterable[int]) -> None:
        """Let these partitions give records again; see `Client`."""
        self._paused.difference_update(partitions)
        self._send("resume", list(partitions))

    def close(self) -> None:
        """Let the process go."""
        self._wire.close()
        self._process.kill()
        self._process.wait()

    def _poll_ahead(self, seconds: float, max_records: int) -> None:
        if "poll" not in self._expected:
            self._send("poll", seconds, max_records)

    def _givable(self) -> list[int]:
        """Return the partitions that have records which came, and may give them."""
        return [partition for partition, came in self._ready.items() if came and partition not in self._paused]

    def _taken(self, most: int) -> list[Records]:
        found = []
        for partition in self._givable():
            came = self._ready[partition]
            records = came.popleft()
            if len(records) > most:
                came.appendleft(records.slice(most, len(records)))
                records = records.slice(0, most)
            found.append(records)
            most -= len(records)
            if not most:
                break
        return found

    def _asked(self, name: str, *arguments: Any) -> Any:
        """Return the answer, when all that was asked for before has been answered."""
        self._send(name, *arguments)
        while True:
            answer = self._receive()
            if not self._expected:
                return answer

    def _send(self, name: str, *arguments: Any) -> None:
        self._expected.append(name)
        try:
            self._wire.send((name, arguments))
        except OSError as error:
            raise self._died() from error

    def _receive(self) -> Any:
        """Take the next answer; raise what the process ran into."""
        try:
            answer = self._wire.receive()
        except (EOFError, OSError) as error:
            raise self._died() from error
        if self._expected.popleft() == "poll" and not isinstance(answer, Exception):
            came: list[Columns]
            came, self._ahead = answer
            for columns in came:
                self._ready.setdefault(columns.partition, deque()).append(columns.records(self._location.topic))
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _died(self) -> SourceUnreachable:
        code = self._process.wait()
        how = f"by {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
        return SourceUnreachable(
            f"{self._location}: the process that reads it ended {how} (was memory short?); nothing is lost: what was not "
            "committed will be read again"
        )


def _started(end: socket.socket) -> subprocess.Popen[bytes]:
    """Return the process, its input being a connection. It finds modules where this one does."""
    path = os.pathsep.join(str(Path(place).absolute()) for place in sys.path)
    command = [sys.executable, "-P", "-m", "dataplat.connectors.kafka._polling"]
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _HELD_BACK)  # it inherits that
    try:
        return subprocess.Popen(  # noqa: S603
            command, stdin=end.fileno(), stdout=subprocess.DEVNULL, env={**os.environ, "PYTHONPATH": path}
        )
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
