"""Threads for requests that wait for a network, one pool a process."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor


class Threads:
    """A pool that is made when it is first asked for; a forked child has none of its parent's, and makes its own."""

    def __init__(self, number: int, name: str) -> None:
        self._number, self._name = number, name
        self._made: tuple[int, ThreadPoolExecutor] | None = None
        self._lock = threading.Lock()

    def pool(self) -> ThreadPoolExecutor:
        """Return this process's pool."""
        from concurrent.futures import ThreadPoolExecutor

        pid = os.getpid()
        with self._lock:
            if self._made is None or self._made[0] != pid:
                self._made = pid, ThreadPoolExecutor(self._number, thread_name_prefix=self._name)
            return self._made[1]
