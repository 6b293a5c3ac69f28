"""Ask a schema registry, by the HTTP interface of Confluent's, what an id stands for.

https://docs.confluent.io/platform/current/schema-registry/develop/api.html
"""

from __future__ import annotations

import base64
import http.client
import json
import ssl
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlsplit

from dataplat.config import FILE_NAME, Secret, load
from dataplat.connectors.codecs._codec import GUIDS
from dataplat.errors import ConfigError, SchemaError, SourceError, SourceUnreachable

_SETTINGS: Final = ("username", "password", "ca_bundle")
_TRIES: Final = 3
_TIMEOUT: Final = 10.0
"""Seconds that a registry may take for one answer."""
_UNKNOWN_FOR: Final = 10.0
"""Seconds for which an id that the registry does not know is not asked for again: it may come to know it."""


@dataclass(frozen=True, slots=True)
class Registered:
    """A schema: its `kind` ("AVRO", "PROTOBUF", "JSON"), its text, and the schemas that it names, by those names."""

    kind: str
    text: str
    references: Mapping[str, Registered] = field(default_factory=dict)


@dataclass(slots=True)
class SchemaRegistry:
    """A registry at a URL, asked for each id once in a process. Get one from `registry_at`."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    ca_bundle: str | None = None
    _known: dict[int, Registered] = field(default_factory=dict, repr=False)
    _versions: dict[tuple[str, int], Registered] = field(default_factory=dict, repr=False)
    _unknown: dict[int, float] = field(default_factory=dict, repr=False)
    _guids: list[str] = field(default_factory=list, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def id_of(self, guid: str) -> int:
        """Return the id that stands for a GUID in this process."""
        with self._lock:
            if guid not in self._guids:
                self._guids.append(guid)
            return GUIDS + self._guids.index(guid)

    def called(self, id: int) -> str:
        """Return what people call the schema of an id."""
        return f"schema {id if id < GUIDS else self._guids[id - GUIDS]}"

    def schema(self, id: int) -> Registered | None:
        """Return the schema of an id, None where there is none.

        Raises:
            SchemaError: It refers to one that is not there.
            SourceUnreachable: The registry does not answer, or has an error of its own.
            SourceError: It refuses, or is no registry.
        """
        with self._lock:
            known = self._known.get(id)
            if known is not None or self._unknown.get(id, 0.0) > time.monotonic():
                return known
            told = self._get(f"/schemas/ids/{id}" if id < GUIDS else f"/schemas/guids/{self._guids[id - GUIDS]}")
            if told is None:
                self._unknown[id] = time.monotonic() + _UNKNOWN_FOR
                return None
            found = self._known[id] = self._registered(told)
            return found

    def _registered(self, told: Mapping[str, Any]) -> Registered:
        references = {
            reference["name"]: self._version(reference["subject"], reference["version"])
            for reference in told.get("references") or ()
        }
        return Registered(told.get("schemaType") or "AVRO", told["schema"], references)

    def _version(self, subject: str, version: int) -> Registered:
        known = self._versions.get((subject, version))
        if known is None:
            told = self._get(f"/subjects/{quote(subject, safe='')}/versions/{version}")
            if told is None:
                raise SchemaError(f"it refers to version {version} of {subject!r}, which {self.url} does not know")
            known = self._versions[subject, version] = self._registered(told)
        return known

    def _get(self, path: str) -> Mapping[str, Any] | None:
        """Return what is told, None for what the registry does not know; try again where it fails."""
        said = ""
        for tried in range(_TRIES):
            if tried:
                time.sleep(0.2 * 4 ** (tried - 1))
            try:
                status, body = self._ask(path)
            except ssl.SSLCertVerificationError as error:
                raise SourceError(
                    f"{self.url}: its certificate is not trusted ({error.verify_message}); name the file of its "
                    f'authority as `ca_bundle` under [registries."{self.url}"] in {FILE_NAME}'
                ) from error
            except (OSError, http.client.HTTPException) as error:
                said = str(error) or type(error).__name__
                continue
            if status < 500 and status != 429:
                return self._answer(path, status, body)
            said = f"HTTP {status}"
        raise SourceUnreachable(f"no schema registry at {self.url} answers, asked {_TRIES} times for {path}: {said}")

    def _answer(self, path: str, status: int, body: bytes) -> Mapping[str, Any] | None:
        if status in {401, 403}:
            raise SourceError(
                f"the schema registry at {self.url} refuses (HTTP {status}): give `username` and `password` by reference "
                f'under [registries."{self.url}"] in {FILE_NAME}'
            )
        try:
            told = json.loads(body)
            if status == 404 and told["error_code"] in {40401, 40402, 40403}:
                return None
            if status == 200:
                return {**told, "schema": told["schema"]}
        except (ValueError, KeyError, TypeError):
            pass
        raise SourceError(f"{self.url} is no schema registry: to {path} it answers HTTP {status} {body[:80]!r}")

    def _ask(self, path: str) -> tuple[int, bytes]:
        where = urlsplit(self.url)
        assert where.hostname is not None
        if where.scheme == "https":
            context = ssl.create_default_context(cafile=self.ca_bundle)
            connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                where.hostname, where.port, timeout=_TIMEOUT, context=context
            )
        else:
            connection = http.client.HTTPConnection(where.hostname, where.port, timeout=_TIMEOUT)
        try:
            accept = "application/vnd.schemaregistry.v1+json, application/json"
            connection.request("GET", where.path.rstrip("/") + path, headers={"Accept": accept, **self.headers})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()


_REGISTRIES: dict[tuple[str, str, str], SchemaRegistry] = {}


def registry_at(url: str) -> SchemaRegistry:
    """Return the registry at a URL, with the settings of `[registries."URL"]` in dataplat.toml; one for the process.

    Settings are `username` and `password` (a secret by reference), and `ca_bundle`, a file (relative to
    dataplat.toml) of the authorities that are trusted instead of the system's.

    Raises:
        ConfigError: The URL or a setting is wrong.
    """
    url = url.rstrip("/")
    where = urlsplit(url)
    if where.scheme not in {"http", "https"} or not where.hostname:
        raise ConfigError(f"--registry {url}: write the URL of a schema registry, as in http://localhost:8081")
    if "@" in where.netloc:
        raise ConfigError(
            "the URL of a registry carries no credentials (they would end up in logs): give `username` and `password` by "
            f'reference under [registries."URL"] in {FILE_NAME}'
        )
    settings = _settings(url)
    headers = _authorization(url, settings)
    key = (url, headers.get("Authorization", ""), settings.get("ca_bundle", ""))
    return _REGISTRIES.setdefault(key, SchemaRegistry(url, headers, settings.get("ca_bundle")))


def forget_schemas() -> None:
    """Forget what registries said: another one may have taken the place of one (in tests)."""
    _REGISTRIES.clear()


def _settings(url: str) -> Mapping[str, str]:
    config = load()
    settings = dict(next((given for named, given in config.registries.items() if named.rstrip("/") == url), {}))
    for name, value in settings.items():
        if name not in _SETTINGS:
            raise ConfigError(f'[registries."{url}"]: there is no setting {name!r}; there are {", ".join(_SETTINGS)}')
        if not isinstance(value, str):
            raise ConfigError(f'[registries."{url}"]: {name} is a text, and is {value!r}')
    if "ca_bundle" in settings:
        assert config.source is not None
        settings["ca_bundle"] = path = str(config.source.parent / Path(settings["ca_bundle"]).expanduser())
        if not Path(path).is_file():
            raise ConfigError(f'[registries."{url}"]: there is no file {path} to trust (ca_bundle)')
    return settings


def _authorization(url: str, settings: Mapping[str, str]) -> dict[str, str]:
    if "username" not in settings:
        return {}
    if "password" not in settings:
        raise ConfigError(f'[registries."{url}"]: beside username, give password by reference, as `env:NAME`')
    password = Secret(settings["password"], f'[registries."{url}"] password').reveal()
    return {"Authorization": "Basic " + base64.b64encode(f"{settings['username']}:{password}".encode()).decode()}
