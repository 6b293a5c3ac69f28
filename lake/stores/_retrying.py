"""A wrapper that tries again where a store gave no answer, and settles what an unclear create did."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TypeVar, cast

from dataplat.errors import ObjectExists, ObjectNotFound, StoreTimeout
from dataplat.lake.stores._protocol import ObjectInfo, Store
from dataplat.lake.stores._wrapper import Operation, StoreWrapper

if TYPE_CHECKING:
    from random import Random

T = TypeVar("T")


class RetryingStore(StoreWrapper):
    """Try a call again while the store gives no answer (`StoreTimeout`), for at most `budget` seconds per call.

    Waits are drawn evenly from [0, min(cap, base x 2^n)] seconds ("full jitter"), so that writers which failed
    together do not come back together (AWS Architecture Blog, "Exponential Backoff And Jitter", 2015).

    A create that got no answer may have landed, or land later. It is sent again with the same bytes; if then the
    object exists, it is read back: the same bytes are our own create, others mean that somebody else won. So callers
    who may race put something of their own into the bytes (a nonce). When the budget ends without an answer,
    `StoreTimeout` says that the outcome is unknown.
    """

    def __init__(
        self,
        inner: Store,
        budget: float = 60.0,
        *,
        base: float = 0.05,
        cap: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
        rng: Random | None = None,
    ) -> None:
        super().__init__(inner)
        self.budget, self.base, self.cap = budget, base, cap
        self._clock, self._sleep = clock, sleep
        self._rng = rng or _fresh_rng()

    def _call(
        self, operation: Operation, key: str, call: Callable[[], T], sent: Callable[[], bytes] | None = None
    ) -> T:
        if sent is None:
            return self._retried(operation, key, lambda _attempt: call())
        bytes_sent = sent

        def settled(attempt: int) -> T:
            try:
                return call()
            except ObjectExists:
                if attempt == 0 or not self._holds(key, bytes_sent()):
                    raise
                return cast("T", None)  # what create and adopt return

        return self._retried(operation, key, settled)

    def _holds(self, key: str, data: bytes) -> bool:
        try:
            return self.inner.read(key) == data
        except ObjectNotFound:  # created by somebody and deleted since
            return False

    def list(self, prefix: str, after: str | None = None, limit: int | None = None) -> Iterator[ObjectInfo]:
        """Yield the keys that begin with `prefix` and sort after `after`; goes on behind the last one after a time-out."""
        listed = 0
        while limit is None or listed < limit:
            entries: Iterator[ObjectInfo] | None = None
            rest = None if limit is None else limit - listed

            def following(_attempt: int, start: str | None = after, rest: int | None = rest) -> ObjectInfo | None:
                nonlocal entries
                entries = self.inner.list(prefix, start, rest)
                return next(entries, None)

            entry = self._retried("list", prefix, following)
            try:
                while entry is not None:
                    after, listed = entry.key, listed + 1
                    yield entry
                    entry = next(entries or iter(()), None)
            except StoreTimeout:
                continue
            return

    def _retried(self, operation: Operation, key: str, call: Callable[[int], T]) -> T:
        deadline = self._clock() + self.budget
        attempt = 0
        while True:
            try:
                return call(attempt)
            except StoreTimeout as error:
                wait = self._rng.uniform(0, min(self.cap, self.base * 2**attempt))
                attempt += 1
                if self._clock() + wait >= deadline:
                    raise StoreTimeout(_given_up(operation, key, attempt, self.budget)) from error
                self._sleep(wait)


def _fresh_rng() -> Random:
    from random import Random

    return Random()  # noqa: S311 - jitter, not secrets


def _given_up(operation: Operation, key: str, attempts: int, budget: float) -> str:
    unclear = operation in {"create", "adopt", "delete", "replace"}
    outcome = "it may have taken effect, or may yet" if unclear else "check the connection and try again"
    return f"no answer to {operation} {key!r} in {attempts} attempts within {budget:g} s; {outcome}"
