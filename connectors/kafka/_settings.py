"""Settings of a cluster: which there are, where they come from, and that a password is a reference.

They are the keys of a table `[kafka."HOST:PORT"]` in `dataplat.toml`, and of `lake.ingest(…, options=…)`.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from dataplat.config import Secret, load
from dataplat.errors import ConfigError

if TYPE_CHECKING:
    import ssl

    from dataplat.config import Config
    from dataplat.connectors.kafka._location import KafkaLocation

Security: TypeAlias = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
Mechanism: TypeAlias = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]

SECURITIES: Final = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
MECHANISMS: Final = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
_PATHS: Final = ("ca_bundle", "certificate", "key")


@dataclass(frozen=True, slots=True)
class Settings:
    """How a cluster is reached: in the clear or by TLS, as nobody or by name and password.

    `ca_bundle` is a file of certificates to trust (default: those of the system); `certificate` and `key` are files to
    show who we are by TLS.
    """

    security: Security = "PLAINTEXT"
    mechanism: Mechanism = "PLAIN"
    username: str | None = None
    password: Secret | None = field(default=None, repr=False)
    ca_bundle: str | None = None
    verify_tls: bool = True
    certificate: str | None = None
    key: str | None = None

    @property
    def has_tls(self) -> bool:
        """Whether connections are by TLS."""
        return self.security in {"SSL", "SASL_SSL"}

    @property
    def has_sasl(self) -> bool:
        """Whether one logs in by name and password."""
        return self.security in {"SASL_PLAINTEXT", "SASL_SSL"}

    def tls(self) -> ssl.SSLContext:
        """Return what Python makes connections by TLS with; raise `ConfigError` where a file is no certificate."""
        import ssl

        context = ssl.create_default_context()
        if not self.verify_tls:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        name, path = "ca_bundle", self.ca_bundle
        try:
            if path is not None:
                context = _only(path)
            if self.certificate is not None:
                name, path = "certificate", self.certificate
                context.load_cert_chain(self.certificate, self.key)
        except OSError as error:
            raise ConfigError(f"{name} {path}: cannot be read as PEM: {error.strerror or error}") from error
        return context


def settings_of(
    location: KafkaLocation, options: Mapping[str, Any] | None = None, config: Config | None = None
) -> Settings:
    """Return the settings in force for the cluster of `location`, checked.

    Of the tables of the configuration (default: that of this folder) the one counts that is of the first broker named
    in `location` that has one; `options` come before what it says, key by key.

    Raises:
        ConfigError: A key that there is not, a value of another type, a password that is no reference.
    """
    config = load() if config is None else config
    tables = {place: _of_table(place, table, config) for place, table in config.kafka.items()}
    server = next((server for server in location.servers if server in tables), None)
    found = {} if server is None else dict(tables[server])
    found.update(_typed(options or {}, "options"))
    where = "options" if options or server is None else f'{config.source}: [kafka."{server}"]'
    _refuse_contradictions(found, where)
    return Settings(**{"security": _usual(found), **found})


def _only(ca_bundle: str) -> ssl.SSLContext:
    import ssl

    return ssl.create_default_context(cafile=ca_bundle)


def _usual(found: Mapping[str, Any]) -> Security:
    """Return the security where none is named: never a password in the clear."""
    if "username" in found:
        return "SASL_SSL"
    return "SSL" if any(name in found for name in _PATHS) else "PLAINTEXT"


def _of_table(place: str, table: Mapping[str, Any], config: Config) -> dict[str, Any]:
    where = f'{config.source}: [kafka."{place}"]'
    if "://" in place or "/" in place or "@" in place or ":" not in place:
        raise ConfigError(f'{config.source}: [kafka."…"] names a broker as HOST:PORT, with nothing before or after it')
    settings = _typed(table, where)
    for name in _PATHS:
        if name in settings and config.source is not None:
            settings[name] = str(config.source.parent / Path(settings[name]).expanduser())
    return settings


def _typed(table: Mapping[str, Any], where: str) -> dict[str, Any]:
    return {name: _value(name, value, where) for name, value in table.items()}


def _value(name: str, value: object, where: str) -> Any:
    if name not in _KEYS:
        near = difflib.get_close_matches(name, _KEYS, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(_KEYS)}"
        raise ConfigError(f"{where}: unknown setting {name!r}; {hint}")
    return _KEYS[name](value, f"{where}: {name}")


def _refuse_contradictions(found: Mapping[str, Any], where: str) -> None:
    security = found.get("security", _usual(found))
    if ("username" in found) != ("password" in found):
        raise ConfigError(f"{where}: `username` and `password` belong together: give both, or none")
    if security.startswith("SASL") != ("username" in found):
        raise ConfigError(
            f"{where}: {security} needs `username` and `password`"
            if security.startswith("SASL")
            else f"{where}: {security} has no `username` and `password`: leave them out, or say SASL_SSL"
        )
    if "mechanism" in found and "username" not in found:
        raise ConfigError(f"{where}: `mechanism` says how a `username` logs in: give one, or leave it out")
    if "key" in found and "certificate" not in found:
        raise ConfigError(f"{where}: `key` is that of a `certificate`: give both, or none")
    named = next((name for name in (*_PATHS, "verify_tls") if name in found), None)
    if named is not None and not security.endswith("SSL"):
        raise ConfigError(f"{where}: `{named}` is about TLS, which {security} has not: say SSL or SASL_SSL")
    if "ca_bundle" in found and not found.get("verify_tls", True):
        raise ConfigError(f"{where}: `verify_tls = false` ignores `ca_bundle`: leave one of them out")


# ------------------------------------------------------------------------------------------------- kinds of values


def _text(value: object, name: str) -> str:
    if not isinstance(value, str) or not value:
        raise ConfigError(f"{name} must be a text, and is {_kind(value)}")
    return value


def _switch(value: object, name: str) -> bool:
    if not isinstance(value, bool):
        raise ConfigError(f"{name} must be true or false, and is {_kind(value)}")
    return value


def _one_of(*known: str) -> Callable[[object, str], str]:
    def check(value: object, name: str) -> str:
        if value not in known:
            raise ConfigError(f"{name} must be one of {', '.join(known)}, and is {_kind(value)}")
        return str(value)

    return check


def _secret(value: object, name: str) -> Secret:
    if isinstance(value, Secret):
        return value
    if not isinstance(value, str):
        raise ConfigError(f"{name} must be a reference, `env:NAME` or `file:PATH`, and is {_kind(value)}")
    return Secret(value, name)


def _kind(value: object) -> str:
    """Return what a wrong value is, never the value itself: it may be a secret in the wrong place."""
    return f"a {type(value).__name__}" if value != "" else "empty"


_KEYS: Final[dict[str, Callable[[object, str], Any]]] = {
    "security": _one_of(*SECURITIES),
    "mechanism": _one_of(*MECHANISMS),
    "username": _text,
    "password": _secret,
    "ca_bundle": _text,
    "verify_tls": _switch,
    "certificate": _text,
    "key": _text,
}
