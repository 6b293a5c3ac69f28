"""Copies of objects on this machine, in one folder that all processes and lakes of a user share.

    <folder>/objects/ab/cdef….parquet     named as in a lake, so equal objects of two lakes lie here once
    <folder>/objects/usage                bytes that are here at most, kept under an flock
    <folder>/objects/evicting             locked by the one process that removes what was not used for longest

A file appears under its name at once with all of its bytes. The time of last use is its access time, set by us and
not by the kernel, since many file systems are mounted without. Whatever goes wrong here only costs time.
"""

# ruff: noqa: PTH102, PTH103, PTH104, PTH108, PTH110, PTH116, PTH118, PTH120
# Paths are strings here: these are bare system calls, and Path objects would double their cost.

from __future__ import annotations

import fcntl
import hashlib
import os
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from dataplat.lake._object_keys import FOLDER, object_key

if TYPE_CHECKING:
    from dataplat.lake.stores._protocol import Bytes

DEFAULT_SIZE: Final = 10_000_000_000
"""Bytes that copies take at most, unless told otherwise."""
_FILLED: Final = 0.8
"""An eviction leaves so much of the size, so that the next one, which looks at every copy, is far away."""
_USED: Final = 60
"""Seconds within which a second use of a copy is not noted."""
_ABANDONED: Final = 3600
"""Seconds after which a file that never got its name belongs to a process that died."""
_PAUSE: Final = 60.0
"""Seconds for which nothing is written after a write has failed."""
_TRIES: Final = 50
"""How often, a millisecond apart, the lock on the usage is tried; its holder may be stopped."""
_ROUNDS: Final = 10
"""How often an eviction that other writers have outrun begins again."""
_UNFINISHED: Final = "."


