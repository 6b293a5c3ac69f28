"""What this process knows of a server: whether it ever answered, and since when it has been silent."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, ClassVar, TypeVar

from dataplat.errors import StoreTimeout

T = TypeVar("T")

FIRST = 15.0
"""Seconds after which a server that never answered is given up: a wrong address is found out soon."""


class Reach:
    """One server, as all calls of this process find it; safe for threads.

    While it is silent, calls share one budget: what comes after it has ended is tried once and no more, so that an
    outage costs a program one budget and not one for each of its calls. An answer begins everything anew.
    """

    _known: ClassVar[dict[str, Reach]] = {}
    _lock = threading.Lock()

    def __init__(self, server: str = "") -> None:
        self.server = server
        self.answers = False
        self._since: float | None = None
        self._last = 0.0

    @classmethod
    def of(cls, server: str) -> Reach:
        """Return what is known of the server of that name, the same for every caller in this process."""
        with cls._lock:
            return cls._known.setdefault(server, cls(server))

    def answered(self) -> None:
        """Note that it answered, be it with a refusal."""
        self.answers, self._since = True, None

    def silent(self, now: float, budget: float) -> float:
        """Note that a call got no answer at `now`; return since when it has been silent."""
        since = self._since
        if since is None or now - self._last > budget:  # nobody had asked for long: another outage
            self._since = since = now
        self._last = now
        return since

    def budget(self, full: float) -> float:
        """Return the seconds that a call may take, of the `full` budget of a server that is known to be there."""
        return full if self.answers else min(full, FIRST)


def within(seconds: float, call: Callable[[], T], what: str) -> T:
    """Return what `call` returns, or raise `StoreTimeout` after `seconds`, whatever it is that blocks.

    The call goes on in its thread until its own time-out, so it may yet take effect: this is for a server that never
    answered, where clients wait for longer than anybody who mistyped an address wants to.
    """
    answer: list[Any] = []
    failure: list[BaseException] = []

    def run() -> None:
        try:
            answer.append(call())
        except BaseException as error:  # noqa: BLE001  (raised again by who waits)
            failure.append(error)

    thread = threading.Thread(target=run, name="dataplat-first-call", daemon=True)
    thread.start()
    thread.join(seconds)
    if failure:
        raise failure[0]
    if not answer:
        raise StoreTimeout(f"no answer to {what}: connected or not, nothing came back within {seconds:.0f} s")
    value: T = answer[0]
    return value
