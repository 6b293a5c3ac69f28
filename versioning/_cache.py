"""A memory of decoded objects. They never change, so one serves all lakes of a process."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock
from typing import Any, Generic, TypeVar

T = TypeVar("T")

_all: list[DecodedCache[Any]] = []


class DecodedCache(Generic[T]):
    """The values least recently used are forgotten once the objects that they come from exceed `capacity` bytes."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._size = 0
        self._lock = Lock()  # never held while reading
        self._values: OrderedDict[str, tuple[int, T]] = OrderedDict()
        _all.append(self)

    def get(self, id: str, load: Callable[[], tuple[int, T]]) -> T:
        """Return the value of object `id`; `load` gives (bytes of the object, value) where it is not remembered."""
        with self._lock:
            found = self._values.get(id)
            if found is not None:
                self._values.move_to_end(id)
                return found[1]
        size, value = load()
        with self._lock:
            if id not in self._values:
                self._values[id] = size, value
                self._size += size
            while self._size > self._capacity:
                self._size -= self._values.popitem(last=False)[1][0]
        return value

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._values.clear()
            self._size = 0


def forget_decoded() -> None:
    """Forget all decoded objects, as a new process would; a simulated history begins with it."""
    for cache in _all:
        cache.clear()
