"""How features are served: `[serve]` of dataplat.toml, and flags. Keys are there by reference only.

[serve]
host = "127.0.0.1"            # other than the loopback only with keys
port = 8080
workers = 2
services = ["delay_model"]    # else all that are applied; readyz waits for a snapshot of each
max_body = "4 MB"
max_entities = 10_000         # in one request
concurrency = 256             # requests at work in one worker; above: 503 with Retry-After
connections = 2048            # open to one worker
deadline = 10.0               # seconds for an answer, where the caller names none
patience = 10.0               # seconds for a client to send its request, or to take its answer
keep_alive = 75.0             # seconds that an idle connection stays open
grace = 10.0                  # seconds that what is being answered gets at the end
access_log = "-"              # a file, - for standard error, "" for none; never holds values
docs = true                   # /docs and /openapi.json
telemetry = false             # OpenTelemetry, set up by its own OTEL_… variables
log_sample = 1.0              # the share of lookups that is logged for `dataplat features audit`
log_rows = 20.0               # rows a second of one worker that are logged at most; 0: none
flush = "5s"                  # how long pushed rows wait to be committed to their datasets; "" to leave it to others
flush_rows = 10_000           # so many rows that one worker took are not waited with

[serve.keys.delay_model]
key = "env:DELAY_MODEL_KEY"   # or file:PATH
scopes = ["lookup"]           # lookup, push, admin (metrics)
"""

from __future__ import annotations

import difflib
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from types import MappingProxyType
from typing import Any, Final

from dataplat.config import Config, Secret, as_bytes
from dataplat.errors import ConfigError

SCOPES: Final = ("lookup", "push", "admin")
_LEAST: Final[Mapping[str, float]] = MappingProxyType(
    {"port": 0, "workers": 1, "max_body": 1, "max_entities": 1, "concurrency": 1, "connections": 1, "flush_rows": 1}
)


@dataclass(frozen=True, slots=True)
class Key:
    """An API key: where it lies, and what it is for."""

    secret: Secret
    scopes: frozenset[str]


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings in force; the module's docstring says what each is."""

    host: str = "127.0.0.1"
    port: int = 8080
    workers: int = 1
    services: tuple[str, ...] = ()
    max_body: int = 4 * 10**6
    max_entities: int = 10_000
    concurrency: int = 256
    connections: int = 2048
    deadline: float = 10.0
    patience: float = 10.0
    keep_alive: float = 75.0
    grace: float = 10.0
    access_log: str = "-"
    docs: bool = True
    telemetry: bool = False
    log_sample: float = 1.0
    log_rows: float = 20.0
    flush: float = 5.0
    flush_rows: int = 10_000
    keys: Mapping[str, Key] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def local(self) -> bool:
        """Whether nobody on another machine can reach it."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


def settings_of(config: Config, flags: Mapping[str, Any] | None = None) -> Settings:
    """Return the settings of a configuration, changed by flags (None: not given).

    Raises:
        ConfigError: An unknown setting, a value of the wrong type, or other machines let in without keys.
    """
    place = f"{config.source or 'dataplat.toml'}: [serve]"
    given = {name: _value(place, name, value) for name, value in config.serve.items()}
    given |= {name: _value("the command", name, value) for name, value in (flags or {}).items() if value is not None}
    found = replace(Settings(), **given)
    if not found.local and not found.keys:
        raise ConfigError(
            f"host {found.host} lets other machines in, and there are no API keys: add them to dataplat.toml as "
            '[serve.keys.NAME] key = "env:…", scopes = ["lookup"], or serve on 127.0.0.1'
        )
    return found


def _value(place: str, name: str, value: Any) -> Any:
    """Return a setting in its type."""
    kinds = {each.name: each.type for each in fields(Settings)}
    if name not in kinds:
        near = difflib.get_close_matches(name, kinds, 1)
        raise ConfigError(
            f"{place} has no setting {name!r}; "
            + (f"did you mean {near[0]!r}?" if near else f"known are {', '.join(kinds)}")
        )
    if name == "keys":
        return _keys(place, value)
    if name == "services":
        return _services(place, value)
    if name == "flush" and isinstance(value, str):
        return _seconds(f"{place} flush", value)
    if name == "max_body":
        return as_bytes(f"{place} {name}", value)
    kind: Any = {"int": int, "float": (int, float), "str": str, "bool": bool}[str(kinds[name])]
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise ConfigError(f"{place} {name} must be of type {kinds[name]}, and is {value!r}")
    if isinstance(value, int | float) and not isinstance(value, bool) and value < _LEAST.get(name, 0):
        raise ConfigError(f"{place} {name} must be {_LEAST.get(name, 0):g} or more, and is {value!r}")
    return value


def _seconds(what: str, value: str) -> float:
    from dataplat.feature_store.windows import micros

    return micros(value, what) / 1e6 if value else 0.0


def _services(place: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not all(isinstance(name, str) and name for name in value):
        raise ConfigError(f'{place} services must be a list of names: ["delay_model", "eta@2"]')
    return tuple(value)


def _keys(place: str, value: Any) -> Mapping[str, Key]:
    if not isinstance(value, dict):
        raise ConfigError(f"{place} keys are tables: [serve.keys.NAME]")
    return MappingProxyType({name: _key(f"{place} keys.{name}", told) for name, told in value.items()})


def _key(place: str, told: Any) -> Key:
    if not isinstance(told, dict) or set(told) != {"key", "scopes"} or not isinstance(told["key"], str):
        raise ConfigError(f'{place} needs key = "env:NAME" (or "file:PATH") and scopes = ["lookup"], and nothing else')
    scopes = told["scopes"]
    if not isinstance(scopes, list) or not scopes or any(scope not in SCOPES for scope in scopes):
        raise ConfigError(f"{place} scopes are some of {', '.join(SCOPES)}, and not {scopes!r}")
    return Key(Secret(told["key"], place), frozenset(scopes))
