"""Which annotation server is in force, and where dataplat's own server beside it is."""

from __future__ import annotations

import difflib
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from dataplat.config import Config, Secret, load
from dataplat.errors import ConfigError, LabelServerError

if TYPE_CHECKING:
    from dataplat.labeling.label_studio.client import LabelStudioServer

URL, TOKEN = "LABEL_STUDIO_URL", "LABEL_STUDIO_API_KEY"
"""The environment variables that Label Studio's own tools read, too."""
_KNOWN = ("url", "token", "serve_url")


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server is, and as whom it is spoken to. `serve_url` is dataplat's own server, None where none runs."""

    url: str
    token: str = field(repr=False)
    serve_url: str | None
    local: bool


def find_address(config: Config | None = None) -> Address:
    """Return the server in force: that of the environment, of `[label]` in `dataplat.toml`, or the one that runs here.

    Raises:
        ConfigError: `[label]` is wrong, or its token cannot be read.
        LabelServerError: there is none.
    """
    config = load() if config is None else config
    settings = _checked(config)
    from dataplat.labeling.label_studio import _run, _state

    here = _run.status()
    serve_url = settings.get("serve_url") or here.serve_url
    if os.environ.get(URL):
        if not os.environ.get(TOKEN):
            raise ConfigError(
                f"{URL} names an annotation server, and {TOKEN} is not set: as whom should it be spoken to?"
            )
        return Address(_url(URL, os.environ[URL]), os.environ[TOKEN], serve_url, local=False)
    if "url" in settings:
        token = Secret(settings["token"], f"{config.source}: label.token").reveal()
        return Address(_url(f"{config.source}: label.url", settings["url"]), token, serve_url, local=False)
    state = _state.load()
    if state is None or here.url is None:
        raise LabelServerError(
            "no annotation server runs here, and none is named; start one with `dataplat label server start`, or name "
            f"one: [label] url and token in dataplat.toml, or {URL} and {TOKEN}"
        )
    return Address(here.url, state.token, serve_url, local=True)


def elsewhere(config: Config | None = None) -> bool:
    """Return whether a server is named, in the environment or in `[label]`, so that none of this machine is asked."""
    config = load() if config is None else config
    return bool(os.environ.get(URL)) or "url" in _checked(config)


def find_server(config: Config | None = None) -> LabelStudioServer:
    """Return a client of the annotation server in force.

    Raises:
        ConfigError: `[label]` is wrong, or its token cannot be read.
        LabelServerError: there is none.
    """
    from dataplat.labeling.label_studio.client import LabelStudioServer

    found = find_address(config)
    return LabelStudioServer(found.url, found.token)


def _checked(config: Config) -> dict[str, str]:
    for name, value in config.label.items():
        if name not in _KNOWN:
            near = difflib.get_close_matches(name, _KNOWN, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(_KNOWN)}"
            raise ConfigError(f"{config.source}: unknown setting {name!r} in [label]; {hint}")
        if not isinstance(value, str) or not value:
            raise ConfigError(f"{config.source}: label.{name} must be a text, and is {value!r}")
    if ("url" in config.label) != ("token" in config.label):
        missing = "token" if "url" in config.label else "url"
        raise ConfigError(f'{config.source}: [label] needs {missing}, too (url = "https://…", token = "env:NAME")')
    settings = dict(config.label)
    if "serve_url" in settings:
        settings["serve_url"] = _url(f"{config.source}: label.serve_url", settings["serve_url"])
    return settings


def _url(name: str, text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ConfigError(f"{name} must be the address of a server, as https://labels.example.org, and is {text!r}")
    if parts.username or parts.password:
        raise ConfigError(f"{name} must hold no name and password")
    return text.rstrip("/")
