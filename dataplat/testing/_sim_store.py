"""The store of one simulated writer: each call is a point at which others go on, and may fail."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from dataplat.errors import ObjectExists, ObjectNotFound, StoreTimeout
from dataplat.lake.stores import Bytes, ObjectInfo, Store
from dataplat.lake.stores._remote import paged
from dataplat.testing.store_faults import SimulatedCrash

if TYPE_CHECKING:
    from dataplat.testing.simulator import Simulator, Writer


class InFlight(NamedTuple):
    """A request that its writer no longer waits for, and that will take effect some time."""

    writer: str
    operation: str
    key: str
    effect: Callable[[], Any]

    def apply(self) -> str:
        """Let it take effect; return the outcome."""
        return _tried(self.effect)[0]


def _tried(effect: Callable[[], Any]) -> tuple[str, Any]:
    try:
        return "ok", effect()
    except ObjectExists as error:
        return "exists", error
    except ObjectNotFound as error:
        return "not found", error


class SimStore:
    """A store for one writer; without `SupportsFiles`, and with one call at a time, so that nothing needs threads."""

    concurrency = 1

    def __init__(self, simulator: Simulator, writer: Writer) -> None:
        self.dead = False
        self.unanswered = 0
        """Deletes that got no answer, and may still happen."""
        self._simulator = simulator
        self._writer = writer
        self._ladder = simulator.faults.ladder()
        self._random = simulator.rng.random
        self._highest = self._ladder[-1][0] if self._ladder else 0.0

    def __repr__(self) -> str:
        return f"SimStore({self._writer.name}, seed {self._simulator.seed})"

    def read(self, key: str, byte_range: tuple[int, int] | None = None) -> bytes:
        """Return the bytes of `key`, or of its half-open range `[start, stop)`; raise `ObjectNotFound`."""
        found: bytes = self._call("read", key, lambda: self._simulator.store.read(key, byte_range))
        return found

    def create(self, key: str, data: Bytes) -> None:
        """Create `key` with `data`; raise `ObjectExists`, or `StoreTimeout` if unclear."""
        sent = bytes(data)  # a late request carries what was sent, whatever becomes of the buffer
        self._call("create", key, lambda: self._simulator.store.create(key, sent), f" crc {zlib.crc32(sent):08x}")

    def list(self, prefix: str, after: str | None = None, limit: int | None = None) -> Iterator[ObjectInfo]:
        """Yield the keys that begin with `prefix` and sort after `after`, page by page; each page is a call."""
        return paged(self._page, prefix, after, limit, self._simulator.faults.page)

    def _page(self, prefix: str, after: str | None, limit: int) -> tuple[ObjectInfo, ...]:
        found: tuple[ObjectInfo, ...] = self._call(
            "list", prefix, lambda: tuple(self._simulator.store.list(prefix, after, limit))
        )
        return found

    def delete(self, key: str) -> None:
        """Delete `key`; deleting a key that is not there is no error."""
        self._call("delete", key, lambda: self._simulator.store.delete(key))

    def check_alive(self) -> None:
        """Raise `SimulatedCrash` for ever once the writer died: its `finally` blocks change nothing any more."""
        if self.dead:
            raise SimulatedCrash(f"{self._writer.name} is dead")

    def _call(self, operation: str, key: str, effect: Callable[[], Any], note: str = "") -> Any:
        if self.dead:
            self.check_alive()
        simulator, writer = self._simulator, self._writer
        simulator.pause(writer)
        if self.dead:
            self.check_alive()
        drawn = self._random()
        if drawn < self._highest:
            fault = next(name for bound, name in self._ladder if drawn < bound)
            if fault != "pause":
                self._fail(fault, operation, key, effect, note)
            simulator.park(writer, int(self._random() * simulator.faults.pause_seconds * 1e6))
            self.check_alive()
        outcome, answer = _tried(effect)
        simulator.record(writer.name, operation, key, outcome + note)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _fail(self, fault: str, operation: str, key: str, effect: Callable[[], Any], note: str) -> None:
        """Let the call fail: `fault` is what happens to the writer, and what becomes of the request."""
        simulator, writer = self._simulator, self._writer
        kind, _, request = fault.partition("_")
        outcome = f"{kind} {request}"
        if request in {"landed", "after"}:
            outcome += ": " + _tried(effect)[0]
        elif request == "late" and operation in {"create", "delete"}:
            simulator.in_flight.append(InFlight(writer.name, operation, key, effect))
        simulator.record(writer.name, operation, key, outcome + note)
        if kind == "crash":
            self.dead = True
            raise SimulatedCrash(f"{writer.name} dies at {operation} {key}")
        self.unanswered += operation == "delete"
        simulator.park(writer, int(self._random() * simulator.faults.timeout_seconds * 1e6))
        self.check_alive()
        raise StoreTimeout(f"no answer to {operation} {key}")


class TimedStore:
    """A store whose times of creation are of another clock; without abilities, and with one call at a time."""

    concurrency = 1

    def __init__(self, inner: Store, clock: Callable[[], int]) -> None:
        self.inner = inner
        self._clock = clock
        self._created: dict[str, int] = {}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.inner!r})"

    def read(self, key: str, byte_range: tuple[int, int] | None = None) -> bytes:
        """Return the bytes of `key`, or of its half-open range `[start, stop)`; raise `ObjectNotFound`."""
        return self.inner.read(key, byte_range)

    def create(self, key: str, data: Bytes) -> None:
        """Create `key` with `data`; raise `ObjectExists`."""
        self.inner.create(key, data)
        self._created[key] = self._clock()

    def list(self, prefix: str, after: str | None = None, limit: int | None = None) -> Iterator[ObjectInfo]:
        """Yield the keys that begin with `prefix` and sort after `after`, as they were at the call."""
        found = list(self.inner.list(prefix, after, limit))
        return iter([replace(info, created=self._created[info.key]) for info in found])

    def delete(self, key: str) -> None:
        """Delete `key`; deleting a key that is not there is no error."""
        self.inner.delete(key)
        self._created.pop(key, None)
