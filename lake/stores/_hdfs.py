"""Objects as files in HDFS: written beside, renamed into place, listed in the order of their keys.

`rename` without overwrite is atomic at the NameNode: of racing writers of one name one moves its file there, the others
are told that it exists, and nobody sees an open file under a key. A file that is being written lies in `tmp/`.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from heapq import heappop, heappush
from itertools import chain, islice, repeat
from typing import TYPE_CHECKING, Any, TypeVar

from dataplat.errors import ObjectExists, ObjectNotFound, StoreError, StoreTimeout
from dataplat.lake.stores._hdfs_client import Inside, Steps, connect, explained, gone, says
from dataplat.lake.stores._keys import STAGING
from dataplat.lake.stores._protocol import ObjectInfo
from dataplat.lake.stores._remote import Got

if TYPE_CHECKING:
    from hdfs_native import Client, FileStatus, FileWriter

T = TypeVar("T")

SLICE = 1 << 20
"""Bytes that are sent between two looks at the clock."""
BATCH = 1000
"""Names that a NameNode gives at once (`dfs.ls.limit`)."""
ABANDONED = 7 * 24 * 3600 * 1000
"""Milliseconds after which a file in `tmp/` belongs to a writer that died."""

_COLON, _ESCAPED = ":", "9\x7f"
"""HDFS allows no colon. What stands for it is in no key, and sorts where the colon does: behind 9, before a semicolon."""


class HdfsWire:
    """Requests to one NameNode (or pair of them). `settings` are those of `docs/stores.md`."""

    clock_step = 1000

    def __init__(self, host: str, path: str, settings: Mapping[str, Any]) -> None:
        self.url = f"hdfs://{host}/{path}" if path else f"hdfs://{host}"
        self._host = host
        self._root = f"/{path}".rstrip("/")
        self._settings = settings
        self._patience = float(settings.get("timeout", 30))
        self._lock = threading.Lock()
        self._open: tuple[int, Client] | None = None
        self._swept = False

    def get(self, key: str, start: int, stop: int) -> Got:
        """Return the bytes [start, stop) of `key`, fewer where it ends; the client checks their checksums."""

        def work(step: Steps, client: Client) -> Got:
            reader = step(client.read, self._path(key))
            size = len(reader)
            pieces = reader.read_range_stream(start, max(min(stop, size) - start, 0)) if start < size else iter(())
            return Got(b"".join(step.each(pieces)), size)

        return self.call("read", key, work)

    def put(self, key: str, data: bytes | memoryview) -> None:
        """Create `key` if it is absent, with its bytes on the disks of the DataNodes."""
        self.call("create", key, lambda step, client: self._put(step, client, key, memoryview(data)))

    def _put(self, step: Steps, client: Client, key: str, data: memoryview) -> None:
        from hdfs_native import WriteOptions

        temporary = f"{self._root}/{STAGING}/{os.urandom(16).hex()}"
        try:
            writer = step(client.create, temporary, WriteOptions(replication=self._settings.get("replication")))
            for at in range(0, len(data), SLICE):
                step(writer.write, bytes(data[at : at + SLICE]))  # a view is taken byte by byte
            if data:
                step(_synced, writer)
            _close(step, client, writer, temporary, len(data))
            self._name(step, client, temporary, self._path(key))
        except BaseException:
            with suppress(Exception):  # else it is swept one day
                client.delete(temporary)
            raise
        if not self._swept:
            self._swept = True
            with suppress(Exception):  # others will
                self._sweep(step, client, self._path(key))

    def _name(self, step: Steps, client: Client, temporary: str, path: str) -> None:
        """Move a closed file to its name, and make the folder of that only when it is missed."""
        for _ in range(5):  # somebody else may remove an empty folder
            try:
                step(client.rename, temporary, path)
            except FileExistsError as error:
                raise ObjectExists(says(error)) from error
            except FileNotFoundError as error:
                if "destination parent" not in says(error):
                    raise StoreTimeout("the file was gone before it was renamed") from error
                self._make_folder(step, client, path.rpartition("/")[0])
            except OSError:
                if not _was_moved(step, client, temporary):
                    raise
                return
            else:
                return
        raise StoreTimeout("its folder is removed again and again")

    def _make_folder(self, step: Steps, client: Client, folder: str) -> None:
        try:
            step(client.mkdirs, folder, 0o755, True)
        except FileExistsError as error:
            raise StoreError("one of its folders is an object: a key cannot be a folder of others") from error

    def _sweep(self, step: Steps, client: Client, path: str) -> None:
        """Remove what writers that died long ago left, by the NameNode's own clock: `path` was made just now."""
        now = step(client.get_file_info, path).modification_time
        for status in step.each(client.list_status(f"{self._root}/{STAGING}")):
            if status.modification_time < now - ABANDONED:
                step(client.delete, status.path)

    def walk(self, prefix: str, after: str | None) -> Iterator[ObjectInfo]:
        """Yield the keys that begin with `prefix` and sort after `after`, in code-point order.

        A NameNode gives the names of a folder in order, a thousand at once, and no more of them are asked for than are
        taken. It puts a folder `a` before `a-b`, while its keys `a/…` come behind, so folders wait for their turn.
        """
        base, slash, start = prefix.rpartition("/")
        yield from self._walk(base + slash, start, after or "")

    def _walk(self, base: str, start: str, after: str) -> Iterator[ObjectInfo]:
        folders: list[str] = []
        for name, status in self._names(base):
            if start and not name.startswith(start):
                if name > start:
                    break
                continue
            while folders and folders[0] < name:
                yield from self._walk(base + heappop(folders), "", after)
            key = base + name
            if status.isdir:
                if f"{key}/" > after or after.startswith(f"{key}/"):
                    heappush(folders, f"{name}/")
            elif key > after:
                yield ObjectInfo(key, status.length, status.modification_time * 1000)
        while folders:
            yield from self._walk(base + heappop(folders), "", after)

    def _names(self, base: str) -> Iterator[tuple[str, FileStatus]]:
        """Yield what lies in one folder, in order; nothing where there is no such folder."""
        path = self._path(base).rstrip("/") or "/"
        entries: Iterator[FileStatus] | None = None
        for size in chain((1, BATCH - 1), repeat(BATCH)):  # the head of a branch is one name

            def work(step: Steps, client: Client, size: int = size) -> list[FileStatus]:
                nonlocal entries
                entries = entries or client.list_status(path)
                return step(lambda: list(islice(entries, size)))

            try:
                found = self.call("list", base, work)
            except ObjectNotFound:
                return
            for status in found:
                name = _unescaped(status.path.rpartition("/")[2])
                if status.path != path and name.isascii() and (base or name != STAGING):
                    yield name, status
            if len(found) < size:
                return

    def remove(self, key: str) -> None:
        """Delete `key`; it is no error if it is absent."""

        def work(step: Steps, client: Client) -> None:
            try:
                step(client.delete, self._path(key))
            except RuntimeError as error:
                if "PathIsNotEmptyDirectoryException" not in says(error):  # a folder is no object
                    raise

        with suppress(ObjectNotFound):
            self.call("delete", key, work)

    def _path(self, key: str) -> str:
        return f"{self._root}/{key.replace(_COLON, _ESCAPED)}"

    def call(self, doing: str, key: str, work: Callable[[Steps, Client], T]) -> T:
        """Run what works by the client, step after step, each watched; raise what a failure means as an error of ours.

        For work that is no store's, too: `doing` is what a refusal says, `key` where. Raises `ObjectNotFound`,
        `ObjectExists`, `StoreTimeout` (unclear), `StoreError` or `ConfigError`.
        """
        client = None
        try:
            client = self._client()
            return Steps(self._patience).run(lambda step: work(step, client))
        except Exception as error:
            if isinstance(error, TimeoutError) and client is not None:
                self._forget(client)
            if doing in {"read", "list", "delete"} and gone(error):
                raise ObjectNotFound(f"cannot {doing} {self.url}/{key}: there is no such object") from error
            raise explained(error, f"{doing} {self.url}/{key}") from error

    def _client(self) -> Client:
        pid = os.getpid()
        with self._lock:
            if self._open is None or self._open[0] != pid:
                self._open = pid, connect(self._host, self._settings, before=self._open)
            return self._open[1]

    def _forget(self, client: Client) -> None:
        """Connect anew next time: what is silent may be half open, and would be for hours."""
        with self._lock:
            if self._open is not None and self._open[1] is client:
                self._open = None


