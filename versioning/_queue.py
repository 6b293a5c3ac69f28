"""Writers of one branch of a local lake wait for each other, for speed only.

Without the lock they race for the next record, and all but one do their work again. Nothing is protected by it: who
does not get it in time, or on a file system that has no locks, goes on without.
"""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

from dataplat.lake.stores import Store, SupportsFiles
from dataplat.versioning.names import segment

_LONGEST: Final = 10.0
"""Seconds to wait for a turn."""

_DIGITS: Final = 20


class Turn:
    """A writer's turn; `got` is False where it goes on without one."""

    def __init__(self, descriptor: int | None = None) -> None:
        self._descriptor = descriptor
        self.got = descriptor is not None

    @property
    def last(self) -> int | None:
        """The number of a record that the branch has, near its head; a guess that the reader has to check."""
        if self._descriptor is None:
            return None
        with suppress(OSError, ValueError):
            return int(os.pread(self._descriptor, _DIGITS, 0))
        return None

    def leave(self, number: int) -> None:
        """Tell whose turn is next which record we made: to search for the head costs more than our own commit."""
        if self._descriptor is not None:
            with suppress(OSError):
                os.pwrite(self._descriptor, b"%0*d" % (_DIGITS, number), 0)


@contextmanager
def turn(store: Store, branch: str, longest: float = _LONGEST) -> Iterator[Turn]:
    """Hold the branch's lock inside the block, if it is got in `longest` seconds."""
    descriptor = _open(store, branch)
    if descriptor is None or not _lock(descriptor, longest):
        yield Turn()
        return
    try:
        yield Turn(descriptor)
    finally:
        os.close(descriptor)  # gives the lock up


def _open(store: Store, branch: str) -> int | None:
    if not isinstance(store, SupportsFiles):
        return None
    try:
        path = store.staging_dir().parent / f"{segment(branch)}.queue"
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError:
        return None


def _lock(descriptor: int, longest: float) -> bool:
    """Get the lock, or close the descriptor and return False."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except BlockingIOError:
        return _Waiting(descriptor).wait(longest) if longest > 0 else _closed(descriptor)
    except OSError:
        return _closed(descriptor)


def _closed(descriptor: int) -> bool:
    os.close(descriptor)
    return False


class _Waiting:
    """Waits in a thread, because the kernel lets waiters in one by one, in order, but only who cannot give up.

    Trying again and again instead keeps the processors busy with those whose turn it is not.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._over = threading.Event()
        self._deciding = threading.Lock()
        self._got = self._left = False

    def wait(self, longest: float) -> bool:
        """Return whether the lock was got; if not, the descriptor is closed as soon as it can be."""
        threading.Thread(target=self._run, name="dataplat-turn", daemon=True).start()
        try:
            self._over.wait(longest)
        finally:  # also when we are interrupted
            with self._deciding:
                self._left = not self._got
        return self._got

    def _run(self) -> None:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)
            got = True
        except OSError:
            got = False
        with self._deciding:
            self._got = got and not self._left
            if not self._got:
                os.close(self._descriptor)
        self._over.set()
