"""Objects on their way into a store: after `flush` all of them are in it, durably.

Before it none is, but for large ones that a store far away is sent as soon as they are finished, while the next are made.
Nothing names those yet; if nothing ever does, a collection removes them.
"""

from __future__ import annotations

import hashlib
import os
import threading
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeAlias

from dataplat.errors import ObjectExists, StoreError
from dataplat.lake._object_keys import check, generation_key, object_key, read_object
from dataplat.lake._staged_files import StagedFiles
from dataplat.lake.stores import Bytes, Store, SupportsFiles, SupportsUrl, concurrency_of
from dataplat.lake.stores._durable import explained, sync_path
from dataplat.lake.stores._threads import Threads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from concurrent.futures import Future, ThreadPoolExecutor

Name: TypeAlias = tuple[str, str]
"""Id and suffix of an object."""

_REMEMBERED = 256 << 10
"""Bytes up to which a flushed object stays in memory: its reader is usually the next step of the same commit."""
_EARLY = 256 << 10
"""Bytes from which a file is brought to the disk in the background as soon as it is handed over."""
_BIG_UPLOADS = 2
"""Staged files that are in memory at once while they are sent to a store that takes bytes only."""


@dataclass(slots=True)
class _Staged:
    """One object: its bytes in memory, or in a file, or neither any more (flushed and dropped)."""

    size: int
    data: bytes | None = None
    path: Path | None = None
    syncing: Future[None] | None = None
    sending: Future[bool] | None = None
    """Creates it under its plain key, ahead of the flush; tells whether it was not there before."""
    flushed: bool = False
    generation: str = ""
    """The key that it has in place of the plain one, because that is being collected."""


