"""An LMDB environment that is used as LMDB asks: once a process, never over a fork, its map grown with nobody looking.

What LMDB forbids is in its manual (http://www.lmdb.tech/doc/, "Caveats"): its locks belong to a process, so the same files
must not be open in it twice, and a handle must not be carried over a fork. So there is one `Environment` for each folder,
shared by all stores of the process; it is closed before a fork, and opens again on either side when it is used.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from dataplat.errors import IntegrityError, LakeFormatError, MissingExtra, StoreError

if TYPE_CHECKING:
    import lmdb

T = TypeVar("T")

FORMAT: Final = b"dataplat online store 1"
SLOTS: Final = 128
"""Tables of records: each space takes one or two, one more while it is loaded."""
READERS: Final = 1024
MAP: Final = 2**40
"""Bytes of address space that are asked for at first: taken only as the file grows. Where a limit forbids, less is tried."""
SMALLEST_MAP: Final = 2**24


@dataclass(frozen=True, slots=True)
class Opened:
    """The handles of an environment that is open.

    Attributes:
        env: the environment.
        meta: the state of each space.
        rows: pushed rows, by key of their record.
        log: the same by sequence.
        known: sequences by idempotency key.
        settled: idempotency keys by sequence, of rows that left `log`.
        slots: records, or what undoes a change of them.
    """

    env: lmdb.Environment
    meta: lmdb._Database
    rows: lmdb._Database
    log: lmdb._Database
    known: lmdb._Database
    settled: lmdb._Database
    slots: list[lmdb._Database]


_environments: weakref.WeakValueDictionary[str, Environment] = weakref.WeakValueDictionary()
_held: list[Environment] = []  # by a fork that is under way
_finding = threading.Lock()


def environment(folder: Path) -> Environment:
    """Return this process's environment in a folder."""
    with _finding:
        place = os.path.realpath(folder)
        found = _environments.get(place)
        if found is None:
            found = _environments[place] = Environment(Path(place))
        return found


