"""From a URL to a store."""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from dataplat.config import load
from dataplat.errors import ConfigError
from dataplat.lake.stores._file import FileStore
from dataplat.lake.stores._memory import MemoryStore
from dataplat.lake.stores._protocol import Store
from dataplat.lake.stores._settings import SCHEMES, Settings, settings_of

if TYPE_CHECKING:
    from dataplat.config import Config
    from dataplat.lake.stores._remote import Wire

_BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]")
_HOST = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9._-]{0,252})(?::[0-9]{1,5})?)?")
_PREFIX = re.compile(r"(?:(?!\.{1,2}(?:/|\Z))[ -.0-\[\]-~]+(?:/(?!\.{1,2}(?:/|\Z))[ -.0-\[\]-~]+)*)?")
_LONGEST_PREFIX = 512
_WINDOWS = re.compile(r"[A-Za-z]:\\")


def open_store(url: str | Path, options: Settings | None = None) -> Store:
    """Return the store at `url`; makes nothing there, and connects when it is first used.

    A URL is a path, `file:///path`, `memory://name`, `s3://bucket/prefix`, `gs://bucket/prefix` or
    `hdfs://host:port/path`. `memory://name` is the same store for every caller in this process, `memory://` a new one
    each time. Those over a network take `options` and the `[stores]` tables of the configuration in force.

    Raises:
        ConfigError: no store serves the scheme, the URL is wrong or carries credentials, or a setting is wrong.
    """
    text = str(url)
    scheme, separator, rest = text.partition("://")
    if _WINDOWS.match(text):
        raise ConfigError(f"{text!r} is a path of Windows, and here it would be one odd name: give a path with slashes")
    if not separator or isinstance(url, Path):
        _refuse_options(options)
        return FileStore(url)
    scheme = SCHEMES.get(scheme.lower(), scheme.lower())
    if scheme in _LOCAL:
        _refuse_options(options)
        return _LOCAL[scheme](rest)
    if scheme not in _WIRES:
        known = ", ".join(f"{name}://" for name in sorted([*_LOCAL, *_WIRES]))
        raise ConfigError(f"no store serves {shown(text)!r}: known are a path, {known}")
    authority, prefix = _parts(scheme, rest)
    config = load()
    return _remote(scheme, authority, prefix, settings_of(f"{scheme}://{authority}/{prefix}", options, config), config)


def shown(url: str) -> str:
    """Return `url` as it may be shown: without what stands before an `@` or behind a `?`."""
    scheme, separator, rest = url.partition("://")
    if not separator:
        return url
    rest = "…@" + rest.rpartition("@")[2] if "@" in rest else rest
    return f"{scheme}://{rest.partition('?')[0]}" + ("?…" if "?" in rest else "")


def _refuse_options(options: Settings | None) -> None:
    if options:
        raise ConfigError("options are for stores over a network: a folder or memory takes none")


def _open_file(rest: str) -> Store:
    host, _, path = rest.partition("/")
    if host not in {"", "localhost"}:
        raise ConfigError(f"{shown('file://' + rest)} names a host: a file URL has three slashes, file:///path")
    return FileStore("/" + unquote(path))


def _open_memory(name: str) -> Store:
    return MemoryStore.named(name) if name else MemoryStore()


def _parts(scheme: str, rest: str) -> tuple[str, str]:
    """Return bucket or host, and the prefix; what is refused is not shown, since it may be a secret."""
    article = "an" if scheme in {"s3", "hdfs"} else "a"
    if "@" in rest.partition("/")[0] or (scheme != "hdfs" and ":" in rest.partition("@")[0] and "@" in rest):
        raise ConfigError(
            f"{article} {scheme}:// URL carries no credentials: give them by the environment, or as `env:` and `file:` "
            "references among the settings of the store, since URLs end up in logs"
        )
    if "?" in rest:
        raise ConfigError(
            f"{article} {scheme}:// URL has no query: settings of a store stand in dataplat.toml or in options"
        )
    authority, slash, prefix = rest.partition("/")
    prefix = prefix.strip("/")
    if scheme == "hdfs":
        if not _HOST.fullmatch(authority) or not (authority or slash):
            raise ConfigError("an hdfs:// URL is hdfs://HOST:PORT/PATH, or hdfs:///PATH with HADOOP_CONF_DIR set")
    elif not _BUCKET.fullmatch(authority):
        raise ConfigError(
            f"{article} {scheme}:// URL is {scheme}://BUCKET/PREFIX, and the name of a bucket is 3 to 63 of a-z, 0-9, '.', '_' "
            "and '-', with a letter or digit at both ends"
        )
    if len(prefix) > _LONGEST_PREFIX or not _PREFIX.fullmatch(prefix):
        raise ConfigError(
            f"the path of {article} {scheme}:// URL is of printable ASCII without backslash, has no empty, '.' or '..' segment, "
            f"and is at most {_LONGEST_PREFIX} characters long"
        )
    return authority, prefix


def _remote(scheme: str, authority: str, prefix: str, settings: Settings, config: Config) -> Store:
    from dataplat.lake.stores._caching import CachingStore
    from dataplat.lake.stores._remote import RemoteStore
    from dataplat.lake.stores._retrying import RetryingStore

    if not settings.get("verify_tls", True):
        _warn_of_tls(f"{scheme}://{authority}")
    wire = _wire(scheme, authority, prefix, settings)
    server = f"{scheme}://{authority}" + (f" at {settings['endpoint_url']}" if "endpoint_url" in settings else "")
    retrying = RetryingStore(RemoteStore(wire, settings), settings.get("retry_budget", 60.0), server=server)
    store: Store = CachingStore(retrying, config.cache_size)
    return store


_warned: set[str] = set()


def _warn_of_tls(place: str) -> None:
    """Say once a process that whoever is on the way may read and change what travels."""
    if place in _warned:
        return
    _warned.add(place)
    import logging

    logging.getLogger("dataplat").warning(
        "the certificate of the server of %s is not verified (verify_tls = false): give a ca_bundle instead", place
    )


_LOCAL: dict[str, Callable[[str], Store]] = {"file": _open_file, "memory": _open_memory}
_WIRES = {"gs": ("_gcs", "GcsWire"), "hdfs": ("_hdfs", "HdfsWire"), "s3": ("_s3", "S3Wire")}
"""Module and class of what speaks to each kind of server; only that of the scheme in use is imported."""


def _wire(scheme: str, authority: str, prefix: str, settings: Settings) -> Wire:
    module, name = _WIRES[scheme]
    made: Wire = getattr(import_module(f"dataplat.lake.stores.{module}"), name)(authority, prefix, settings)
    return made
