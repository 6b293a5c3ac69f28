"""Objects named by the SHA-256 of their bytes: staged, made durable at once, read back and checked."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

from dataplat.errors import ConfigError
from dataplat.lake._object_keys import check, generations, object_key, object_prefix, parse_key, read_object
from dataplat.lake._stage import Stage
from dataplat.lake.stores import Address, CachingStore, Store, SupportsFiles, SupportsUrl, cache_of, concurrency_of

__all__ = ["Objects", "Stage", "object_key"]

_CACHED = 32 << 20
"""Bytes of small objects that one `Objects` remembers."""
_SMALL = 1 << 20
"""Bytes up to which an object is remembered."""


class Objects:
    """The objects of a store, and, where a `stage` is given, those staged in it before them.

    Bytes are checked against their name. Metadata (`.json`, `.bin`) up to 1 MB is remembered, 32 MB in all, the least
    recently used forgotten first; objects never change, so what is remembered stays right.
    """

    def __init__(self, store: Store, stage: Stage | None = None) -> None:
        self.store = store
        self.stage = stage
        self._cache: OrderedDict[str, bytes] = OrderedDict()
        self._cached = 0
        self._lock = threading.Lock()  # never held across a call to the store: in the simulator those switch writers

    def __reduce__(self) -> tuple[Callable[[Address], Objects], tuple[Address]]:
        """Travel as the address of the store; what is staged here nobody else can read."""
        if self.stage is not None:
            raise ConfigError("objects that are staged are known to this process alone, until they are flushed")
        return _at, (Address.of(self.store),)

    def read(self, object_id: str, suffix: str, *, verify: bool = True) -> bytes:
        """Return the bytes of an object; raise `ObjectNotFound`, or `IntegrityError` if they are not what was written.

        `verify=False` leaves the check out, for callers who check by other means (page CRCs).
        """
        if self.stage is not None and self.stage.holds(object_id, suffix):
            return self.stage.read(object_id, suffix)
        key = object_key(object_id, suffix)
        with self._lock:
            if (known := self._cache.get(key)) is not None:
                self._cache.move_to_end(key)
                return known
        data = read_object(self.store, object_id, suffix)
        if verify:
            if not (isinstance(self.store, CachingStore) and self.store.checks(suffix)):
                check(object_id, data, key)
            if suffix != ".parquet":
                self._remember(key, data)
        return data

    def read_head(self, object_id: str, suffix: str, size: int, head_id: str) -> bytes:
        """Return the first `size` bytes of an object, whose SHA-256 is `head_id`; errors are those of `read`.

        Only these bytes are fetched, and a copy of them is kept as if they were an object.
        """
        key = object_key(object_id, suffix)
        with self._lock:
            known = self._cache.get(key)
        if known is not None or self.holds(object_id, suffix):
            return self.read(object_id, suffix)[:size]
        copies = cache_of(self.store)
        if copies is not None and (copy := copies.read(head_id, suffix)) is not None:
            return copy
        data = read_object(self.store, object_id, suffix, (0, size))
        check(head_id, data, f"the first {size:,} bytes of {key}")
        if copies is not None:
            copies.write(head_id, suffix, data)
        return data

    def _remember(self, key: str, data: bytes) -> None:
        if len(data) > _SMALL:
            return
        with self._lock:
            if key not in self._cache:
                self._cache[key] = data
                self._cached += len(data)
            while self._cached > _CACHED:
                self._cached -= len(self._cache.popitem(last=False)[1])

    def learn(self, stage: Stage) -> None:
        """Remember the metadata that was flushed from `stage`: the next step mostly starts from it."""
        for object_id, suffix in stage.names():
            if suffix != ".parquet" and stage.is_at_hand(object_id, suffix):
                self._remember(object_key(object_id, suffix), stage.read(object_id, suffix))

    def forget(self) -> None:
        """Forget what is remembered: a collection has deleted objects, and they must not seem to be there."""
        with self._lock:
            self._cache.clear()
            self._cached = 0

    @property
    def at_once(self) -> int:
        """How many reads are worth having under way at once: 1 where they do not wait for a network."""
        return 1 if isinstance(self.store, SupportsFiles) else concurrency_of(self.store)

    def holds(self, object_id: str, suffix: str) -> bool:
        """Return whether the object is staged, its bytes at hand."""
        return self.stage is not None and self.stage.holds(object_id, suffix)

    def exists(self, object_id: str, suffix: str) -> bool:
        """Return whether the object is staged or stored."""
        return self.holds(object_id, suffix) or self.stored(object_id, suffix)

    def stored(self, object_id: str, suffix: str) -> bool:
        """Return whether the object is in the store now, under any key, whatever is staged or remembered of it."""
        key = object_key(object_id, suffix)
        if isinstance(self.store, SupportsFiles) and isinstance(self.store, SupportsUrl):
            if Path(self.store.url(key)).exists():
                return True
        elif any(entry.key == key for entry in self.store.list(key, limit=1)):
            return True
        return next(generations(self.store, object_id, suffix), None) is not None

    def find(self, prefix: str, suffix: str) -> list[str]:
        """Return the ids, in order, that begin with the hex digits `prefix` (at least 12, so that few do)."""
        start = object_prefix(prefix)
        names = (parse_key(entry.key) for entry in self.store.list(start))
        found = {name[0] for name in names if name is not None and name[1] == suffix}
        if self.stage is not None:
            found.update(name for name in self.stage.ids(suffix) if name.startswith(prefix))
        return sorted(found)

    def local_path(self, object_id: str, suffix: str) -> Path | None:
        """Return the file in which an object lies (or would lie), or None where it is not in a local file.

        Of a stored object it is the store's own file, which stays; of a pending one it goes with the stage.
        """
        if self.stage is not None and self.stage.is_pending(object_id, suffix):
            return self.stage.local_path(object_id, suffix)
        if isinstance(self.store, SupportsFiles) and isinstance(self.store, SupportsUrl):
            plain = Path(self.store.url(object_key(object_id, suffix)))
            if plain.exists():
                return plain
            generation = next(generations(self.store, object_id, suffix), None)
            return plain if generation is None else Path(self.store.url(generation))
        return None


def _at(address: Address) -> Objects:
    return Objects(address.open())