class Environment:
    """The files of one folder, and who of this process uses them.

    `guard` is held while a read transaction is open, `writing` while a write transaction is: growing the map, closing and
    forking need that there is none. Reads are some microseconds long.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.guard = threading.Lock()
        self.writing = threading.Lock()
        self.opened: Opened | None = None
        self._claims: set[int] = set()
        self._claiming: int | None = None  # the file whose byte n is locked while slot n is built
        self._map = MAP

    # ------------------------------------------------------------------------------------------------ transactions

    def begin(self) -> tuple[lmdb.Transaction[bytes], Opened]:
        """Return a read transaction; `guard` is held, and the transaction ends before it is let go."""
        opened = self.opened or self._open()
        try:
            return opened.env.begin(), opened
        except Exception as error:  # noqa: BLE001 - told apart at once
            self._recover(error)
            opened = self.opened or self._open()
            with self.told():
                return opened.env.begin(), opened

    @contextmanager
    def reading(self) -> Iterator[tuple[lmdb.Transaction[bytes], Opened]]:
        """Hold a read transaction."""
        with self.guard, self.told():
            transaction, opened = self.begin()
            try:
                yield transaction, opened
            finally:
                transaction.abort()

    def write(self, work: Callable[[lmdb.Transaction[bytes], Opened], T]) -> T:
        """Return what a function does in a write transaction: durable when it returns, undone if it raises.

        It is called again where the map had to grow.

        Raises:
            StoreError: the disk is full, or the files cannot be written.
        """
        import lmdb

        while True:
            with self.writing, self.told():
                with self.guard:
                    opened = self.opened or self._open()
                try:
                    with opened.env.begin(write=True) as transaction:
                        return work(transaction, opened)
                except lmdb.MapFullError:
                    with self.guard:
                        self._resize(2 * opened.env.info()["map_size"])
                except lmdb.MapResizedError:
                    with self.guard:
                        self._resize(0)

    def _recover(self, error: Exception) -> None:
        """Make way for another try of a read: the map of another process grew, readers died, or the handle is old."""
        import lmdb

        if isinstance(error, lmdb.MapResizedError):
            self.guard.release()  # who writes takes `writing` first
            with self.writing:
                self.guard.acquire()
                self._resize(0)
        elif isinstance(error, lmdb.ReadersFullError) and self.opened is not None:
            self.opened.env.reader_check()
        else:
            raise self.problem(error) from error

    def _resize(self, size: int) -> None:
        """Make the map larger, 0: as large as another process made it. `writing` and `guard` are held."""
        if self.opened is None:
            return
        before = self.opened.env.info()["map_size"]
        try:
            self.opened.env.set_mapsize(size)
        except Exception as error:
            self._close()  # it has no map any more
            raise StoreError(
                f"{self.folder}: the online store needs more than {before:,} bytes of address space, and gets no more "
                f"({error}); nothing was changed. A limit of this process (ulimit -v) is in the way"
            ) from error

    # ------------------------------------------------------------------------------------------------ slots to build in

    def claim(self, transaction: lmdb.Transaction[bytes], opened: Opened, taken: set[int]) -> int:
        """Return a free slot, emptied, that no other process builds in until `release`, or until this one ends.

        Raises:
            StoreError: there is none.
        """
        if self._claiming is None:
            self._claiming = os.open(self.folder / "slots.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        for slot in range(SLOTS):
            if slot in taken or slot in self._claims:
                continue
            with suppress(BlockingIOError, PermissionError):
                fcntl.lockf(self._claiming, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, slot)
                self._claims.add(slot)
                transaction.drop(opened.slots[slot], delete=False)
                return slot
        raise StoreError(
            f"{self.folder}: the online store has no room for another snapshot beside its {len(taken)}; drop services "
            "that are not served any more"
        )

    def release(self, slot: int) -> None:
        """Let others have a slot; what nothing refers to is free."""
        if slot in self._claims:
            self._claims.discard(slot)
            if self._claiming is not None:
                fcntl.lockf(self._claiming, fcntl.LOCK_UN, 1, slot)

    # ------------------------------------------------------------------------------------------------ opening, closing

    def _open(self) -> Opened:
        with self.told():
            try:
                self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            except OSError as error:
                raise StoreError(
                    f"{self.folder}: no online store can be made there ({error.strerror}): name another folder with [features] online"
                ) from error
            if not os.access(self.folder, os.W_OK | os.X_OK):
                raise StoreError(
                    f"{self.folder}: the online store cannot be written; readers write there, too (who reads what), so give "
                    "this user the folder, or name another: [features] online"
                )
            env = self._mapped()
            try:
                self._check(env)
                self.opened = self._handles(env)
            except BaseException:
                env.close()
                raise
        return self.opened

    def _mapped(self) -> lmdb.Environment:
        """Open the files with the largest map that the process may have."""
        import lmdb

        size = self._map
        while True:
            try:
                env = lmdb.Environment(
                    str(self.folder),
                    map_size=size,
                    max_dbs=SLOTS + 8,
                    max_readers=READERS,
                    max_spare_txns=2,
                    mode=0o600,
                    readahead=False,
                )
            except (lmdb.MemoryError, lmdb.Error) as error:
                if getattr(error, "code", None) != 12 or size <= SMALLEST_MAP:  # ENOMEM: a limit of the process
                    raise
                size //= 2
            else:
                env.reader_check()
                return env

    def _check(self, env: lmdb.Environment) -> None:
        """Refuse a file that is shorter than it says: to read beyond its end is a bus error, not an exception."""
        needs = (env.info()["last_pgno"] + 1) * env.stat()["psize"]
        has = (self.folder / "data.mdb").stat().st_size
        with env.begin() as transaction:
            begun = transaction.stat()["entries"] > 0
        if begun and has < needs:
            raise IntegrityError(f"{self.folder}: data.mdb has {has:,} bytes of {needs:,}; {_REBUILD}")

    def _handles(self, env: lmdb.Environment) -> Opened:
        """Return the tables, all made at once by whoever comes first."""
        names = [b"meta", b"rows", b"log", b"known", b"settled", *(b"slot%03d" % slot for slot in range(SLOTS))]
        with env.begin(write=True) as writing:  # handles of a transaction that only reads end with it
            meta, rows, log, known, settled, *slots = (env.open_db(name, writing) for name in names)
            found = writing.get(b"\0format", db=meta)
            if found is None:
                found = FORMAT
                writing.put(b"\0format", found, db=meta)
        if found != FORMAT:
            raise LakeFormatError(f"{self.folder}: this is {found!r}, and this version of dataplat reads {FORMAT!r}")
        return Opened(env, meta, rows, log, known, settled, slots)

    def close(self) -> None:
        """Close the files; they open again when they are used."""
        with self.writing, self.guard:
            self._close()

    def _close(self) -> None:
        opened, self.opened = self.opened, None
        if opened is not None:
            opened.env.close()

    def __del__(self) -> None:
        self._close()
        self._unclaim()

    def _unclaim(self) -> None:
        self._claims.clear()
        claiming, self._claiming = self._claiming, None
        if claiming is not None:
            os.close(claiming)

    # ------------------------------------------------------------------------------------------------ errors

    @property
    def errors(self) -> Any:
        """What LMDB raises."""
        return _lmdb().Error

    @contextmanager
    def told(self) -> Iterator[None]:
        """Raise what LMDB reports as errors of ours."""
        lmdb = _lmdb()
        try:
            yield
        except (lmdb.MapFullError, lmdb.MapResizedError):
            raise
        except (lmdb.Error, OSError) as error:
            if isinstance(error, StoreError):
                raise
            raise self.problem(error) from error

    def problem(self, error: Exception) -> Exception:
        """Return the error that says what LMDB's means here."""
        lmdb = _lmdb()
        broken = (lmdb.CorruptedError, lmdb.InvalidError, lmdb.PageNotFoundError, lmdb.PanicError)
        if isinstance(error, broken):
            return IntegrityError(f"{self.folder}: the online store is broken ({error}); {_REBUILD}")
        if isinstance(error, lmdb.VersionMismatchError):
            return LakeFormatError(f"{self.folder}: written by another format of LMDB ({error}); {_REBUILD}")
        if isinstance(error, lmdb.ReadersFullError):
            return StoreError(f"{self.folder}: {READERS} readers are at the online store already; run fewer workers")
        code = getattr(error, "code", None) or getattr(error, "errno", None)
        if code in {5, 27, 28, 122}:  # EIO (LMDB's word for a write that came short), EFBIG, ENOSPC, EDQUOT
            free = shutil.disk_usage(self.folder).free
            return StoreError(
                f"{self.folder}: the online store could not be written: the disk is full, or a limit is reached, or it "
                f"fails ({error}; {free:,} bytes are free); nothing was changed"
            )
        return StoreError(f"{self.folder}: the online store failed: {error}")


_REBUILD = "remove the folder, and materialise again: all but pushed rows that were not flushed yet is in the lake"


def _lmdb() -> Any:
    try:
        import lmdb
    except ImportError as error:
        raise MissingExtra("the embedded online store needs lmdb: pip install 'dataplat[features]'") from error
    return lmdb


# ---------------------------------------------------------------------------------------------------------------- fork


def _before_fork() -> None:
    """Wait until nobody of this process is in a transaction, and close: the child must inherit nothing."""
    _finding.acquire()
    for found in list(_environments.values()):
        found.writing.acquire()
        found.guard.acquire()
        found._close()  # noqa: SLF001 - the same module
        _held.append(found)


def _after_fork() -> None:
    while _held:
        found = _held.pop()
        found.guard.release()
        found.writing.release()
    _finding.release()


def _in_child() -> None:
    for found in _held:
        found._unclaim()  # noqa: SLF001 - record locks stay with the parent
    _after_fork()


os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_in_child)
