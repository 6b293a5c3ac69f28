"""A store in memory: for tests, for the simulator, and for lakes that nobody keeps."""

from __future__ import annotations

import threading
import time
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterator
from typing import ClassVar

from dataplat.errors import ObjectExists, ObjectNotFound
from dataplat.lake.stores._keys import check_key, check_prefix
from dataplat.lake.stores._protocol import Bytes, ObjectInfo
from dataplat.lake.stores._ranges import check_range


def _now() -> int:
    return time.time_ns() // 1000


class MemoryStore:
    """Keep objects in this process's memory; safe for threads, gone with the process.

    `clock` returns the time in µs since the epoch that new objects are stamped with. Made by hand, a store is its
    owner's alone; `MemoryStore.named` (and `open_store("memory://name")`) gives every caller in the process the same.
    """

    concurrency = 1  # a call takes microseconds, so threads would only cost

    _named: ClassVar[dict[str, MemoryStore]] = {}
    _naming = threading.Lock()

    def __init__(self, *, clock: Callable[[], int] = _now, name: str = "") -> None:
        self.name = name
        self._clock = clock
        self._lock = threading.Lock()
        self._objects: dict[str, tuple[bytes, int]] = {}
        self._keys: list[str] = []

    @classmethod
    def named(cls, name: str) -> MemoryStore:
        """Return the store of that name, the same for every caller in this process."""
        with cls._naming:
            return cls._named.setdefault(name, cls(name=name))

    def __repr__(self) -> str:
        return f"MemoryStore({self.name!r}, {len(self._keys)} objects)"

    def read(self, key: str, byte_range: tuple[int, int] | None = None) -> bytes:
        """Return the bytes of `key`, or of its half-open range `[start, stop)`; raise `ObjectNotFound`."""
        check_key(key)
        check_range(key, byte_range)
        try:
            data = self._objects[key][0]
        except KeyError:
            raise ObjectNotFound(f"{self!r} holds no object {key!r}") from None
        return data if byte_range is None else data[byte_range[0] : byte_range[1]]

    def create(self, key: str, data: Bytes) -> None:
        """Create `key` with a copy of `data`; raise `ObjectExists`."""
        check_key(key)
        held = bytes(data)
        with self._lock:
            if key in self._objects:
                raise ObjectExists(f"{self!r} holds an object {key!r} already")
            self._objects[key] = (held, self._clock())
            insort(self._keys, key)

    def list(self, prefix: str, after: str | None = None, limit: int | None = None) -> Iterator[ObjectInfo]:
        """Yield the keys that begin with `prefix` and sort after `after`, as they were at the call."""
        check_prefix(prefix)
        with self._lock:
            start = bisect_left(self._keys, prefix)
            if after is not None:
                start = max(start, bisect_right(self._keys, after))
            stop = bisect_left(self._keys, prefix + "\x7f", start) if prefix else len(self._keys)
            if limit is not None:
                stop = min(stop, start + limit)
            found = [(key, self._objects[key]) for key in self._keys[start:stop]]
        return iter([ObjectInfo(key, len(data), created) for key, (data, created) in found])

    def replace(self, key: str, data: Bytes) -> None:
        """Make a copy of `data` the bytes of `key`; only a repair may."""
        check_key(key)
        held = bytes(data)
        with self._lock:
            if key not in self._objects:
                insort(self._keys, key)
            self._objects[key] = (held, self._clock())

    def delete(self, key: str) -> None:
        """Delete `key`; deleting a key that is not there is no error."""
        check_key(key)
        with self._lock:
            if self._objects.pop(key, None) is not None:
                del self._keys[bisect_left(self._keys, key)]
