"""From a URL to a store."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote

from dataplat.errors import ConfigError
from dataplat.lake.stores._file import FileStore
from dataplat.lake.stores._memory import MemoryStore
from dataplat.lake.stores._protocol import Store


def open_store(url: str | Path) -> Store:
    """Return the store at `url`: a path, `file:///path`, or `memory://name`; makes nothing on disk.

    `memory://name` is the same store for every caller in this process, `memory://` a new one each time.
    Raise `ConfigError` for a scheme that no store serves.
    """
    scheme, separator, rest = str(url).partition("://")
    if not separator or isinstance(url, Path):
        return FileStore(url)
    opener = _OPENERS.get(scheme.lower())
    if opener is None:
        known = ", ".join(f"{name}://" for name in sorted(_OPENERS))
        raise ConfigError(f"no store serves {url!r}: known are a path, {known}")
    return opener(rest)


def _open_file(rest: str) -> Store:
    host, _, path = rest.partition("/")
    if host not in {"", "localhost"}:
        raise ConfigError(f"file://{rest} names the host {host!r}: a file URL has three slashes, file:///path")
    return FileStore("/" + unquote(path))


def _open_memory(name: str) -> Store:
    return MemoryStore.named(name) if name else MemoryStore()


_OPENERS: dict[str, Callable[[str], Store]] = {"file": _open_file, "memory": _open_memory}
