"""What collections leave behind in `gc/`: what one may delete, what it does delete, and that it is over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec

from dataplat.errors import CommitInDoubt, IntegrityError, ObjectNotFound
from dataplat.versioning._frames import pack, unpack
from dataplat.versioning._seal import seal, unseal
from dataplat.versioning._settle import Undecided, settle

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dataplat.lake.stores import Store
    from dataplat.versioning._settle import Patience

FOLDER: Final = "gc/"
OPEN, CLOSED, DONE = ".open", ".closed", ".done"

_DELETE: Final = "While no collection is running, delete that file and run `dataplat version gc`"
_WAY_OUT: Final = {
    OPEN: "Run `dataplat version gc`: it ends that collection without looking at it.",
    CLOSED: f"{_DELETE}; of versions that this collection took `dataplat version verify` will say that they are missing.",
    DONE: f"{_DELETE}: it notes once more that this collection is over.",
}

T = TypeVar("T")


class Opened(msgspec.Struct, frozen=True, kw_only=True, tag_field="format", tag="dataplat.gc-open/1"):
    """The keys that a collection may delete. `time` is in µs UTC."""

    number: int
    actor: str
    time: int
    nonce: str
    keys: list[str]


class Closed(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="format", tag="dataplat.gc-closed/1"
):
    """The keys that a collection deletes, and the versions, by dataset, that went with them."""

    number: int
    actor: str
    time: int
    nonce: str
    keys: list[str] = []
    versions: dict[str, list[str]] = {}


class Done(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="format", tag="dataplat.gc-done/1"):
    """That a collection is over. `definite`: every delete was answered, so none of them can land any more."""

    number: int
    actor: str
    time: int
    nonce: str
    definite: bool = False


@dataclass(slots=True)
class Entry:
    """Which files a collection has, by the time of their creation (µs, by the store's clock); 0 for none."""

    number: int
    opened: int = 0
    closed: int = 0
    done: int = 0


def key_of(number: int, kind: str) -> str:
    """Return the key of one file of a collection."""
    return f"{FOLDER}{number:020}{kind}"


class GcLog:
    """The folder `gc/` of a store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def entries(self) -> list[Entry]:
        """Return what there is, in order of number."""
        found: dict[int, Entry] = {}
        for info in self._store.list(FOLDER):
            digits, dot, kind = info.key.removeprefix(FOLDER).partition(".")
            if not digits.isdecimal():  # not ours: `verify` tells of it
                continue
            entry = found.setdefault(int(digits), Entry(int(digits)))
            if dot + kind == OPEN:
                entry.opened = info.created
            elif dot + kind == CLOSED:
                entry.closed = info.created
            elif dot + kind == DONE:
                entry.done = info.created
        return [found[number] for number in sorted(found)]

    def opened(self, number: int) -> Opened:
        """Return what a collection may delete; raise `ObjectNotFound`."""
        return self._read(number, OPEN, Opened)

    def closed(self, number: int) -> Closed:
        """Return what a collection deletes; raise `ObjectNotFound` before it has decided."""
        return self._read(number, CLOSED, Closed)

    def done(self, number: int) -> Done:
        """Return how a collection ended; raise `ObjectNotFound` before."""
        return self._read(number, DONE, Done)

    def keys(self, number: int) -> list[str]:
        """Return the keys that a collection may delete."""
        try:
            return self.closed(number).keys
        except ObjectNotFound:
            try:
                return self.opened(number).keys
            except ObjectNotFound:
                self.done(number)  # its lists were removed long after it was over
                return []

    def is_definite(self, entry: Entry) -> bool:
        """Whether nothing of a collection can happen any more."""
        return bool(entry.done) and self.done(entry.number).definite

    def _read(self, number: int, kind: str, type: type[T]) -> T:
        key = key_of(number, kind)
        data = self._store.read(key)
        try:
            return unseal(unpack(data, key), type, key, "log of a collection")
        except IntegrityError as error:
            raise IntegrityError(f"{key} was damaged. {_WAY_OUT[kind]}") from error

    def trim(self, entry: Entry) -> None:
        """Remove the candidates of a collection that was over long ago: nobody asks for more than what it deleted."""
        if entry.opened and entry.closed and entry.done:
            self._store.delete(key_of(entry.number, OPEN))

    def write(self, value: Opened | Closed | Done, patience: Patience) -> bool:
        """Create a file of a collection; return False if there is another in its place.

        Raises:
            CommitInDoubt: The store never said whether it landed.
        """
        kind = {Opened: OPEN, Closed: CLOSED, Done: DONE}[type(value)]
        key = key_of(value.number, kind)
        (data,) = pack([seal(value)])
        try:
            return settle(self._store, key, data, patience)
        except Undecided as error:
            raise CommitInDoubt(
                f"nobody knows whether {key} landed: {error} Run `dataplat version gc` again.", ""
            ) from error


@dataclass(frozen=True, slots=True)
class Gone:
    """A version that was collected: by which collection, when (µs UTC), and of which dataset."""

    version: str
    dataset: str
    number: int
    time: int


def collected(store: Store) -> Mapping[str, Gone]:
    """Return every version that a collection has taken, by id; one that was made again since may be there."""
    log = GcLog(store)
    gone: dict[str, Gone] = {}
    for entry in log.entries():
        if entry.closed:
            closed = log.closed(entry.number)
            for dataset, versions in closed.versions.items():
                for version in versions:
                    gone[version] = Gone(version, dataset, closed.number, closed.time)
    return gone
