"""Settings from `dataplat.toml`, the environment and flags; secrets only by reference.

A setting is taken from the first place that has it: a flag, then `DATAPLAT_…`, then the `dataplat.toml` of
this folder or the nearest one above it, then the default.

    lake = "data/lake"            # a path (relative to this file) or URL
    branch = "main"
    author = "Ada <ada@example.org>"
    compact = false               # no compaction after small commits
    trust_contracts = true        # run contracts that lie in a lake that is not a folder of yours
    cache_size = "20 GB"          # of copies of objects from stores over a network; 0 keeps none

    [secrets]
    warehouse = "env:WAREHOUSE_PASSWORD"

    [stores."s3://bucket/prefix"]  # how to reach a store; docs/stores.md has the keys
    region = "eu-central-1"
    key = "env:BUCKET_KEY"
    secret = "file:~/.keys/bucket"

    [registries."https://registry:8081"]  # how to reach a schema registry
    username = "me"
    password = "env:REGISTRY_PASSWORD"

    [notify]                       # who is told of events: new columns, values, versions
    log = "events.ndjson"
    command = ["./on-event.sh"]    # the event is its standard input, as JSON
    apprise = ["env:TEAM_CHAT"]    # anything that apprise speaks, by reference

    [depends]                      # what datasets depend on: other datasets, libraries
    features = ["flights", "polars"]

    [label]                        # the annotation server (Label Studio), where it is not one of this machine
    url = "https://labels.example.org"
    token = "env:LABEL_STUDIO_API_KEY"
    serve_url = "https://media.example.org"  # dataplat's own server beside it, as browsers reach it

    [features]                     # where features are served from; docs/serving.md has the settings
    online = "redis://redis.example.org:6379"  # or lmdb:FOLDER; by default LMDB in the user's state folder
    password = "env:REDIS_PASSWORD"

    [serve]                        # `dataplat serve`; docs/serving.md has the settings
    port = 8080
    [serve.keys.delay_model]       # who may ask, and for what
    key = "env:DELAY_MODEL_KEY"
    scopes = ["lookup"]

    [kafka."broker:9093"]          # how to reach a Kafka cluster
    security = "SASL_SSL"
    username = "me"
    password = "env:KAFKA_PASSWORD"
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from dataplat.errors import ConfigError

FILE_NAME = "dataplat.toml"
LAKE_FOLDER = ".dataplat"
LAKE_MARK = "lake.json"

_TEXTS = ("lake", "branch", "author")
_SWITCHES = ("compact", "trust_contracts")
_CACHE = "DATAPLAT_CACHE_SIZE"
_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_VARIABLES = {f"DATAPLAT_{name.upper()}": name for name in _TEXTS}


@dataclass(frozen=True, slots=True)
class Secret:
    """Where a secret lies: `env:NAME` or `file:PATH`. It is read when asked for, and is in no repr.

    Raises:
        ConfigError: the reference has another form (a secret written down in a configuration file).
    """

    reference: str = field(repr=False)
    name: str = "secret"

    def __post_init__(self) -> None:
        kind, _, place = self.reference.partition(":")
        if kind not in {"env", "file"} or not place:
            raise ConfigError(
                f"{self.name}: a secret is given by reference, as `env:NAME` or `file:PATH`, never by value; "
                f"put the value there and write the reference here"
            )

    def reveal(self) -> str:
        """Return the secret itself, without the line end that files have.

        Raises:
            ConfigError: the variable is not set, or the file cannot be read.
        """
        kind, _, place = self.reference.partition(":")
        if kind == "env":
            if place not in os.environ:
                raise ConfigError(f"{self.name}: the environment variable {place} is not set")
            return os.environ[place]
        try:
            return Path(place).expanduser().read_text("utf-8").rstrip("\r\n")
        except OSError as error:
            raise ConfigError(f"{self.name}: cannot read {place}: {error.strerror}") from error


@dataclass(frozen=True, slots=True)
class Config:
    """The settings in force. `source` is the file they came from, or None.

    `compact` says whether small commits are followed by a compaction where it is due. `cache_size` bounds the copies of
    objects from stores over a network, in bytes. `stores` are tables by the
    beginning of a URL, as they stand in the file; they are checked where a store is opened. So are `registries`, by URL,
    and tables of `kafka`, by HOST:PORT. `notify` says who is told of events, `depends` by dataset what it depends on, `label`
    which annotation server is asked, `features` where features are served from, `serve` how.
    """

    lake: str | None = None
    branch: str = "main"
    author: str | None = None
    compact: bool = True
    trust_contracts: bool = False
    cache_size: int = 10 * 10**9
    secrets: Mapping[str, Secret] = field(default_factory=lambda: MappingProxyType({}))
    stores: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: MappingProxyType({}), repr=False)
    registries: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: MappingProxyType({}), repr=False)
    kafka: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: MappingProxyType({}), repr=False)
    notify: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}), repr=False)
    depends: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))
    label: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}), repr=False)
    features: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}), repr=False)
    serve: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}), repr=False)
    source: Path | None = None

    def secret(self, name: str) -> Secret:
        """Return the secret of that name; raise `ConfigError` if the configuration has none."""
        if name not in self.secrets:
            raise ConfigError(f"no secret {name!r} in {self.source or FILE_NAME}; add it under [secrets] as `env:NAME`")
        return self.secrets[name]


def load(
    start: str | Path = ".", environ: Mapping[str, str] | None = None, flags: Mapping[str, str | None] | None = None
) -> Config:
    """Return the settings in force for the folder `start`.

    Args:
        start: where to begin looking upward for `dataplat.toml`.
        environ: the environment (default: this process's).
        flags: settings given by hand; None means not given.

    Raises:
        ConfigError: a file that cannot be read, an unknown setting, a value of the wrong type.
    """
    path = find_upward(start, FILE_NAME)
    config = _from_file(path) if path else Config()
    environ = os.environ if environ is None else environ
    given: dict[str, Any] = {name: environ[variable] for variable, name in _VARIABLES.items() if environ.get(variable)}
    switches = {name: f"DATAPLAT_{name.upper()}" for name in _SWITCHES}
    given.update({name: _switch(key, environ[key]) for name, key in switches.items() if environ.get(key)})
    if environ.get(_CACHE):
        given["cache_size"] = as_bytes(_CACHE, environ[_CACHE])
    given.update({name: value for name, value in (flags or {}).items() if value is not None})
    return replace(config, **given)


def find_upward(start: str | Path, name: str) -> Path | None:
    """Return the nearest `name` in `start` or a folder above it, or None."""
    here = Path(start).absolute()
    for folder in (here, *here.parents):
        if (folder / name).exists():
            return folder / name
    return None


def find_lake(start: str | Path = ".", config: Config | None = None) -> str | None:
    """Return the path or URL of the lake in force: the configured one, else the nearest `.dataplat` upward."""
    config = load(start) if config is None else config
    if config.lake:
        return config.lake
    found = find_upward(start, f"{LAKE_FOLDER}/{LAKE_MARK}")
    return str(found.parent) if found else None


def _from_file(path: Path) -> Config:
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: cannot be read as TOML: {error}") from error
    _refuse_unknown(path, table)
    values: dict[str, Any] = {}
    for name in _TEXTS:
        if name in table:
            values[name] = _text(path, name, table[name])
    for name in _SWITCHES:
        if name in table:
            if not isinstance(table[name], bool):
                raise ConfigError(f"{path}: {name} must be true or false, and is {table[name]!r}")
            values[name] = table[name]
    if "cache_size" in table:
        values["cache_size"] = as_bytes(f"{path}: cache_size", table["cache_size"])
    if "lake" in values and "://" not in values["lake"]:
        values["lake"] = str(path.parent / Path(values["lake"]).expanduser())
    secrets = table.get("secrets", {})
    if not isinstance(secrets, dict):
        raise ConfigError(f"{path}: [secrets] must be a table of names and references")
    named = {name: Secret(_text(path, f"secrets.{name}", value), f"{path}: {name}") for name, value in secrets.items()}
    return Config(
        **values,
        secrets=MappingProxyType(named),
        stores=_tables(path, table, "stores", "s3://bucket"),
        registries=_tables(path, table, "registries", "https://registry:8081"),
        kafka=_tables(path, table, "kafka", "broker:9093"),
        notify=MappingProxyType(_table(path, table, "notify")),
        depends=_depends(path, table),
        label=MappingProxyType(_table(path, table, "label")),
        features=MappingProxyType(_table(path, table, "features")),
        serve=MappingProxyType(_table(path, table, "serve")),
        source=path,
    )


def _table(path: Path, table: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = table.get(name, {})
    if not isinstance(found, dict):
        raise ConfigError(f"{path}: [{name}] must be a table")
    return found


def _depends(path: Path, table: Mapping[str, Any]) -> Mapping[str, tuple[str, ...]]:
    found = {}
    for dataset, names in _table(path, table, "depends").items():
        if not isinstance(names, list) or not all(isinstance(name, str) and name for name in names):
            raise ConfigError(f'{path}: depends.{dataset} must be a list of names: ["flights", "polars"]')
        found[dataset] = tuple(names)
    return MappingProxyType(found)


def _tables(path: Path, table: Mapping[str, Any], name: str, example: str) -> Mapping[str, Mapping[str, Any]]:
    tables = table.get(name, {})
    if not isinstance(tables, dict) or not all(isinstance(settings, dict) for settings in tables.values()):
        raise ConfigError(
            f'{path}: {name} are tables, with the place that they are about in quotes: [{name}."{example}"]'
        )
    return MappingProxyType(tables)


def _refuse_unknown(path: Path, table: Mapping[str, Any]) -> None:
    tables = ("secrets", "stores", "registries", "kafka", "notify", "depends", "label", "features", "serve")
    known = (*_TEXTS, *_SWITCHES, "cache_size", *tables)
    for name in table:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"
            raise ConfigError(f"{path}: unknown setting {name!r}; {hint}")


def _text(path: Path, name: str, value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ConfigError(f"{path}: {name} must be a text, and is {value!r}")
    return value


def _switch(variable: str, value: str) -> bool:
    if value.lower() not in {"0", "1", "false", "true"}:
        raise ConfigError(f"{variable} must be 1 or 0, and is {value!r}")
    return value.lower() in {"1", "true"}


def as_bytes(name: str, value: object) -> int:
    """Return bytes, of a number or of a text such as `20 GB`; raise `ConfigError` that begins with `name`."""
    number = re.fullmatch(r"(\d+(?:\.\d+)?) ?([kKMGT]?B?)", str(value).strip())
    if isinstance(value, bool) or not isinstance(value, int | str) or number is None or number[2].upper() not in _UNITS:
        raise ConfigError(f'{name} must be a number of bytes or a text like "20 GB", and is {value!r}')
    return int(float(number[1]) * _UNITS[number[2].upper()])
