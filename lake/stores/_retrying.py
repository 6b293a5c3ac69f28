"""A wrapper that tries again where a store gave no answer, and settles what an unclear create did."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TypeVar, cast

from dataplat.errors import ObjectExists, ObjectNotFound, StoreError, StoreTimeout
from dataplat.lake.stores._protocol import ObjectInfo, Store
from dataplat.lake.stores._reach import Reach, within
from dataplat.lake.stores._wrapper import Operation, StoreWrapper

if TYPE_CHECKING:
    from random import Random

T = TypeVar("T")

_CHANGING = frozenset({"create", "adopt", "delete", "replace"})
"""Operations whose outcome is unknown when no answer came."""


class RetryingStore(StoreWrapper):
    """Try a call again while the store gives no answer (`StoreTimeout`), for at most `budget` seconds.

    Waits are drawn evenly from [0, min(cap, base x 2^n)] seconds ("full jitter"), so that writers which failed
    together do not come back together (AWS Architecture Blog, "Exponential Backoff And Jitter", 2015).

    A create that got no answer may have landed, or land later. It is sent again with the same bytes; if then the
    object exists, it is read back: the same bytes are our own create, others mean that somebody else won. So callers
    who may race put something of their own into the bytes (a nonce). When the budget ends without an answer,
    `StoreTimeout` says that the outcome is unknown.

    `server` names what all calls of this process share: while it never answered the budget is 15 s at most, whatever
    blocks; while it is silent all calls together have one budget (see `Reach`). Without a name an instance knows only
    of its own calls. `settles` tells callers that they need not try again themselves.
    """

    def __init__(
        self,
        inner: Store,
        budget: float = 60.0,
        *,
        server: str = "",
        base: float = 0.05,
        cap: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
        rng: Random | None = None,
    ) -> None:
        super().__init__(inner)
        self.settles = True
        self.budget, self.base, self.cap = budget, base, cap
        self._reach = Reach.of(server) if server else Reach()
        self._clock, self._sleep = clock, sleep
        self._rng = rng or _fresh_rng()

    def asked(self, key: str, call: Callable[[], T]) -> T:
        """Return what `call` returns, tried again as a read of `key` is: for what is asked of a server and no store's."""
        return self._retried("read", key, lambda _attempt: call())

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
        started = self._clock()
        attempt = 0
        while True:
            try:
                answer = self._tried(operation, key, call, attempt, started)
            except StoreTimeout as error:
                attempt += 1
                wait = self._rng.uniform(0, min(self.cap, self.base * 2 ** (attempt - 1)))
                budget = self._reach.budget(self.budget)
                since = self._reach.silent(self._clock(), budget)
                if self._clock() + wait >= min(started, since) + budget:
                    raise StoreTimeout(self._given_up(operation, key, attempt, error)) from error
                self._sleep(wait)
            except StoreError as error:
                self._reach.answered()
                if attempt and operation in _CHANGING and not isinstance(error, ObjectExists | ObjectNotFound):
                    raise StoreTimeout(
                        f"{operation} {key!r} got no answer, and then a refusal: {error}; what was sent before may have "
                        "taken effect, or may yet"
                    ) from error
                raise
            else:
                self._reach.answered()
                return answer

    def _tried(self, operation: Operation, key: str, call: Callable[[int], T], attempt: int, started: float) -> T:
        if not self._reach.server or self._reach.answers:
            return call(attempt)
        left = max(started + self._reach.budget(self.budget) - self._clock(), 1.0)
        return within(left, lambda: call(attempt), f"{operation} {key!r} from {self._reach.server}")

    def _given_up(self, operation: Operation, key: str, attempts: int, error: StoreTimeout) -> str:
        budget = self._reach.budget(self.budget)
        where = f" from {self._reach.server}" if self._reach.server else ""
        outcome = "it may have taken effect, or may yet" if operation in _CHANGING else "check the connection"
        times = "attempt" if attempts == 1 else "attempts"
        if not self._reach.answers and self._reach.server:
            where, outcome = where + ", which never answered", "check the address, the network and the proxy"
        return f"no answer to {operation} {key!r}{where} in {attempts} {times} within {budget:g} s; {outcome}: {error}"


def _fresh_rng() -> Random:
    from random import Random

    return Random()  # noqa: S311 - jitter, not secrets
