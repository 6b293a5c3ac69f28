"""The files in which objects wait for a flush."""

from __future__ import annotations

import os
import threading
import weakref
from contextlib import suppress
from itertools import count
from pathlib import Path

from dataplat.errors import StoreError
from dataplat.lake.stores import Bytes, Store, SupportsFiles


class StagedFiles:
    """The files of one stage, in the store's staging folder or in one of the system's."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._token = ""
        self._names = count()
        self._paths: set[Path] = set()
        self._folder: Path | None = None
        self._lock = threading.Lock()

    def new(self, suffix: str) -> Path:
        """Return the path of a file to write, that nobody was given before."""
        with self._lock:
            if not self._token:  # most stages need no file at all
                self._token = os.urandom(6).hex()
                weakref.finalize(self, _remove_all, self._paths)
            path = self._open() / f"{self._token}-{next(self._names)}{suffix}"
            self._paths.add(path)
        return path

    def _open(self) -> Path:
        if isinstance(self._store, SupportsFiles):
            return self._store.staging_dir()
        if self._folder is None:
            import shutil
            import tempfile

            self._folder = Path(tempfile.mkdtemp(prefix="dataplat-"))
            weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        return self._folder

    def write(self, data: Bytes, suffix: str) -> Path:
        """Write `data` to a new file and return its path; `StoreError` if that fails."""
        path = self.new(suffix)
        try:
            path.write_bytes(data)
        except OSError as error:
            self.remove(path)
            raise StoreError(f"cannot stage {len(data):,} bytes in {path.parent}: {error.strerror}") from error
        return path

    def remove(self, path: Path) -> None:
        """Remove one file."""
        self._paths.discard(path)
        with suppress(OSError):
            path.unlink()

    def clear(self) -> None:
        """Remove all files."""
        _remove_all(self._paths)


def _remove_all(paths: set[Path]) -> None:
    while paths:
        with suppress(OSError, KeyError):
            paths.pop().unlink()