def _was_moved(step: Steps, client: Client, temporary: str) -> bool:
    """Whether a rename whose answer is lost was done. If it was not, it cannot be done later.

    Only this process moves the file. If it is not there any more, it was moved; if it is there to be deleted, it was
    not, nor ever will be. Asking may be repeated, the delete may not: a second one would find nothing either way.
    """
    for attempt in range(4):
        time.sleep(0.02 * attempt)  # hdfs-native may not have noticed yet that the connection is gone
        try:
            step(client.get_file_info, temporary)
        except FileNotFoundError:
            return True
        except OSError:
            if attempt == 3:
                raise
        else:
            break
    return not step(client.delete, temporary)


def _synced(writer: FileWriter) -> None:
    try:
        writer.hsync()
    except RuntimeError as error:  # erasure-coded files cannot: closing them has to do
        if "erasure-coded" not in says(error):
            raise


def _close(step: Steps, client: Client, writer: FileWriter, path: str, size: int) -> None:
    """Close a file without the half second that the client sleeps where a DataNode's report comes a moment later.

    The NameNode refuses to complete a file until a DataNode has reported its last block, which takes milliseconds;
    the client then waits for 500 ms. Meanwhile this looks whether the block is complete (only then does the NameNode
    count it in the file's length), and has the lease released: that closes a file of complete blocks at once.
    """
    closing = _Closing(writer)
    pause = 0.004
    while not closing.wait(pause):
        if size and len(step(client.read, path)) == size and step(client.recover_lease, path):
            return  # the client will find it closed
        pause = min(pause * 1.5, 0.1)
    step.moved()


class _Closing:
    """A file that is being closed."""

    def __init__(self, writer: FileWriter) -> None:
        self._writer = writer
        self._done = threading.Event()
        self._error: BaseException | None = None
        Inside(self._close, "dataplat-hdfs-close")

    def _close(self) -> None:
        try:
            self._writer.close()
        except BaseException as error:  # noqa: BLE001  (raised by who waits)
            self._error = error
        self._done.set()

    def wait(self, seconds: float) -> bool:
        """Return whether it is closed; raise what closing raised."""
        done = self._done.wait(seconds)  # asked once: it may fail a moment after the time was over
        if done and self._error is not None:
            raise self._error
        return done


def _unescaped(name: str) -> str:
    return name.replace(_ESCAPED, _COLON)


__all__ = ["HdfsWire"]
