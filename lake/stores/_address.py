"""Where a store is, in words that another process can open: what of a store travels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from dataplat.errors import ConfigError
from dataplat.lake.stores._caching import CachingStore
from dataplat.lake.stores._file import FileStore
from dataplat.lake.stores._open import open_store
from dataplat.lake.stores._protocol import Store
from dataplat.lake.stores._remote import RemoteStore
from dataplat.lake.stores._retrying import RetryingStore


@dataclass(frozen=True, slots=True)
class Address:
    """The URL of a store, and the settings by which it is reached; secrets in them are references.

    Whoever opens it needs what they refer to: the same variables of the environment, the same files.
    """

    url: str
    settings: tuple[tuple[str, Any], ...] = ()

    @classmethod
    def of(cls, store: Store) -> Address:
        """Return the address of a store.

        Raises:
            ConfigError: it has none: it is in the memory of this process, or wrapped by somebody else.
        """
        inner = store
        while isinstance(inner, CachingStore | RetryingStore):
            inner = inner.inner
        if isinstance(inner, FileStore):
            return cls(str(inner.root))
        if isinstance(inner, RemoteStore):
            return cls(inner.wire.url, tuple((name, _plain(value)) for name, value in sorted(inner.settings.items())))
        raise ConfigError(f"{store!r} is known to this process alone: work of other machines needs a folder or a URL")

    def open(self) -> Store:
        """Return the store; one and the same for all who ask in this process."""
        return _opened(self)


def _plain(value: Any) -> Any:
    """Return a setting that can be hashed and sent."""
    return tuple(sorted(value.items())) if isinstance(value, Mapping) else value


@lru_cache(maxsize=64)
def _opened(address: Address) -> Store:
    settings = {name: dict(value) if isinstance(value, tuple) else value for name, value in address.settings}
    return open_store(address.url, settings or None)
