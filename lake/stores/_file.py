"""A store in a folder of a local (or network) file system."""

# ruff: noqa: PTH101, PTH105, PTH108, PTH112, PTH118, PTH120, PTH123
# Paths are strings here: these are bare system calls, and Path objects would double their cost.

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path

from dataplat.errors import ObjectExists, ObjectNotFound
from dataplat.lake.stores import _staging
from dataplat.lake.stores._durable import explained, make_folder, sync_path, unlinkable, write_new
from dataplat.lake.stores._keys import STAGING, check_key, check_prefix
from dataplat.lake.stores._protocol import Bytes, ObjectInfo
from dataplat.lake.stores._ranges import check_range
from dataplat.lake.stores._walk import walk


class FileStore:
    """Keep each object in a file of its own below the folder `root`, under its key.

    An object is written to a file in `<root>/tmp/`, synced, and linked to its name with `link(2)`, which fails where
    the name exists: so a name appears at once with all of its bytes, and a process killed in the middle leaves nothing
    under it. The folder is synced before `create` returns. Nothing is made on disk before the first object.
    """

    concurrency = 8  # concurrent fsyncs share one commit of the file system's journal

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.root = Path(os.path.abspath(os.path.expanduser(root)))  # noqa: PTH100, PTH111 - keeps symbolic links
        self._root = str(self.root)
        self._tmp = os.path.join(self._root, STAGING)
        self._durable: set[str] = set()
        self._staging: _staging.Staging | None = None
        self._opening = threading.Lock()

    def __repr__(self) -> str:
        return f"FileStore({self._root!r})"

    def __reduce__(self) -> tuple[type[FileStore], tuple[str]]:
        return FileStore, (self._root,)

    def _path(self, key: str) -> str:
        check_key(key)
        return f"{self._root}/{key}"

    def read(self, key: str, byte_range: tuple[int, int] | None = None) -> bytes:
        """Return the bytes of `key`, or of its half-open range `[start, stop)`; raise `ObjectNotFound`."""
        path = self._path(key)
        check_range(key, byte_range)
        try:
            with open(path, "rb", buffering=0) as file:
                if byte_range is None:
                    return file.readall()
                start, stop = byte_range
                file.seek(start)
                return _read_up_to(file.fileno(), min(stop, os.fstat(file.fileno()).st_size) - start)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            raise ObjectNotFound(f"there is no object {key!r} in {self._root}") from None
        except OSError as error:
            raise explained(error, f"read {path}") from error

    def create(self, key: str, data: Bytes) -> None:
        """Create `key` with `data`, durable on return; raise `ObjectExists`, `StoreUnsuitable` without hard links."""
        path = self._path(key)
        self._refuse_existing(key, path)  # before the bytes are written for nothing
        temporary = self._write(data, f"write {len(data):,} bytes for {path}")
        try:
            self._link(temporary, key, path)
        finally:
            _unlink(temporary)

    def draft(self, data: bytes) -> FileDraft:
        """Return an object that may be written before it is created."""
        return FileDraft(self, data)

    def list(self, prefix: str, after: str | None = None, limit: int | None = None) -> Iterator[ObjectInfo]:
        """Yield the keys that begin with `prefix` and sort after `after`, in code-point order.

        Reads only the folders that can hold such keys. `created` is the time at which the file was linked.
        """
        check_prefix(prefix)
        return islice(self._list(prefix, after or ""), limit)

    def _list(self, prefix: str, after: str) -> Iterator[ObjectInfo]:
        try:
            yield from walk(self._root, prefix, after)
        except OSError as error:
            raise explained(error, f"list {self._root}/{prefix}") from error

    def delete(self, key: str) -> None:
        """Delete `key`, durably; deleting a key that is not there is no error. Its folder stays."""
        path = self._path(key)
        try:
            os.unlink(path)
            sync_path(os.path.dirname(path))
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            raise explained(error, f"delete {path}") from error

    def replace(self, key: str, data: Bytes) -> None:
        """Make `data` the bytes of `key` by rename(2), durable on return; only a repair may."""
        path = self._path(key)
        temporary = self._write(data, f"write {len(data):,} bytes for {path}")
        try:
            make_folder(os.path.dirname(path), self._root, self._durable)
            os.replace(temporary, path)
            sync_path(os.path.dirname(path))
        except OSError as error:
            _unlink(temporary)
            raise explained(error, f"replace {path}") from error

    def url(self, key: str) -> str:
        """Return the absolute path of `key`; engines read it as a local file."""
        return self._path(key)

    def staging_dir(self) -> Path:
        """Return this process's folder in `<root>/tmp/`, removed with the process or, if that was killed, by the next."""
        return Path(self._open_staging().path)

    def adopt(self, key: str, path: Path) -> None:
        """Make the file at `path` (in `staging_dir()`) the object `key`, durable on return; raise `ObjectExists`.

        The bytes are not copied: `path` stays as a second name of the same file, now read-only.
        """
        target = self._path(key)
        self._refuse_existing(key, target)
        try:
            os.chmod(path, 0o444)
            os.utime(path)  # the time of creation is when the name appears, not when the bytes were written
            sync_path(str(path))
        except OSError as error:
            raise explained(error, f"adopt {path} as {target}") from error
        self._link(str(path), key, target)

    def sweep(self) -> int:
        """Remove the staging folders of dead processes; return how many. Done by every process before it first writes."""
        return _staging.sweep(self._tmp)

    def _open_staging(self) -> _staging.Staging:
        with self._opening:
            if self._staging is None or self._staging.pid != os.getpid() or not os.path.isdir(self._staging.path):
                try:
                    make_folder(self._tmp, self._root, self._durable)
                    self.sweep()
                    self._staging = _staging.Staging(self._tmp)
                except OSError as error:
                    raise explained(error, f"write in {self._tmp}") from error
            return self._staging

    def _write(self, data: Bytes, doing: str) -> str:
        temporary = self._open_staging().new_path()
        try:
            write_new(temporary, data)
        except OSError as error:
            _unlink(temporary)
            raise explained(error, doing) from error
        return temporary

    def _refuse_existing(self, key: str, path: str) -> None:
        """Raise `ObjectExists` if it does; its creator may not have synced the folder yet, and we vouch for it too."""
        if not os.path.lexists(path):
            return
        if os.path.isdir(path):
            raise explained(IsADirectoryError(errno.EISDIR, ""), f"create {path}")
        sync_path(os.path.dirname(path))
        raise ObjectExists(f"the object {key!r} exists already in {self._root}")

    def _link(self, source: str, key: str, path: str, visible: Callable[[], object] | None = None) -> None:
        folder = os.path.dirname(path)
        try:
            make_folder(folder, self._root, self._durable)
            try:
                os.link(source, path)
            except FileNotFoundError:  # somebody removed an empty folder that we had seen
                self._durable.clear()
                make_folder(folder, self._root, self._durable)
                os.link(source, path)
            if visible is not None:
                visible()
            sync_path(folder)
        except FileExistsError:
            self._refuse_existing(key, path)
            raise  # deleted again at this very moment
        except OSError as error:
            raise unlinkable(error, path) from error


