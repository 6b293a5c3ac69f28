"""Writers of one branch of a local lake wait for each other, for speed only.

Without the lock they race for the next record, and all but one do their work again. Nothing is protected by it: who
does not get it in time, or on a file system that has no locks, goes on without.
"""

from __future__ import annotations

import fcntl
import os
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from dataplat.lake.stores import Store, SupportsFiles
from dataplat.versioning.names import segment

_LONGEST: Final = 10.0
"""Seconds to wait for a turn."""


@contextmanager
def turn(store: Store, branch: str, longest: float = _LONGEST) -> Iterator[bool]:
    """Hold the branch's lock inside the block; the value says whether it was got."""
    descriptor = _open(store, branch)
    if descriptor is None:
        yield False
        return
    try:
        yield _lock(descriptor, longest)
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
    """Try until it is got: a blocking wait could not be given up when its holder is stopped."""
    deadline = time.monotonic() + longest
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() > deadline:
                return False
            time.sleep(random.uniform(0.0005, 0.002))  # noqa: S311 - no secret
        except OSError:
            return False
