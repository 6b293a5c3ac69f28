"""A wrapper that keeps copies of objects on this machine, so that what was read once is not fetched again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataplat.lake._cache_dir import cache_dir
from dataplat.lake._object_keys import check, parse_key
from dataplat.lake.stores._object_cache import DEFAULT_SIZE, ObjectCache
from dataplat.lake.stores._wrapper import StoreWrapper

if TYPE_CHECKING:
    from pathlib import Path

    from dataplat.lake.stores._protocol import Store

_ASKED = ".json"
"""Objects that are read from the store each time. They are what versions begin with: a version that was erased or
collected, by whomever on whatever machine, must be gone, and what lies below it is only found through it."""


class CachingStore(StoreWrapper):
    """Keep copies of the objects that are read whole, at most `size` bytes in all (0: none), those used last.

    Every copy is checked against its name when it is made and when it is read; one that is damaged is fetched again.
    Processes share the `folder` (the user's cache by default), and lakes do. What is not an object (refs, leases,
    logs), roots of versions (`.json`), byte ranges, listings and all that is written go to the store, and so does
    whoever must know what it really holds: `uncached` gives them the store inside.
    """

    def __init__(
        self, inner: Store, size: int = DEFAULT_SIZE, *, folder: Path | None = None, concurrency: int | None = None
    ) -> None:
        super().__init__(inner, concurrency=concurrency)
        self.cache = ObjectCache(cache_dir() if folder is None else folder, size)

    def read(self, key: str, byte_range: tuple[int, int] | None = None) -> bytes:
        """Return the bytes of `key`, or of its half-open range `[start, stop)`.

        Raises:
            ObjectNotFound: There is no such key.
            IntegrityError: Of an object that is read whole (no `.json`): its bytes are not what it is named by.
        """
        name = parse_key(key)
        if name is None or byte_range is not None or not self.checks(name[1]):
            return super().read(key, byte_range)
        if (copy := self.cache.read(*name)) is not None:
            return copy
        data = super().read(key)
        check(name[0], data, key)
        self.cache.write(*name, data)
        return data

    def checks(self, suffix: str) -> bool:
        """Return whether objects of this suffix are copied, hence checked, when they are read whole."""
        return suffix != _ASKED and self.cache.size > 0

    def delete(self, key: str) -> None:
        """Delete `key`, and the copy of it; deleting a key that is not there is no error."""
        try:
            super().delete(key)
        finally:
            if (name := parse_key(key)) is not None:
                self.cache.drop(*name)


def cache_of(store: Store) -> ObjectCache | None:
    """Return the copies that a store has on this machine, or None where it keeps none."""
    inner: object = store
    while isinstance(inner, StoreWrapper):
        if isinstance(inner, CachingStore):
            return inner.cache if inner.cache.size else None
        inner = inner.inner
    return None


def uncached(store: Store) -> Store:
    """Return the store that answers for itself, for those who look at what it really holds."""
    return store.inner if isinstance(store, CachingStore) else store