class FileDraft:
    """An object of a `FileStore` whose bytes lie in the staging folder until it is created."""

    def __init__(self, store: FileStore, data: bytes) -> None:
        self._data = data
        self._store = store
        self._path = ""

    def write(self) -> None:
        """Write and sync the bytes."""
        if not self._path:
            self._path = self._store._write(self._data, f"write {len(self._data):,} bytes")  # noqa: SLF001

    def create(self, key: str, visible: Callable[[], object]) -> None:
        """Link the file to the name of `key`, durable on return; raise `ObjectExists`, `StoreUnsuitable`."""
        path = self._store._path(key)  # noqa: SLF001
        self._store._refuse_existing(key, path)  # noqa: SLF001
        self.write()
        self._store._link(self._path, key, path, visible)  # noqa: SLF001

    def discard(self) -> None:
        """Remove the file's name in the staging folder."""
        if self._path:
            _unlink(self._path)
            self._path = ""


def _read_up_to(descriptor: int, size: int) -> bytes:
    """Read `size` bytes, or as many as there are (one read(2) gives at most 2 GB)."""
    pieces = []
    while size > 0 and (piece := os.read(descriptor, size)):
        pieces.append(piece)
        size -= len(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _unlink(path: str) -> None:
    with suppress(OSError):  # what stays is swept with the staging folder
        os.unlink(path)