class ObjectCache:
    """Copies of objects, at most `size` bytes of them (0: none), those used last. Safe for threads and processes."""

    def __init__(self, folder: Path, size: int = DEFAULT_SIZE) -> None:
        self.folder = folder
        self.size = size
        self._root = str(folder / FOLDER)
        self._owed = 0
        self._paused_until = 0.0
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"ObjectCache({str(self.folder)!r}, {self.size:,} bytes)"

    def path(self, object_id: str, suffix: str) -> Path:
        """Return where the copy of an object lies, or would lie."""
        return self.folder / object_key(object_id, suffix)

    def find(self, object_id: str, suffix: str) -> Path | None:
        """Return the copy of an object, whose use is noted, or None; its bytes are the caller's to check."""
        path = self.path(object_id, suffix)
        try:
            found = os.stat(path)
            if time.time() - found.st_atime > _USED:
                os.utime(path, ns=(time.time_ns(), found.st_mtime_ns))
        except FileNotFoundError:
            return None
        except OSError:  # read only: it can be read all the same
            return path if path.is_file() else None
        return path

    def read(self, object_id: str, suffix: str) -> bytes | None:
        """Return the bytes of a copy, if there is one and it is what was written; else it is dropped."""
        path = self.find(object_id, suffix)
        if path is None:
            return None
        try:
            data = path.read_bytes()
        except OSError:
            return None
        if hashlib.sha256(data).hexdigest() == object_id:
            return data
        self.drop(object_id, suffix)
        return None

    def write(self, object_id: str, suffix: str, data: Bytes) -> None:
        """Keep a copy of an object whose bytes have been checked, if that is possible."""
        if len(data) > self.size or time.monotonic() < self._paused_until:
            return
        try:
            self._write(object_id, suffix, data)
        except OSError:  # full, read only, no locks: it is tried again later
            self._paused_until = time.monotonic() + _PAUSE

    def _write(self, object_id: str, suffix: str, data: Bytes) -> None:
        path = str(self.path(object_id, suffix))
        if os.path.exists(path):
            return
        folder = os.path.dirname(path)
        os.makedirs(self.folder, exist_ok=True)
        for made in (self._root, folder):
            with suppress(FileExistsError):
                os.mkdir(made, 0o700)
        if self._reserve(len(data)):
            self._evict(len(data))
        fresh = os.path.join(folder, f"{_UNFINISHED}{os.getpid()}-{os.urandom(6).hex()}")
        try:
            descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "wb", buffering=0) as file, memoryview(data).cast("B") as view:
                written = 0
                while written < len(view):
                    written += file.write(view[written:])
            os.rename(fresh, path)
        except BaseException:
            with suppress(OSError):
                os.unlink(fresh)
            self._owe(-len(data))
            raise

    def problem(self) -> str | None:
        """Return what keeps copies from being kept, found by keeping one; None where nothing does."""
        data = os.urandom(32)
        object_id = hashlib.sha256(data).hexdigest()
        try:
            self._write(object_id, ".bin", data)
        except OSError as error:
            return error.strerror or str(error)
        self.drop(object_id, ".bin")
        return None

    def drop(self, object_id: str, suffix: str) -> None:
        """Remove the copy of an object, if there is one."""
        with suppress(OSError):
            path = self.path(object_id, suffix)
            size = os.stat(path).st_size
            os.unlink(path)
            self._owe(-size)

    # ------------------------------------------------------------------------------------------------ its size

    def _owe(self, nbytes: int) -> None:
        with self._lock:
            self._owed += nbytes

    def _reserve(self, nbytes: int) -> bool:
        """Add to the usage; return whether it is more than there may be. Who cannot get the lock adds it later."""
        self._owe(nbytes)
        with self._usage() as usage:
            used = None if usage is None else _get(usage)
            if usage is None or used is None:  # nobody has counted yet: an eviction does it
                return usage is not None
            used += self._paid()
            _set(usage, used)
            return used > self.size

    def _paid(self) -> int:
        with self._lock:
            owed, self._owed = self._owed, 0
        return owed

    def _evict(self, wanted: int) -> None:
        """Remove what was not used for longest, unless another process is at it, and count what there is.

        Others go on writing meanwhile, and leave it to this one to evict: so it looks again before it ends.
        """
        with _locked(os.path.join(self._root, "evicting"), 1) as turn:
            for _ in range(_ROUNDS if turn is not None else 0):
                with self._usage() as usage:
                    before = None if usage is None else _get(usage)
                left = self._shrink(int(self.size * _FILLED) - wanted)
                with self._usage() as usage:
                    if usage is None:
                        return
                    meanwhile = 0 if before is None else wanted + (_get(usage) or before) - before
                    used = left + meanwhile + self._paid()
                    _set(usage, used)
                if before is not None and used <= self.size:  # while there is no count nobody adds to it
                    return

    def _shrink(self, most: int) -> int:
        """Remove the copies used least recently until they are at most `most` bytes; return how many are left."""
        copies = sorted(self._copies())
        left = sum(size for _, size, _ in copies)
        for _, size, path in copies:
            if left <= most:
                break
            with suppress(OSError):
                os.unlink(path)
                left -= size
        return left

    def _copies(self) -> Iterator[tuple[float, int, str]]:
        """Yield last use, size and path of each copy; remove what processes that died have left."""
        now = time.time()
        for folder in _entries(self._root):
            if len(folder.name) != 2:
                continue
            for entry in _entries(folder.path):
                try:
                    found = entry.stat(follow_symlinks=False)
                    if entry.name.startswith(_UNFINISHED):
                        if now - found.st_mtime > _ABANDONED:
                            os.unlink(entry.path)
                        continue
                except OSError:
                    continue
                yield found.st_atime, found.st_size, entry.path

    def _usage(self) -> AbstractContextManager[int | None]:
        return _locked(os.path.join(self._root, "usage"), _TRIES)


def _entries(folder: str) -> Iterator[os.DirEntry[str]]:
    with suppress(OSError), os.scandir(folder) as entries:
        yield from entries


def _get(usage: int) -> int | None:
    try:
        return int(os.pread(usage, 32, 0))
    except ValueError:
        return None


def _set(usage: int, nbytes: int) -> None:
    os.pwrite(usage, b"%020d" % max(0, nbytes), 0)


@contextmanager
def _locked(path: str, tries: int) -> Iterator[int | None]:
    """Hold an flock on the file `path`, or give None if another has it for long."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        for left in range(tries, 0, -1):
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if left > 1:
                    time.sleep(0.001)
                continue
            yield descriptor
            return
        yield None
    finally:
        os.close(descriptor)  # gives the lock up
