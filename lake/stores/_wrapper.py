"""What every wrapper around a store shares: it has exactly the abilities of the store inside."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal, TypeAlias, TypeVar, cast

from dataplat.lake.stores._protocol import (
    Bytes,
    ObjectInfo,
    Store,
    SupportsFiles,
    SupportsReplace,
    SupportsUrl,
    clock_step_of,
    concurrency_of,
    settles,
)

T = TypeVar("T")
Operation: TypeAlias = Literal["read", "create", "list", "delete", "adopt", "replace"]


class StoreWrapper:
    """A store that passes every call to `inner`, through one method that subclasses override.

    `isinstance(wrapper, SupportsUrl)` (or `SupportsFiles`) is true where it is true of the inner store: on creation
    the instance gets a subclass with the methods of those abilities. A wrapper that must hide an ability names its
    protocol in `hides`. `concurrency`, `settles` and
    `clock_step` are those of the inner store, unless told otherwise.
    """

    hides: tuple[type, ...] = ()

    def __new__(cls, inner: Store, *_args: Any, **_options: Any) -> Any:
        """Make an instance with the abilities of `inner`."""
        able = tuple(
            mixin for protocol, mixin in _ABILITIES if isinstance(inner, protocol) and protocol not in cls.hides
        )
        return object.__new__(_subclass(cls, able) if able else cls)

    def __init__(self, inner: Store, *, concurrency: int | None = None) -> None:
        self.inner = inner
        self.concurrency = concurrency_of(inner) if concurrency is None else concurrency
        self.settles = settles(inner)
        self.clock_step = clock_step_of(inner)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.inner!r})"

    def _call(
        self, operation: Operation, key: str, call: Callable[[], T], sent: Callable[[], bytes] | None = None
    ) -> T:
        """Do one call; `sent` gives the bytes that a create or adopt sends."""
        return call()

    def read(self, key: str, byte_range: tuple[int, int] | None = None) -> bytes:
        """Return the bytes of `key`, or of its half-open range `[start, stop)`; raise `ObjectNotFound`."""
        return self._call("read", key, lambda: self.inner.read(key, byte_range))

    def create(self, key: str, data: Bytes) -> None:
        """Create `key` with `data`, durable on return; raise `ObjectExists`, or `StoreTimeout` if unclear."""
        self._call("create", key, lambda: self.inner.create(key, data), lambda: bytes(data))

    def list(self, prefix: str, after: str | None = None, limit: int | None = None) -> Iterator[ObjectInfo]:
        """Yield the keys that begin with `prefix` and sort after `after`, in code-point order."""
        return self._call("list", prefix, lambda: self.inner.list(prefix, after, limit))

    def delete(self, key: str) -> None:
        """Delete `key`; deleting a key that is not there is no error."""
        self._call("delete", key, lambda: self.inner.delete(key))


class _WithUrl(StoreWrapper):
    def url(self, key: str) -> str:
        """Return a URL under which an engine finds `key`."""
        return cast("SupportsUrl", self.inner).url(key)


class _WithFiles(StoreWrapper):
    def staging_dir(self) -> Path:
        """Return a folder on the store's own file system for files that may be adopted."""
        return cast("SupportsFiles", self.inner).staging_dir()

    def adopt(self, key: str, path: Path) -> None:
        """Make the file at `path` the object `key`, durable on return; raise `ObjectExists`. Keeps `path`."""
        inner = cast("SupportsFiles", self.inner)
        self._call("adopt", key, lambda: inner.adopt(key, path), path.read_bytes)


class _WithReplace(StoreWrapper):
    def replace(self, key: str, data: Bytes) -> None:
        """Make `data` the bytes of `key` in one step; only a repair may."""
        inner = cast("SupportsReplace", self.inner)
        self._call("replace", key, lambda: inner.replace(key, data), lambda: bytes(data))


_ABILITIES: tuple[tuple[type, type[StoreWrapper]], ...] = (
    (SupportsUrl, _WithUrl),
    (SupportsFiles, _WithFiles),
    (SupportsReplace, _WithReplace),
)


_SUBCLASSES: dict[tuple[type[StoreWrapper], ...], type[StoreWrapper]] = {}


def _subclass(cls: type[StoreWrapper], able: tuple[type[StoreWrapper], ...]) -> type[StoreWrapper]:
    bases = (*able, cls)
    if bases not in _SUBCLASSES:
        _SUBCLASSES[bases] = type(cls.__name__, bases, {"__module__": cls.__module__, "__doc__": cls.__doc__})
    return _SUBCLASSES[bases]