class Stage:
    """Collect the objects of a commit, named by the SHA-256 of their bytes; `flush` puts them into `store`.

    Bytes are kept in memory up to `memory_budget` in all, then in files. On a store of a local file system
    (`SupportsFiles`) those files lie in its own staging folder and become objects without being copied. Safe for
    threads. As a context manager it discards on exit what was not flushed.
    """

    def __init__(self, store: Store, memory_budget: int = 64 << 20) -> None:
        self.store = store
        self.memory_budget = memory_budget
        self.written_bytes = 0
        self.written_objects = 0
        self._staged: dict[Name, _Staged] = {}
        self._in_memory = 0
        self._lock = threading.Lock()  # never held across a call to the store: in the simulator those switch writers
        self._uploads = threading.Semaphore(_BIG_UPLOADS)
        self._files = StagedFiles(store)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.discard()

    @property
    def pending_bytes(self) -> int:
        """Bytes of the objects that are staged and not flushed."""
        with self._lock:
            return sum(staged.size for staged in self._staged.values() if not staged.flushed)

    def put(self, data: Bytes, suffix: str) -> str:
        """Stage `data` and return its id, the SHA-256 in hex. A copy is made of what is not `bytes`."""
        object_id = hashlib.sha256(data).hexdigest()
        size = len(data)
        with self._lock:
            if (object_id, suffix) in self._staged:
                return object_id
            fits = self._in_memory + size <= self.memory_budget
            if fits:
                self._staged[object_id, suffix] = _Staged(size, bytes(data))
                self._in_memory += size
        if not fits:
            self.put_file(self._files.write(data, suffix), object_id, suffix)
        return object_id

    def put_file(self, path: Path, object_id: str, suffix: str) -> None:
        """Stage the finished file `path`, best made by `new_file`, whose SHA-256 is `object_id`; it now belongs here."""
        staged = _Staged(path.stat().st_size, path=path)
        with self._lock:
            known = self._staged.setdefault((object_id, suffix), staged)
        if known is not staged:
            if known.path != path:
                self._files.remove(path)
        elif staged.size < _EARLY:
            return
        elif isinstance(self.store, SupportsFiles):
            staged.syncing = _threads().submit(_sync, path)
        elif concurrency_of(self.store) > 1:
            staged.sending = _senders.pool().submit(self._send, object_key(object_id, suffix), path)

    def adopt(self, object_id: str, suffix: str, size: int) -> None:
        """Take an object for staged and flushed that another process has brought into the store."""
        with self._lock:
            self._staged.setdefault((object_id, suffix), _Staged(size, flushed=True))

    def new_file(self, suffix: str) -> Path:
        """Return the path of a file to write, on the store's own file system where it has one."""
        return self._files.new(suffix)

    def holds(self, object_id: str, suffix: str) -> bool:
        """Return whether the object's bytes are here, in memory or in a file."""
        staged = self._staged.get((object_id, suffix))
        return staged is not None and (staged.data is not None or staged.path is not None)

    def is_at_hand(self, object_id: str, suffix: str) -> bool:
        """Return whether the object is in the store, and its bytes still in memory here."""
        staged = self._staged.get((object_id, suffix))
        return staged is not None and staged.flushed and staged.data is not None

    def is_pending(self, object_id: str, suffix: str) -> bool:
        """Return whether the object is staged and not yet in the store."""
        staged = self._staged.get((object_id, suffix))
        return staged is not None and not staged.flushed

    def knows(self, object_id: str, suffix: str) -> bool:
        """Return whether the object was staged here, flushed or not."""
        return (object_id, suffix) in self._staged

    @property
    def has_flushed(self) -> bool:
        """Whether an object of it may be in the store already."""
        with self._lock:
            return any(staged.flushed or staged.sending for staged in self._staged.values())

    def names(self) -> list[Name]:
        """Return (id, suffix) of all that was staged."""
        with self._lock:
            return list(self._staged)

    def steer(self, object_id: str, suffix: str, key: str) -> None:
        """Let a staged object be flushed under `key`, one of its generations, because its plain key is being collected."""
        self._staged[object_id, suffix].generation = key

    def renew(self, object_id: str, suffix: str, token: str) -> None:
        """Write a flushed object once more, durably, as a generation of its own: its key is being collected.

        Raises:
            ObjectNotFound: Its bytes are neither here nor in the store any more.
        """
        staged = self._staged[object_id, suffix]
        key = generation_key(object_id, suffix, token)
        with suppress(ObjectExists):  # nobody else has the token: it is ours, whatever carried it sent it twice
            if staged.data is None and staged.path is None:
                self.store.create(key, self.read(object_id, suffix))
            else:
                self._create(key, staged)
        with self._lock:
            staged.generation = key
            self.written_bytes += staged.size
            self.written_objects += 1

    def ids(self, suffix: str) -> list[str]:
        """Return the ids of the staged objects of one suffix."""
        with self._lock:
            return [object_id for object_id, kind in self._staged if kind == suffix]

    def read(self, object_id: str, suffix: str) -> bytes:
        """Return the bytes of an object, staged or stored; raise `ObjectNotFound` or, of stored ones, `IntegrityError`."""
        staged = self._staged.get((object_id, suffix))
        if staged is not None and (data := staged.data) is not None:
            return data
        if staged is not None and (path := staged.path) is not None:
            return path.read_bytes()
        data = read_object(self.store, object_id, suffix)
        check(object_id, data, object_key(object_id, suffix))
        return data

    def local_path(self, object_id: str, suffix: str) -> Path | None:
        """Return the file in which the object is staged, or None; the file goes when the stage is discarded."""
        staged = self._staged.get((object_id, suffix))
        return None if staged is None else staged.path

    def path_or_url(self, object_id: str, suffix: str) -> str:
        """Return a local path (what is in memory is written to a file), or the URL of a stored object."""
        name = (object_id, suffix)
        staged = self._staged.get(name)
        if staged is not None and staged.path is not None:
            return str(staged.path)
        if (staged is None or staged.data is None) and isinstance(self.store, SupportsUrl):
            return self.store.url((staged.generation if staged else "") or object_key(object_id, suffix))
        path = self._files.write(self.read(object_id, suffix), suffix)
        with self._lock:
            if staged is not None:
                staged.path = path
        return str(path)

    def flush(self, beside: Callable[[], object] | None = None) -> int:
        """Create all staged objects in the store, durably; return the bytes that were not there before.

        `beside` is called meanwhile, and is over, too, on return: what else has to be brought to the disk.

        Calls run beside each other as far as the store says that it pays, and the caller takes part: it does not wait
        for threads to wake where there is little to do. When one fails the others are finished, the first error is
        raised, and `flush` can be called again.
        """
        with self._lock:
            pending = [(name, staged) for name, staged in self._staged.items() if not staged.flushed]
        calls = [partial(self._flush_one, name, staged) for name, staged in pending]
        if beside is not None:
            calls.append(partial(_nothing_new, beside))
        if min(concurrency_of(self.store), len(calls)) <= 1:
            return sum(call() for call in calls)
        pool = _threads()
        futures = [pool.submit(call) for call in calls[1:]]
        outcomes = [_outcome(calls[0])]
        outcomes += [
            _outcome(call if future.cancel() else future.result)
            for call, future in zip(calls[1:], futures, strict=True)
        ]
        new = 0
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome
            new += outcome
        return new

    def _flush_one(self, name: Name, staged: _Staged) -> int:
        new = None if staged.sending is None or staged.generation else _sent(staged.sending)
        if new is None:
            try:
                self._create(staged.generation or object_key(*name), staged)
                new = True
            except ObjectExists:  # named by its content: whoever created it created the same
                new = False
        with self._lock:
            staged.flushed = True
            if staged.data is not None and staged.size > _REMEMBERED:
                self._in_memory -= staged.size
                staged.data = None
            if new:
                self.written_bytes += staged.size
                self.written_objects += 1
        if staged.path is not None and not isinstance(self.store, SupportsFiles):
            self._files.remove(staged.path)
            staged.path = None
        return staged.size if new else 0

    def _create(self, key: str, staged: _Staged) -> None:
        if staged.syncing is not None:
            staged.syncing.result()  # the kernel reports a failed write once: a second fsync would be told "fine"
        if staged.data is not None:
            self.store.create(key, staged.data)
        elif staged.path is None:
            raise StoreError(f"{key} was discarded before it was flushed")
        elif isinstance(self.store, SupportsFiles):
            self.store.adopt(key, staged.path)
        else:
            with self._uploads:
                self.store.create(key, staged.path.read_bytes())

    def _send(self, key: str, path: Path) -> bool:
        try:
            with self._uploads:
                self.store.create(key, path.read_bytes())
        except ObjectExists:
            return False
        return True

    def forget_all_but(self, names: Iterable[Name]) -> None:
        """Forget what is staged besides `names`, and remove its files."""
        kept = set(names)
        if not kept:
            self.discard()
            return
        with self._lock:
            gone = [self._staged.pop(name) for name in list(self._staged) if name not in kept]
            self._in_memory -= sum(staged.size for staged in gone if staged.data is not None)
        _stop(gone)
        for staged in gone:
            if staged.path is not None:
                self._files.remove(staged.path)

    def discard(self) -> None:
        """Forget what is staged and remove its files; what was flushed stays in the store."""
        with self._lock:
            gone = list(self._staged.values())
            self._staged.clear()
            self._in_memory = 0
        _stop(gone)
        self._files.clear()


