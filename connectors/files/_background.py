"""Take a file's fingerprint beside the reading of it."""

from __future__ import annotations

import threading
from pathlib import Path

from dataplat.connectors.files._stream import HashingFile, require_unchanged
from dataplat.connectors.source import Position


class BackgroundFingerprint:
    """The fingerprint of a file that is read out of order, taken in a thread. Raises in `position()`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._before = path.stat()
        self._file = HashingFile(path)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="dataplat-hash", daemon=True)
        self._thread.start()

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return self._file.size

    def _run(self) -> None:
        while not self._stop.is_set() and self._file.read(1 << 20):
            pass

    def position(self) -> Position:
        """Wait and return size, mtime_ns and xxh3_128; raise `SourceError` where the file changed meanwhile."""
        self._thread.join()
        position = self._file.position()
        require_unchanged(self._path, self._before, self._path.stat())
        return position

    def close(self) -> None:
        """Stop, whether done or not."""
        self._stop.set()
        self._thread.join()
        self._file.close()
