"""Whether an online store on another machine is known not to answer: then requests are refused at once, but for one that tries.

Else each would wait for the store's whole timeout, a few threads at a time, and those behind them for longer than anybody
listens. See "Circuit Breaker" in M. Nygard, Release It! (2007).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from dataplat.errors import StoreError
from dataplat.server._problems import Problem

AGAIN: Final = 0.25
"""Seconds until one request is let through again."""


class Away:
    """What is known of a store; threads share it.

    Args:
        clock: seconds, of a clock that only goes forward.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._away = self._trying = False
        self._again = 0.0

    def check(self) -> None:
        """Raise `Problem` where a request need not even wait for a thread."""
        if self._away and (self._trying or self._clock() < self._again):
            raise _refused()

    @contextmanager
    def asked(self) -> Iterator[None]:
        """Ask the store within this: what becomes of that is known to all who come later.

        Raises:
            Problem: It does not answer, and somebody else tries.
        """
        tries = self._admitted()
        try:
            yield
        except StoreError:
            with self._lock:
                self._away, self._again = True, self._clock() + AGAIN
            raise
        except Exception:
            self._away = False  # it answered; what went wrong is something else
            raise
        else:
            if self._away:
                self._away = False
        finally:
            if tries:
                self._trying = False

    def _admitted(self) -> bool:
        """Return whether this is the one that tries; raise where another one does."""
        with self._lock:
            if not self._away:
                return False
            self.check()
            self._trying = True
            return True


def _refused() -> Problem:
    return Problem("store-unavailable", "the online store does not answer; try again")
