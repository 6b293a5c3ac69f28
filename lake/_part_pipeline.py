"""Work done side by side whose results are taken in the order it was handed in, within a budget of bytes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

Result = TypeVar("Result")


class Pipeline(Generic[Result]):
    """Run tasks in `threads` threads and hand their results to `take`, one at a time, in order of submission.

    `submit` waits while tasks of more than `budget` bytes are under way (one task always is let in). An error of
    a task, or of `take`, is raised by the next `submit` or by `finish`. Without threads `submit` does the work, as it
    does with `here`, for the last task: its caller has nothing else to do. Threads begin with the first that need one.
    """

    def __init__(self, take: Callable[[Result], None], threads: int, budget: int) -> None:
        self._take = take
        self._budget = budget
        self._threads = threads
        self._pool: ThreadPoolExecutor | None = None
        self._changed = threading.Condition()
        self._done: dict[int, tuple[Result, int]] = {}
        self._submitted = self._taken = self._bytes = 0
        self._taking = self._stopped = False
        self._error: BaseException | None = None

    def submit(self, task: Callable[[], Result], size: int, *, here: bool = False) -> None:
        """Hand in a task that holds `size` bytes until its result is taken."""
        with self._changed:
            self._changed.wait_for(lambda: self._error or not self._bytes or self._bytes + size <= self._budget)
            self._raise()
            number = self._submitted
            self._submitted += 1
            self._bytes += size
        if here or self._threads < 1:
            self._run(number, task, size)
            return
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="dataplat-encode")
        self._pool.submit(self._run, number, task, size)

    def finish(self) -> None:
        """Wait until every result has been taken, and end the threads."""
        with self._changed:
            self._changed.wait_for(lambda: self._error or self._taken == self._submitted)
        self.stop()
        self._raise()

    def stop(self) -> None:
        """Drop what has not begun and wait for what has; nothing is taken any more."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error

    def _run(self, number: int, task: Callable[[], Result], size: int) -> None:
        try:
            if self._error is not None or self._stopped:
                return
            result = task()
            with self._changed:
                self._done[number] = result, size
            self._take_ready()
        except BaseException as error:  # noqa: BLE001  (it is the caller's to see)
            with self._changed:
                self._error = self._error or error
                self._changed.notify_all()

    def _take_ready(self) -> None:
        """Take all results that are next in line, unless another thread is at it (it will see ours)."""
        while True:
            with self._changed:
                if self._taking or self._error or self._stopped or self._taken not in self._done:
                    return
                self._taking = True
                result, size = self._done.pop(self._taken)
            self._take(result)
            with self._changed:
                self._taking = False
                self._taken += 1
                self._bytes -= size
                self._changed.notify_all()
