"""Folders for files that are not objects yet, and the removal of those whose process died.

Each process has `tmp/<token>/` beside a file `tmp/<token>.lock`, on which it holds an flock as long as it lives; the
kernel gives that up when the process dies, however it dies. A folder is swept only by one who gets its lock.
"""

# ruff: noqa: PTH102, PTH103, PTH108, PTH116, PTH118, PTH208
# Paths are strings here: these are bare system calls, and Path objects would double their cost.

from __future__ import annotations

import errno
import fcntl
import os
import time
import weakref
from contextlib import suppress
from itertools import count

_LOCK = ".lock"
_UNLOCKED = b"no flock here: swept by age"
_AGE = 7 * 86_400
"""Seconds after which a folder is swept that had no lock (file systems without flock)."""


class Staging:
    """A staging folder of this process inside `tmp`, removed when the object or the process ends."""

    def __init__(self, tmp: str) -> None:
        self.pid = os.getpid()
        os.makedirs(tmp, exist_ok=True)
        while (descriptor := _locked_file(lock := os.path.join(tmp, os.urandom(8).hex() + _LOCK))) is None:
            continue  # a sweeper took the lock file before it was locked
        self.path = lock.removesuffix(_LOCK)
        os.mkdir(self.path)
        self._names = count()
        self._finalizer = weakref.finalize(self, _remove, self.path, descriptor, self.pid)

    def new_path(self, suffix: str = "") -> str:
        """Return a path in the folder that no thread or forked child has been given before."""
        return os.path.join(self.path, f"{os.getpid()}-{next(self._names)}{suffix}")

    def close(self) -> None:
        """Remove the folder with all that is in it."""
        self._finalizer()


def _locked_file(path: str) -> int | None:
    """Create the lock file and lock it; None if it was swept in between."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except OSError as error:
        if error.errno not in {errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}:
            os.close(descriptor)
            raise
        os.write(descriptor, _UNLOCKED)
    if os.fstat(descriptor).st_nlink == 0:
        os.close(descriptor)
        return None
    return descriptor


def _remove(path: str, descriptor: int, pid: int) -> None:
    if os.getpid() == pid:  # a forked child that ends must not remove its parent's folder
        _remove_tree(path)
        _unlink(path + _LOCK)
    os.close(descriptor)


def sweep(tmp: str) -> int:
    """Remove the staging folders whose process is dead; return how many. What may not be removed is left."""
    try:
        names = sorted(os.listdir(tmp))
    except OSError:
        return 0
    locks = {name for name in names if name.endswith(_LOCK)}
    removed = sum(_sweep_one(os.path.join(tmp, name)) for name in locks)
    for name in names:
        path = os.path.join(tmp, name)
        if name not in locks and name + _LOCK not in locks and _is_old(path):  # only a power cut leaves these
            _remove_tree(path)
            _unlink(path)
            removed += 1
    return removed


def _sweep_one(lock: str) -> bool:
    try:
        descriptor = os.open(lock, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.read(descriptor, 1) and not _is_old(lock):
            return False
        _remove_tree(lock.removesuffix(_LOCK))
        _unlink(lock)
    except OSError:  # locked by a living process, or no locks on this file system
        return False
    finally:
        os.close(descriptor)
    return True


def _is_old(path: str) -> bool:
    try:
        return time.time() - os.stat(path).st_mtime > _AGE
    except OSError:
        return False


def _remove_tree(path: str) -> None:
    import shutil

    shutil.rmtree(path, ignore_errors=True)


def _unlink(path: str) -> None:
    with suppress(OSError):
        os.unlink(path)
