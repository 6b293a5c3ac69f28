"""Counts of all workers in one memory that they share: a row for each, so that nobody waits for anybody.

A worker adds to its own row only. One that is started in the place of another that died goes on with that row, so what
was counted is never lost, and a sum never falls. Whoever is asked for metrics adds the rows up.
"""

from __future__ import annotations

import mmap
import os
import time
from bisect import bisect_left
from collections.abc import Iterator
from typing import IO, Any, Final

from dataplat.server._problems import KINDS

ROUTES: Final = ("lookup", "push", "other")
STATUSES: Final = (200, 202, 204, 304, 307, *sorted({status for status, _ in KINDS.values()}), 0)
"""What is counted apart; 0 is whatever else, and a connection that went away."""
BUCKETS: Final = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
SERVICES: Final = 64
"""Services that are counted apart in one row; more are counted together."""
NAME: Final = 128
"""Bytes of a service's name in the row."""

PID, BEAT, READY, RESTARTS, CONNECTIONS, AT_WORK, LANDED, FAILED_FLUSHES, FLUSHED_AT, WAITING = range(10)
LOOKUPS, ENTITIES, STALE = range(3)
_STATUS_AT: Final = {status: at for at, status in enumerate(STATUSES)}
_HEAD: Final = 10
_REQUESTS: Final = _HEAD
_SECONDS: Final = _REQUESTS + len(ROUTES) * len(STATUSES)
_OF_ROUTE: Final = len(BUCKETS) + 2  # one above all buckets, and the sum
_SERVED: Final = _SECONDS + len(ROUTES) * _OF_ROUTE
_OF_SERVICE: Final = 3
_CELLS: Final = _SERVED + SERVICES * _OF_SERVICE
ROW: Final = _CELLS * 8 + SERVICES * NAME
"""Bytes of a row."""


def make(workers: int) -> IO[bytes]:
    """Return a file without a name that holds a row for each worker; its descriptor is what workers are given."""
    import tempfile

    file = tempfile.TemporaryFile(prefix="dataplat-counts-")  # noqa: SIM115  (whoever asked closes it)
    file.truncate(workers * ROW)
    return file


class Counts:
    """The rows, one of which is this worker's own.

    Args:
        descriptor: of the file; None: memory of this process alone.
        own: which row is this worker's.
    """

    def __init__(self, descriptor: int | None = None, own: int = 0) -> None:
        size = ROW if descriptor is None else os.fstat(descriptor).st_size
        self._memory = mmap.mmap(-1 if descriptor is None else descriptor, size)
        self.workers = size // ROW
        self._cells = [self._row(worker) for worker in range(self.workers)]
        self._own = self._cells[own]
        self._row_at = own
        self._names = self._named(own)

    def _row(self, worker: int) -> Any:
        return memoryview(self._memory)[worker * ROW : worker * ROW + _CELLS * 8].cast("d")

    def _named(self, worker: int) -> dict[str, int]:
        """Return the services of a row, by name, and where each is counted."""
        begin = worker * ROW + _CELLS * 8
        found: dict[str, int] = {}
        for at in range(SERVICES):
            name = self._memory[begin + at * NAME : begin + (at + 1) * NAME].rstrip(b"\0").decode("utf-8", "replace")
            if not name:
                break
            found[name] = at
        return found

    # ------------------------------------------------------------------------------------------------- counting

    def answered(self, route: int, status: int, seconds: float) -> None:
        """Count a request that was answered."""
        own = self._own
        own[_REQUESTS + route * len(STATUSES) + _STATUS_AT.get(status, len(STATUSES) - 1)] += 1
        begin = _SECONDS + route * _OF_ROUTE
        own[begin + bisect_left(BUCKETS, seconds)] += 1
        own[begin + _OF_ROUTE - 1] += seconds

    def served(self, place: int, entities: int, stale: bool) -> None:  # noqa: FBT001  (called for every request)
        """Count a lookup of a service, by the place that `place_of` gave."""
        own = self._own
        own[place + LOOKUPS] += 1
        own[place + ENTITIES] += entities
        if stale:
            own[place + STALE] += 1

    def place_of(self, service: str) -> int:
        """Return where a service is counted in this worker's row; those for whom there is no room share the last."""
        if service not in self._names:
            at = len(self._names)
            if at < SERVICES:
                told = (service if at < SERVICES - 1 else "others").encode()[:NAME]
                begin = self._row_at * ROW + _CELLS * 8 + at * NAME
                self._memory[begin : begin + NAME] = told.ljust(NAME, b"\0")
                self._names[told.decode("utf-8", "replace")] = at
            self._names.setdefault(service, min(at, SERVICES - 1))
        return _SERVED + self._names[service] * _OF_SERVICE

    def set(self, what: int, value: float, worker: int | None = None) -> None:
        """Set one of PID, BEAT, READY … of a worker, by default this one."""
        (self._own if worker is None else self._cells[worker])[what] = value

    def add(self, what: int, value: float, worker: int | None = None) -> None:
        """Add to one of them."""
        (self._own if worker is None else self._cells[worker])[what] += value

    def beat(self) -> None:
        """Say that this worker's loop turns."""
        self._own[BEAT] = time.monotonic()

    # --------------------------------------------------------------------------------------------------- summing

    def of(self, what: int, worker: int) -> float:
        """Return one of PID, BEAT, READY … of a worker."""
        found: float = self._cells[worker][what]
        return found

    def total(self, at: int) -> float:
        """Return the sum of a cell over all workers."""
        return float(sum(cells[at] for cells in self._cells))

    def requests(self) -> Iterator[tuple[str, int, float]]:
        """Yield (route, status, how many), of all workers."""
        for route, name in enumerate(ROUTES):
            for at, status in enumerate(STATUSES):
                if count := self.total(_REQUESTS + route * len(STATUSES) + at):
                    yield name, status, count

    def seconds(self) -> Iterator[tuple[str, list[float], float]]:
        """Yield (route, how many in each bucket and above, sum of seconds), of all workers."""
        for route, name in enumerate(ROUTES):
            begin = _SECONDS + route * _OF_ROUTE
            yield name, [self.total(begin + at) for at in range(len(BUCKETS) + 1)], self.total(begin + _OF_ROUTE - 1)

    def services(self) -> dict[str, list[float]]:
        """Return lookups, entities and stale answers by service, of all workers."""
        found: dict[str, list[float]] = {}
        for worker, cells in enumerate(self._cells):
            for name, at in self._named(worker).items():
                begin = _SERVED + at * _OF_SERVICE
                sums = found.setdefault(name, [0.0] * _OF_SERVICE)
                found[name] = [one + other for one, other in zip(sums, cells[begin : begin + _OF_SERVICE], strict=True)]
        return found
