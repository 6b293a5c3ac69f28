"""What stores that are reached over a network share: keys under a prefix, big reads in pieces, one way to fail.

A back-end is a `Wire` that `Pages` or `Walks`: four requests, each sent once and never again by itself. Whether to
send one again is decided in one place only, `RetryingStore`, because a create that is repeated where nobody sees it
turns the answer to our own request into "somebody else was faster".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol, runtime_checkable

from dataplat.lake.stores._keys import check_key, check_prefix
from dataplat.lake.stores._protocol import Bytes, ObjectInfo
from dataplat.lake.stores._ranges import check_range
from dataplat.lake.stores._threads import Threads

PIECE = 8 << 20
"""Bytes of one request of a big read: small enough to be sent again cheaply, big enough that latency is little of it."""
STREAMS = 8
"""Pieces of one process that are under way at once."""
PAGE = 1000
"""Names that one listing request gives at most, on every store that we know."""


class Got(NamedTuple):
    """Bytes of an object, from where they were asked for, and the size of the whole object."""

    data: bytes
    size: int


class Wire(Protocol):
    """One store's requests. Each raises `ObjectNotFound`, `ObjectExists`, `StoreTimeout` (unclear) or `StoreError`."""

    url: str
    """Where the keys lie, without a slash at the end and without secrets."""
    clock_step: int
    """Microseconds between two times of creation that differ."""

    def get(self, key: str, start: int, stop: int) -> Got:
        """Return the bytes [start, stop) of `key`, fewer where it ends; `start < stop`."""
        ...

    def put(self, key: str, data: bytes | memoryview) -> None:
        """Create `key` if it is absent, atomically."""
        ...

    def remove(self, key: str) -> None:
        """Delete `key`, or do nothing where it is absent."""
        ...


@runtime_checkable
class Pages(Protocol):
    """A wire that can begin a listing behind any name, and gives so many names a request."""

    def page(self, prefix: str, after: str | None, limit: int) -> Sequence[ObjectInfo]:
        """Return at most `limit` (up to `PAGE`) of the first names; fewer than that only at the end."""
        ...


@runtime_checkable
class Walks(Protocol):
    """A wire that has to look for where a listing begins, and so goes through one once, from there to its end."""

    def walk(self, prefix: str, after: str | None) -> Iterator[ObjectInfo]:
        """Yield the names, as lazily as the store allows."""
        ...


class RemoteStore:
    """A store over a `Wire` that `Pages` or `Walks`. Times of creation come from the store's clock."""

    concurrency = 16  # requests wait for the network, not for us

    def __init__(self, wire: Wire, settings: Mapping[str, Any] = MappingProxyType({})) -> None:
        self.wire = wire
        self.settings = settings
        self.clock_step = wire.clock_step

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.wire.url!r})"

    def read(self, key: str, byte_range: tuple[int, int] | None = None) -> bytes:
        """Return the bytes of `key`, or of its half-open range `[start, stop)`; raise `ObjectNotFound`."""
        check_key(key)
        check_range(key, byte_range)
        start, stop = byte_range or (0, 1 << 62)
        first = self.wire.get(key, start, min(max(stop, start + 1), start + PIECE))  # an empty range asks if it exists
        if stop == start:
            return b""
        end = min(stop, first.size)
        rest = [(at, min(at + PIECE, end)) for at in range(start + PIECE, end, PIECE)]
        if not rest:
            return first.data
        return b"".join([first.data, *_threads.pool().map(lambda span: self.wire.get(key, *span).data, rest)])

    def create(self, key: str, data: Bytes) -> None:
        """Create `key` with `data`, durable on return; raise `ObjectExists`, or `StoreTimeout` if unclear."""
        check_key(key)
        self.wire.put(key, data if isinstance(data, bytes) else bytes(data))

    def list(self, prefix: str, after: str | None = None, limit: int | None = None) -> Iterator[ObjectInfo]:
        """Yield the keys that begin with `prefix` and sort after `after`, in code-point order, page by page."""
        check_prefix(prefix)
        if isinstance(self.wire, Walks):
            return islice(self.wire.walk(prefix, after), limit)
        assert isinstance(self.wire, Pages)
        return paged(self.wire.page, prefix, after, limit)

    def delete(self, key: str) -> None:
        """Delete `key`; deleting a key that is not there is no error."""
        check_key(key)
        self.wire.remove(key)

    def url(self, key: str) -> str:
        """Return the URL of `key`; engines with credentials of their own can read it."""
        check_key(key)
        return f"{self.wire.url}/{key}"


_threads = Threads(STREAMS, "dataplat-piece")


def paged(
    page: Callable[[str, str | None, int], Sequence[ObjectInfo]],
    prefix: str,
    after: str | None,
    limit: int | None,
    size: int = PAGE,
) -> Iterator[ObjectInfo]:
    """Yield what `page` gives, request after request of at most `size` names, to the end or to `limit`."""
    while limit is None or limit > 0:
        asked = size if limit is None else min(size, limit)
        found = page(prefix, after, asked)
        yield from found
        if len(found) < asked:
            return
        after = found[-1].key
        limit = None if limit is None else limit - asked
