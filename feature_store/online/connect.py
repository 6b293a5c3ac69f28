"""Which online store is in force: that of a lake in the user's state folder, or what `[features]` names.

[features]
online = "lmdb:/var/lib/features"           # or redis://HOST:PORT/DB, rediss:// (TLS), redis+cluster://, rediss+cluster://
username = "features"
password = "env:REDIS_PASSWORD"
timeout = 2.0                               # seconds that a request waits for Redis
ca_bundle = "redis-ca.pem"                  # certificates to trust, instead of the system's
certificate = "client.pem"                  # what we show
key = "client.key"
eviction = "refuse"                         # a Redis that forgets keys when memory is short: or "warn"
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import urlsplit

from dataplat.config import Secret, load
from dataplat.errors import ConfigError

if TYPE_CHECKING:
    from dataplat.config import Config
    from dataplat.feature_store.online.store import OnlineStore

SCHEMES: Final = {
    "redis": (False, False),
    "rediss": (True, False),
    "redis+cluster": (False, True),
    "rediss+cluster": (True, True),
}
"""Of the URL of a Redis: whether by TLS, whether a cluster."""
PORT: Final = 6379
_TEXTS: Final = ("username", "ca_bundle", "certificate", "key")
_KNOWN: Final = ("online", "password", "timeout", "eviction", *_TEXTS)


@dataclass(frozen=True, slots=True)
class RedisSettings:
    """How a Redis is reached.

    Attributes:
        host: where it is; of a cluster, one of its nodes.
        port: its port.
        database: its number; a cluster has only 0.
        tls: whether it is spoken to by TLS.
        cluster: whether it is a cluster.
        username: as whom, None as the default user.
        password: of that user.
        timeout: seconds that a connection or an answer may take.
        ca_bundle: a file of certificates to trust.
        certificate: a file, what we show.
        key: the file of its key.
        eviction: what to do where Redis may forget keys by itself.
    """

    host: str
    port: int = PORT
    database: int = 0
    tls: bool = False
    cluster: bool = False
    username: str | None = None
    password: Secret | None = field(default=None, repr=False)
    timeout: float = 2.0
    ca_bundle: str | None = None
    certificate: str | None = None
    key: str | None = None
    eviction: Literal["refuse", "warn"] = "refuse"

    @property
    def place(self) -> str:
        """Where it is, as messages have it."""
        return f"{self.host}:{self.port}"


def online_store(url: str | None, lake_id: str, config: Config | None = None) -> OnlineStore:
    """Return the online store of a lake.

    Args:
        url: `lmdb:FOLDER` or the URL of a Redis; None for what `[features]` names, else a folder of the user's.
        lake_id: whose features it holds: lakes share no folder and no key.
        config: the settings (default: those of this folder).

    Raises:
        ConfigError: a setting is wrong.
        MissingExtra: the client of such a store is not installed.
    """
    config = load() if config is None else config
    settings = checked(config.features, str(config.source))
    given = url or settings.get("online")
    if given is None:
        return _lmdb(state_folder() / lake_id)
    if given.startswith("lmdb:"):
        folder = Path(given.removeprefix("lmdb:")).expanduser()
        if url is None and config.source is not None:
            folder = config.source.parent / folder
        return _lmdb(folder / lake_id)
    from dataplat.feature_store.online.redis_store import RedisStore

    return RedisStore(redis_settings(given, settings, config), lake_id)


def state_folder() -> Path:
    """Return where stores are that nothing else is said of: this user's, or a service's (systemd names it)."""
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "dataplat" / "online"


def _lmdb(folder: Path) -> OnlineStore:
    from dataplat.feature_store.online.lmdb_store import LmdbStore

    return LmdbStore(folder)


def checked(settings: Mapping[str, Any], where: str) -> Mapping[str, Any]:
    """Return `[features]` as it stands in `where`; raise `ConfigError` where something in it is wrong."""
    for name, value in settings.items():
        if name not in _KNOWN:
            near = difflib.get_close_matches(name, _KNOWN, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(_KNOWN)}"
            raise ConfigError(f"{where}: unknown setting {name!r} in [features]; {hint}")
        if name in ("online", "password", *_TEXTS) and (not isinstance(value, str) or not value):
            raise ConfigError(f"{where}: features.{name} must be a text, and is of another kind or empty")
        if name == "timeout" and (isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 60):
            raise ConfigError(
                f"{where}: features.timeout must be seconds, more than 0 and at most 60, and is {value!r}"
            )
        if name == "eviction" and value not in {"refuse", "warn"}:
            raise ConfigError(f'{where}: features.eviction must be "refuse" or "warn", and is {value!r}')
    return MappingProxyType(dict(settings))


def redis_settings(url: str, settings: Mapping[str, Any], config: Config) -> RedisSettings:
    """Return how the Redis of a URL is reached.

    Raises:
        ConfigError: it is no such URL, holds a password, or a setting does not go with it.
    """
    parts = urlsplit(url)
    if parts.scheme not in SCHEMES or not parts.hostname:
        raise ConfigError(
            f"an online store is lmdb:FOLDER or {', '.join(f'{scheme}://HOST:PORT' for scheme in SCHEMES)}, "
            f"and not {parts.scheme + '://…' if parts.scheme else url!r}"
        )
    if parts.password or parts.username:
        raise ConfigError(
            f"the URL of {parts.hostname} must hold no name and password: [features] username and password"
        )
    try:
        port = parts.port or PORT
    except ValueError as error:
        raise ConfigError(f"the URL of {parts.hostname}: {error}") from error
    tls, cluster = SCHEMES[parts.scheme]
    number = parts.path.strip("/") or "0"
    if not number.isdecimal() or parts.query or parts.fragment or (cluster and number != "0"):
        only = (
            "a cluster has database 0 alone" if cluster else "behind the port only the number of a database may stand"
        )
        raise ConfigError(f"the URL of {parts.hostname}: {only}")
    known = {name: value for name, value in settings.items() if name not in {"online", "password"}}
    files: dict[str, Any] = {
        name: _beside(config, known[name]) for name in ("ca_bundle", "certificate", "key") if name in known
    }
    if files and not tls:
        raise ConfigError(
            f"features.{next(iter(files))} is of TLS, and {parts.scheme}:// is in the clear: write rediss://"
        )
    if ("certificate" in files) != ("key" in files):
        raise ConfigError("features.certificate and features.key belong together")
    password = Secret(settings["password"], "features.password") if "password" in settings else None
    if "username" in known and password is None:
        raise ConfigError('features.username needs a password, too (password = "env:NAME")')
    given: dict[str, Any] = {**known, **files, "password": password}
    return RedisSettings(parts.hostname, port, int(number), tls, cluster, **given)


def _beside(config: Config, path: str) -> str:
    given = Path(path).expanduser()
    return str(given if config.source is None else config.source.parent / given)