def _nothing_new(call: Callable[[], object]) -> int:
    call()
    return 0


def _outcome(call: Callable[[], int]) -> int | BaseException:
    """Return what a call returns or raises."""
    try:
        return call()
    except BaseException as error:  # noqa: BLE001  (it is raised when the others are finished)
        return error


def _sent(sending: Future[bool]) -> bool | None:
    """Return whether what was sent ahead is new, or None where the flush has to send it."""
    if sending.cancel():
        return None
    try:
        return sending.result()
    except Exception:  # noqa: BLE001  (if it is to fail it fails again, and says why)
        return None


def _stop(gone: Iterable[_Staged]) -> None:
    """Send nothing more of what is forgotten, and wait for what is under way."""
    sending = [staged.sending for staged in gone if staged.sending is not None]
    for call in [call for call in sending if not call.cancel()]:
        call.exception()


def _sync(path: Path) -> None:
    try:
        sync_path(str(path))
    except FileNotFoundError:  # discarded meanwhile
        return
    except OSError as error:
        raise explained(error, f"bring {path} to the disk") from error


_senders = Threads(_BIG_UPLOADS, "dataplat-send")
_POOLS: dict[int, ThreadPoolExecutor] = {}


def _threads() -> ThreadPoolExecutor:
    """Return this process's threads: by process id, because a forked child inherits the pool but not its threads."""
    from concurrent.futures import ThreadPoolExecutor

    pid = os.getpid()
    if pid not in _POOLS:
        _POOLS.clear()
        _POOLS[pid] = ThreadPoolExecutor(8, thread_name_prefix="dataplat-stage")
    return _POOLS[pid]
