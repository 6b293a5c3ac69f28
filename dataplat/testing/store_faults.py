"""Stores that misbehave on purpose, around any other store."""

from __future__ import annotations

import errno
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Literal, TypeVar

from dataplat.errors import ObjectExists, StoreError, StoreTimeout
from dataplat.lake.stores import MemoryStore, Operation, Store, StoreWrapper

T = TypeVar("T")


def copied(store: Store) -> MemoryStore:
    """Return a store in memory that holds the same: one to die on, while the other stays as it was."""
    other = MemoryStore()
    for info in store.list(""):
        other.create(info.key, store.read(info.key))
    return other


class SimulatedCrash(BaseException):
    """The process dies here. Not an `Exception`, so that no handler of errors keeps a dead writer alive."""


class CrashStore(StoreWrapper):
    """Die at the `at`-th call (the first is 1), before or after it took effect; every later call dies too.

    `operations` says which calls count; `calls` how many there were, so that a first run without a crash
    (`at=0`) tells how many places there are to die at. One call at a time, so that the n-th call is always the same.
    """

    def __init__(
        self,
        inner: Store,
        at: int = 0,
        when: Literal["before", "after"] = "before",
        operations: tuple[Operation, ...] = ("read", "create", "list", "delete", "adopt", "replace"),
    ) -> None:
        super().__init__(inner, concurrency=1)
        self.at, self.when, self.operations = at, when, operations
        self.calls = 0
        self.dead = False
        self._lock = threading.Lock()

    def _call(
        self, operation: Operation, key: str, call: Callable[[], T], sent: Callable[[], bytes] | None = None
    ) -> T:
        if self.dead:
            raise SimulatedCrash(f"dead since call {self.at}")
        with self._lock:
            self.calls += operation in self.operations
            self.dead = self.calls == self.at and operation in self.operations
            dying = self.dead
        if dying and self.when == "before":
            raise SimulatedCrash(f"before call {self.at}: {operation} {key}")
        answer = call()
        if dying:
            raise SimulatedCrash(f"after call {self.at}: {operation} {key}")
        return answer


class FullStore(StoreWrapper):
    """A disk that is full from the `at`-th call that writes on (0: never), until `room()`: these fail and leave nothing.

    Reads and deletes go on. `full(at)` begins anew; `refused` is how many calls failed since.
    """

    def __init__(self, inner: Store, at: int = 0) -> None:
        super().__init__(inner, concurrency=1)
        self._lock = threading.Lock()
        self.full(at)

    def full(self, at: int = 1) -> None:
        """Be full from the `at`-th call on that writes."""
        self.at, self.calls, self.refused = at, 0, 0

    def room(self) -> None:
        """Have room again."""
        self.at = 0

    def _call(
        self, operation: Operation, key: str, call: Callable[[], T], sent: Callable[[], bytes] | None = None
    ) -> T:
        if operation in {"create", "adopt", "replace"}:
            with self._lock:
                self.calls += 1
                if 0 < self.at <= self.calls:
                    self.refused += 1
                    error = StoreError(f"cannot {operation} {key}: the file system is full")
                    error.errno = errno.ENOSPC
                    raise error
        return call()


class LatencyStore(StoreWrapper):
    """Answer every call `seconds` later, as a store far away does; up to 8 calls run beside each other."""

    def __init__(self, inner: Store, seconds: float, *, sleep: Callable[[float], object] = time.sleep) -> None:
        super().__init__(inner, concurrency=8)
        self.seconds = seconds
        self._sleep = sleep

    def _call(
        self, operation: Operation, key: str, call: Callable[[], T], sent: Callable[[], bytes] | None = None
    ) -> T:
        self._sleep(self.seconds)
        return call()


class CountingStore(StoreWrapper):
    """Count calls by operation, and the bytes that they brought (`read`) or took (`create`, `adopt`)."""

    def __init__(self, inner: Store) -> None:
        super().__init__(inner)
        self.calls: Counter[str] = Counter()
        self.bytes: Counter[str] = Counter()
        self._lock = threading.Lock()

    def reset(self) -> None:
        """Begin again at zero."""
        with self._lock:
            self.calls.clear()
            self.bytes.clear()

    def _call(
        self, operation: Operation, key: str, call: Callable[[], T], sent: Callable[[], bytes] | None = None
    ) -> T:
        with self._lock:
            self.calls[operation] += 1
        answer = call()
        size = len(answer) if isinstance(answer, bytes) else 0 if sent is None else len(sent())
        with self._lock:
            self.bytes[operation] += size
        return answer


Fault = Literal["landed", "late", "lost", "denied"]
"""What becomes of a request that gets no answer: it took effect, takes effect at the next call, or never.

`denied` is a create that took effect and is told that the name exists: what carries requests sent it twice.
"""


class FaultyStore(StoreWrapper):
    """Let the calls that `script` names time out: {call number from 1: what becomes of the request}."""

    def __init__(self, inner: Store, script: dict[int, Fault]) -> None:
        super().__init__(inner, concurrency=1)
        self.script = script
        self.calls = 0
        self._late: list[Callable[[], object]] = []

    def _call(
        self, operation: Operation, key: str, call: Callable[[], T], sent: Callable[[], bytes] | None = None
    ) -> T:
        self.calls += 1
        fault = self.script.get(self.calls)
        try:
            if fault is None:
                return call()
            if fault in {"landed", "denied"}:
                _effect(call)
        finally:
            self._land()
        if fault == "late":
            self._late.append(call)
        if fault == "denied" and operation in {"create", "adopt"}:
            raise ObjectExists(f"{key} exists (scripted: {fault})")
        raise StoreTimeout(f"no answer to {operation} {key} (scripted: {fault})")

    def _land(self) -> None:
        while self._late:
            _effect(self._late.pop())


def _effect(call: Callable[[], object]) -> None:
    """Do a call whose answer, an error too, is lost on the way back."""
    with suppress(StoreError):
        call()
