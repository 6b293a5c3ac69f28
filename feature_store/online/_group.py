"""Group commit: what many threads want written is written by one of them, with one wait for the disk."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from dataplat.errors import StoreTimeout

J = TypeVar("J")
R = TypeVar("R")


@dataclass(slots=True)
class _Waiting(Generic[J, R]):
    job: J
    result: R | None = None
    problem: BaseException | None = None
    done: bool = False


class GroupCommit(Generic[J, R]):
    """Collects jobs while one commit waits for the disk, and does them all in the next.

    Args:
        work: does some jobs whole or not at all, and returns the result of each.
        most: of them at once.
    """

    def __init__(self, work: Callable[[list[J]], list[R]], most: int = 256) -> None:
        self._work = work
        self._most = most
        self._begin()
        _groups.add(self)

    def _begin(self) -> None:
        self._waiting: list[_Waiting[J, R]] = []
        self._adding = threading.Lock()
        self._leading = threading.Lock()

    def do(self, job: J) -> R:
        """Return the result of a job, once it is durable; raise what the commit that held it raised."""
        mine = _Waiting[J, R](job)
        with self._adding:
            self._waiting.append(mine)
        while not mine.done:
            with self._leading:
                if not mine.done:
                    self._lead()
        if mine.problem is not None:
            raise mine.problem
        return mine.result  # type: ignore[return-value]

    def _lead(self) -> None:
        with self._adding:
            some, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
        try:
            for waiting, result in zip(some, self._work([each.job for each in some]), strict=True):
                waiting.result = result
        except Exception as problem:  # noqa: BLE001 - each caller raises it
            for waiting in some:
                waiting.problem = problem
        except BaseException:  # of this thread alone: Ctrl-C
            for waiting in some:
                waiting.problem = StoreTimeout("the commit that held this was interrupted; send it again")
            raise
        finally:
            for waiting in some:
                waiting.done = True


_groups: weakref.WeakSet[GroupCommit[Any, Any]] = weakref.WeakSet()


def _in_child() -> None:
    """Begin anew: who held a lock, or waited, stayed with the parent."""
    for group in _groups:
        group._begin()  # noqa: SLF001 - the same module


os.register_at_fork(after_in_child=_in_child)
