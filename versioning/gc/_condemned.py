"""Keys that no collection deletes, for objects of which one may delete the plain key.

Each object is to lie in the store once: what is condemned is sent to a key of its own in the first place, and to none
where such a key is there already.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataplat.lake._object_keys import generation_key, object_key, parse_key
from dataplat.versioning.gc._log import GcLog

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from dataplat.lake.objects import Stage
    from dataplat.lake.stores import Store
    from dataplat.versioning.needs import Name


class Condemned:
    """What collections may delete. Of each is read once: what it gives up later is taken for condemned still."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._log = GcLog(store)
        self._keys: dict[int, frozenset[str]] = {}
        self._ids: dict[int, frozenset[str]] = {}

    def by(self, name: Name, numbers: Iterable[int]) -> set[int]:
        """Return those of the collections `numbers` that may delete a key of an object."""
        return {number for number in numbers if name[0] in self._read(number)}

    def spared(self, name: Name, numbers: Iterable[int]) -> str:
        """Return a key of an object that is in the store and that none of the collections deletes; "" without one."""
        doomed = [self._keys[number] for number in numbers if self._read(number)]
        keys = (info.key for info in self._store.list(object_key(name[0], "")))
        return next((key for key in keys if parse_key(key) == name and not any(key in gone for gone in doomed)), "")

    def _read(self, number: int) -> frozenset[str]:
        if number not in self._ids:
            self._keys[number] = frozenset(self._log.keys(number))
            self._ids[number] = frozenset(name[0] for name in map(parse_key, self._keys[number]) if name is not None)
        return self._ids[number]


class Sparing:
    """Keeps what a stage has from collections: before it is flushed as far as they are known, and after it."""

    def __init__(self, stage: Stage, condemned: Condemned, nonce: Callable[[], str]) -> None:
        self._stage = stage
        self._condemned = condemned
        self._nonce = nonce
        self._safe: dict[Name, set[int]] = {}

    def steer(self, numbers: Sequence[int]) -> None:
        """Let what is to be flushed, and what one of the collections may delete, go to a key that none of them does."""
        for name in self._endangered(numbers):
            if self._stage.is_pending(*name):
                there = self._condemned.spared(name, numbers)
                self._stage.steer(*name, there or generation_key(*name, self._nonce()))
                self._safe.setdefault(name, set()).update(numbers)

    def renew(self, numbers: Sequence[int]) -> None:
        """Write what was flushed, and what one of the collections may delete, once more, unless it was steered past it.

        Raises:
            ObjectNotFound: Its bytes are neither in the stage nor in the store any more.
        """
        for name in self._endangered(numbers):
            if not self._condemned.spared(name, numbers):
                self._stage.renew(*name, self._nonce())
            self._safe.setdefault(name, set()).update(numbers)

    def _endangered(self, numbers: Sequence[int]) -> list[Name]:
        if not numbers:
            return []
        return [name for name in self._stage.names() if self._condemned.by(name, numbers) - self._safe.get(name, set())]
