"""The log of served requests: off the path of requests, into files that outlive the process, a row for each entity.

    log = ServedLog(folder)
    log.record("delay_model@1", entities, request, rows, t, served)      # a microsecond; never waits, never raises
    log.close()                                                          # all that was recorded is in the folder

`record` puts a request where a thread finds it. Where requests come faster than they are to be logged, or than the thread
writes, they are left out and counted. A segment is an Arrow stream with one batch for each time that the thread wrote; a
process that is killed loses what it had not written, and a batch that it was writing. `segments` gives those that nobody
writes any more: closed ones, and those of the dead, which the lock that a writer holds on its segment tells.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import random
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from dataplat.feature_store.served_rows import ROWS, Request, schema, table_of

if TYPE_CHECKING:
    import pyarrow as pa

    from dataplat.feature_store.online.serve import Served

EVERY: Final = 1.0
"""Seconds between writes: what a kill may lose."""
MOST: Final = 20.0
"""Rows a second of one process that are logged by default."""
WAITING: Final = 50_000
"""Rows of requests that wait to be written; more are left out."""
SEGMENT_BYTES: Final = 8 * 10**6
SEGMENT_SECONDS: Final = 60.0
OPEN, CLOSED = ".open", ".served"
_Told: TypeAlias = "tuple[str, Mapping[str, Sequence[Any]], Mapping[str, Sequence[Any]], int, int, Served]"
"""The fields of a `Request`: one is made of them by the thread."""
_LOG: Final = logging.getLogger("dataplat.serve")


class ServedLog:
    """Logs requests into a folder.

    Args:
        folder: where; processes may share it.
        sample: the share of requests that is logged, by chance.
        most: rows a second of this process; None: all.
        every: seconds between writes.

    Attributes:
        logged: rows that were written.
        skipped: rows that were left out, by chance or beyond `most`.
        dropped: rows that were lost: too many waited, or the folder could not be written.
    """

    def __init__(self, folder: Path, *, sample: float = 1.0, most: float | None = MOST, every: float = EVERY) -> None:
        self._folder, self._sample, self._most, self._every = folder, sample, most, every
        self._left = 0.0 if most is None else max(most, 1.0)
        self._waiting: deque[_Told] = deque()
        self._rows = 0
        self.logged = self.skipped = self.dropped = 0
        self._segment: _Segment | None = None
        self._writing = threading.Lock()
        self._ending = threading.Event()
        self._troubled = False
        self._thread = threading.Thread(target=self._run, name="dataplat-served", daemon=True)
        self._thread.start()

    def record(
        self,
        space: str,
        entities: Mapping[str, Sequence[Any]],
        request: Mapping[str, Sequence[Any]],
        rows: int,
        t: int,
        served: Served,
    ) -> None:
        """Log a request that was answered, if it is among those that are logged. Never waits, never raises."""
        if self._most is not None and self._left <= 0:
            self.skipped += rows
            return
        if self._sample < 1.0 and random.random() >= self._sample:  # noqa: S311  (which are looked at, no secret)
            self.skipped += rows
            return
        if self._rows >= WAITING or self._ending.is_set():
            self.dropped += rows
            return
        self._rows += rows
        self._left -= min(rows, ROWS)
        self._waiting.append((space, entities, request, rows, t, served))

    def flush(self) -> None:
        """Write what waits."""
        with self._writing:
            self._write()

    def close(self) -> None:
        """Write what waits, close the segment, and end."""
        self._ending.set()
        self._thread.join()
        with self._writing:
            self._write()
            self._rotate()

    def _run(self) -> None:
        before = time.monotonic()
        while not self._ending.wait(self._every):
            with self._writing:
                self._write()
                if self._segment is not None and self._segment.full:
                    self._rotate()
            now = time.monotonic()
            if self._most is not None:
                self._left = min(self._left + self._most * (now - before), max(self._most, 1.0))
            before = now

    def _write(self) -> None:
        """Write what waits now; later ones wait for the next time."""
        requests = [Request(*self._waiting.popleft()) for _ in range(len(self._waiting))]
        if not requests:
            return
        rows = sum(min(request.rows, ROWS) for request in requests)
        try:
            if self._segment is None:
                self._segment = _Segment(self._folder)
            table = table_of(requests, self._segment.batch())
            self._segment.write(table)
        except Exception as error:  # noqa: BLE001  (a log that fails must not end what it logs)
            self.dropped += rows
            if not self._troubled:  # its message may hold values
                _LOG.error("served requests are not logged in %s: %s", self._folder, type(error).__name__)
            self._troubled = True
            if isinstance(error, OSError):
                self._rotate()
        else:
            self.logged += rows
            self.skipped += sum(request.rows for request in requests) - rows
            self._troubled = False
        finally:
            self._rows = sum(told[3] for told in list(self._waiting))

    def _rotate(self) -> None:
        segment, self._segment = self._segment, None
        if segment is not None:
            with contextlib.suppress(OSError):
                segment.close()


class _Segment:
    """A file that is being written; its lock says that somebody does."""

    def __init__(self, folder: Path) -> None:
        import pyarrow as pa

        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.name = f"{time.time_ns():020d}-{os.urandom(4).hex()}"
        self.path = folder / f"{self.name}{OPEN}"
        self._file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._file, fcntl.LOCK_EX)
        self._began, self._batches, self._nbytes = time.monotonic(), 0, 0
        self._options = pa.ipc.IpcWriteOptions(compression="zstd")

    @property
    def full(self) -> bool:
        """Whether it is large enough, or old enough, to be closed."""
        return self._nbytes >= SEGMENT_BYTES or time.monotonic() - self._began >= SEGMENT_SECONDS

    def batch(self) -> str:
        """Return a name for the rows that are written next."""
        self._batches += 1
        return f"{self.name}-{self._batches:06d}"

    def write(self, table: pa.Table) -> None:
        """Add rows, whole or not at all: they are one message behind the others."""
        import pyarrow as pa

        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, schema(), options=self._options) as writer:
            writer.write_table(table.combine_chunks())
        message = memoryview(sink.getvalue())
        size = len(message).to_bytes(8, "little")
        try:
            for piece in (size, message):
                _write_all(self._file, piece)
        except OSError:
            os.ftruncate(self._file, self._nbytes)
            os.lseek(self._file, self._nbytes, os.SEEK_SET)
            raise
        self._nbytes += 8 + len(message)

    def close(self) -> None:
        """Give it over to whoever lands it."""
        try:
            self.path.rename(self.path.with_suffix(CLOSED))
        finally:
            os.close(self._file)


def _write_all(file: int, piece: bytes | memoryview) -> None:
    left = memoryview(piece)
    while left:
        left = left[os.write(file, left) :]


def segments(folder: Path) -> list[Path]:
    """Return the segments of a folder that nobody writes any more, the oldest first."""
    found = list(folder.glob(f"*{CLOSED}"))
    found += [path for path in folder.glob(f"*{OPEN}") if _orphaned(path)]
    return sorted(found)


def _orphaned(path: Path) -> bool:
    """Tell whether the writer of a segment is no more."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False  # it has just been closed, and is found the next time
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(file)
    return path.exists()


def read(path: Path) -> pa.Table:
    """Return the rows of a segment; a batch that a dead writer left half written is not among them."""
    import pyarrow as pa

    tables = [pa.ipc.open_stream(message).read_all() for message in _messages(path.read_bytes())]
    return pa.concat_tables([schema().empty_table(), *tables])


def _messages(content: bytes) -> Iterator[bytes]:
    at = 0
    while at + 8 <= len(content):
        size = int.from_bytes(content[at : at + 8], "little")
        if at + 8 + size > len(content):
            return
        yield content[at + 8 : at + 8 + size]
        at += 8 + size


@contextlib.contextmanager
def landing(folder: Path) -> Iterator[bool]:
    """Hold the right to land segments of a folder; gives whether it was to be had: one process at a time has it."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    file = os.open(folder / "landing.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(file)
