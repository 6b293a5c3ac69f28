"""Settings of a store: which there are, where they come from, and that secrets are references.

They are the keys of a table `[stores."s3://bucket/prefix"]` in `dataplat.toml` and of `dataplat.open(url, options=…)`.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from dataplat.config import Secret, load
from dataplat.errors import ConfigError

if TYPE_CHECKING:
    from dataplat.config import Config

Settings = Mapping[str, Any]
NONE: Settings = MappingProxyType({})

SCHEMES = {"gcs": "gs"}
"""Other names of a scheme."""


def settings_of(url: str, options: Settings | None = None, config: Config | None = None) -> Settings:
    """Return the settings in force for the store at `url`, checked, with secrets as `Secret`.

    Of the tables of the configuration (default: that of this folder) the one counts whose URL is the longest
    beginning of `url`; `options` come before what it says, key by key.

    Raises:
        ConfigError: a key that such a store does not have, a value of another type, a secret that is no reference.
    """
    config = load() if config is None else config
    tables = {_plain(place): table for place, table in config.stores.items()}
    checked = {place: _checked(place, table, config) for place, table in tables.items()}
    place = max((place for place in checked if _begins(place, _plain(url))), key=len, default=None)
    found = dict(checked[place]) if place is not None else {}
    found.update(_typed(_scheme(url), options or {}, "options"))
    _refuse_contradictions(found, "options" if options else f"{config.source}: [stores.{place!r}]")
    return MappingProxyType(found)


def secrets_in(settings: Settings) -> dict[str, Secret]:
    """Return those of the settings that are secrets."""
    return {name: value for name, value in settings.items() if isinstance(value, Secret)}


def _plain(url: str) -> str:
    scheme, _, rest = url.partition("://")
    return f"{_scheme(url)}://{rest.rstrip('/')}" if scheme != url else url


def _scheme(url: str) -> str:
    scheme = url.partition("://")[0].lower()
    return SCHEMES.get(scheme, scheme)


def _begins(place: str, url: str) -> bool:
    """Whether `url` lies at or below `place`, by whole segments; `s3://` is the place of all buckets."""
    return url == place or url.startswith(place if place.endswith("/") else f"{place}/")


def _checked(place: str, table: Settings, config: Config) -> Settings:
    scheme = _scheme(place)
    if scheme not in _KEYS:
        raise ConfigError(
            f'{config.source}: [stores."…"] names a place that takes no settings: they are for '
            f"{', '.join(f'{name}://' for name in sorted(_KEYS))}"
        )
    if "@" in place:
        raise ConfigError(
            f'{config.source}: [stores."{scheme}://…@…"]: a URL carries no credentials; give `key` and such'
        )
    settings = dict(_typed(scheme, table, f'{config.source}: [stores."{place}"]'))
    if "ca_bundle" in settings and config.source is not None:
        settings["ca_bundle"] = str(config.source.parent / Path(settings["ca_bundle"]).expanduser())
    return settings


def _typed(scheme: str, table: Settings, where: str) -> dict[str, Any]:
    known = _KEYS.get(scheme, {})
    if not known and table:
        raise ConfigError(f"{where}: a store at {scheme}:// takes no settings")
    return {name: _value(known, name, value, where) for name, value in table.items()}


def _value(known: Mapping[str, _Check], name: str, value: object, where: str) -> Any:
    if name not in known:
        near = difflib.get_close_matches(name, known, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"
        raise ConfigError(f"{where}: unknown setting {name!r}; {hint}")
    return known[name](value, f"{where}: {name}")


def _refuse_contradictions(settings: Settings, where: str) -> None:
    if ("key" in settings) != ("secret" in settings):
        raise ConfigError(f"{where}: `key` and `secret` belong together: give both, or none")
    if "token" in settings and "key" not in settings:
        raise ConfigError(f"{where}: a `token` needs its `key` and `secret`")
    if settings.get("anonymous") and (secrets_in(settings) or "profile" in settings):
        raise ConfigError(f"{where}: `anonymous` takes no credentials: leave one of them out")
    if "ca_bundle" in settings and not settings.get("verify_tls", True):
        raise ConfigError(f"{where}: `verify_tls = false` ignores `ca_bundle`: leave one of them out")


# ------------------------------------------------------------------------------------------------- kinds of values

_Check = Callable[[object, str], Any]


def _text(value: object, name: str) -> str:
    if not isinstance(value, str) or not value:
        raise ConfigError(f"{name} must be a text, and is {_kind(value)}")
    return value


def _switch(value: object, name: str) -> bool:
    if not isinstance(value, bool):
        raise ConfigError(f"{name} must be true or false, and is {_kind(value)}")
    return value


def _duration(value: object, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 86_400:
        raise ConfigError(f"{name} must be a number of seconds above 0, and is {_kind(value)}")
    return float(value)


def _count(value: object, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ConfigError(f"{name} must be a whole number above 0, and is {_kind(value)}")
    return value


def _secret(value: object, name: str) -> Secret:
    if isinstance(value, Secret):
        return value
    if not isinstance(value, str):
        raise ConfigError(f"{name} must be a reference, `env:NAME` or `file:PATH`, and is {_kind(value)}")
    return Secret(value, name)


def _endpoint(value: object, name: str) -> str:
    text = _text(value, name)
    scheme, separator, rest = text.partition("://")
    if not separator or scheme not in {"http", "https"} or not rest:
        raise ConfigError(f"{name} must be a URL that begins with https:// or http://")
    if "@" in rest or "?" in rest:
        raise ConfigError(f"{name} must be scheme, host and port alone, without credentials or a query")
    return text.rstrip("/")


def _properties(value: object, name: str) -> Mapping[str, str]:
    if not isinstance(value, Mapping):
        raise ConfigError(f"{name} must be a table of names and values, and is {_kind(value)}")
    return MappingProxyType({str(key): _property(item, f"{name}.{key}") for key, item in value.items()})


def _property(value: object, name: str) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, str | int | float):
        raise ConfigError(f"{name} must be a text, a number, or true or false, and is {_kind(value)}")
    return str(value)


def _kind(value: object) -> str:
    """Return what a wrong value is, never the value itself: it may be a secret in the wrong place."""
    return f"{type(value).__name__} {value}" if isinstance(value, bool | int | float) else f"a {type(value).__name__}"


_ALL: dict[str, _Check] = {"timeout": _duration, "retry_budget": _duration}
_KEYS: dict[str, dict[str, _Check]] = {
    "s3": {
        "endpoint_url": _endpoint,
        "region": _text,
        "profile": _text,
        "anonymous": _switch,
        "key": _secret,
        "secret": _secret,
        "token": _secret,
        "server_side_encryption": _text,
        "kms_key": _text,
        "storage_class": _text,
        "ca_bundle": _text,
        "verify_tls": _switch,
        **_ALL,
    },
    "gs": {
        "endpoint_url": _endpoint,
        "project": _text,
        "credentials": _secret,
        "anonymous": _switch,
        "storage_class": _text,
        "kms_key": _text,
        **_ALL,
    },
    "hdfs": {"user": _text, "replication": _count, "properties": _properties, **_ALL},
}
