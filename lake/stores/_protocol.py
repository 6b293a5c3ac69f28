"""What a lake asks of a store, and the optional abilities that some stores have on top."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeAlias, runtime_checkable

Bytes: TypeAlias = bytes | bytearray | memoryview


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """One name in a store: its key, size in bytes, and time of creation by the store's clock (µs UTC)."""

    key: str
    size: int
    created: int


class Store(Protocol):
    """Named immutable bytes. Keys are relative, `/`-separated, printable ASCII, never empty segments or `..`.

    The one thing asked beyond read, list and delete is that `create` is atomic: of any number of
    racing creators of one key exactly one returns, all others raise `ObjectExists`, and nobody ever
    sees a key with only part of its bytes, whoever is killed when.
    """

    def read(self, key: str, byte_range: tuple[int, int] | None = None) -> bytes:
        """Return the bytes of `key`, or of its half-open range `[start, stop)`; raise `ObjectNotFound`."""
        ...

    def create(self, key: str, data: Bytes) -> None:
        """Create `key` with `data`, durable on return; raise `ObjectExists`, or `StoreTimeout` if unclear."""
        ...

    def list(self, prefix: str, after: str | None = None, limit: int | None = None) -> Iterator[ObjectInfo]:
        """Yield the keys that begin with `prefix` and sort after `after`, in code-point order."""
        ...

    def delete(self, key: str) -> None:
        """Delete `key`; deleting a key that is not there is no error."""
        ...


@runtime_checkable
class SupportsUrl(Protocol):
    """Engines can read objects directly."""

    def url(self, key: str) -> str:
        """Return a URL (for a local store a plain absolute path) under which an engine finds `key`."""
        ...


@runtime_checkable
class SupportsFiles(Protocol):
    """The store lies on a local file system: a staged file becomes an object without being copied."""

    def staging_dir(self) -> Path:
        """Return a folder on the store's own file system for files that may be adopted."""
        ...

    def adopt(self, key: str, path: Path) -> None:
        """Make the file at `path` the object `key`, durable on return; raise `ObjectExists`. Keeps `path`."""
        ...


class Draft(Protocol):
    """An object that may be written before it has a name."""

    def write(self) -> None:
        """Bring the bytes to the disk."""
        ...

    def create(self, key: str, visible: Callable[[], object]) -> None:
        """Do what the store's `create` does; `visible` is called when the name is there, but not yet durable."""
        ...

    def discard(self) -> None:
        """Remove what was written; an object that was created stays."""
        ...


@runtime_checkable
class SupportsDrafts(Protocol):
    """The bytes of an object can be made durable before it is decided whether it is created, and under which name."""

    def draft(self, data: bytes) -> Draft:
        """Return an object that nothing was done for yet."""
        ...


@runtime_checkable
class SupportsReplace(Protocol):
    """The store can exchange the bytes of a key in one step. Only a repair of damaged bytes may ask for it."""

    def replace(self, key: str, data: Bytes) -> None:
        """Make `data` the bytes of `key`, durable on return; whoever reads sees the old ones or the new, all of them."""
        ...


@runtime_checkable
class SupportsConcurrency(Protocol):
    """The store says how many calls may usefully be under way at once; 1 means one after the other, no threads."""

    @property
    def concurrency(self) -> int:
        """Return the number of calls, at least 1."""
        ...


def concurrency_of(store: Store) -> int:
    """Return how many calls to `store` may usefully be under way at once; 8 where it does not say."""
    return int(getattr(store, "concurrency", 8))  # asked at every flush: to test the protocol costs more


def settles(store: Store) -> bool:
    """Return whether `store` itself sends again what got no answer, and reads back whose bytes are there."""
    return bool(getattr(store, "settles", False))


def clock_step_of(store: Store) -> int:
    """Return how many µs lie between two times of creation that `store` tells apart; 1 where it does not say.

    Objects created within one step have the same time; and one may bear a time up to a step before its creation.
    """
    return int(getattr(store, "clock_step", 1))
