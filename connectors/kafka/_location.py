"""Which topic of which cluster is meant: `kafka://HOST:PORT,HOST:PORT/TOPIC`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from dataplat.errors import ConfigError

_SCHEME: Final = "kafka://"
_TOPIC: Final = re.compile(r"[A-Za-z0-9._-]{1,249}")
_SERVER: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\s:\[\]/,@]+):(\d{1,5})")
_USUAL: Final = "kafka://localhost:9092/orders"


@dataclass(frozen=True, slots=True)
class KafkaLocation:
    """A topic, and the brokers (`host:port`) that are asked first where it lies."""

    servers: tuple[str, ...]
    topic: str

    @property
    def text(self) -> str:
        """The location as it is written."""
        return f"{_SCHEME}{','.join(self.servers)}/{self.topic}"

    def __str__(self) -> str:
        return self.text


def is_kafka(source: Any) -> bool:
    """Whether `source` is the text of a location in Kafka, be it well formed or not."""
    return isinstance(source, str) and source.lower().startswith(_SCHEME)


def locate(text: str) -> KafkaLocation:
    """Return the location that `text` names; raise `ConfigError` saying what is wrong with it."""
    servers, slash, topic = text[len(_SCHEME) :].partition("/")
    if "@" in servers:
        raise ConfigError(
            "a Kafka address carries no credentials (they would end up in logs): give `username` and `password` by "
            'reference in dataplat.toml, under [kafka."HOST:PORT"]'
        )
    if not slash or not topic:
        raise ConfigError(f"{text}: no topic is named; write it as in {_USUAL}")
    if not _TOPIC.fullmatch(topic) or topic in {".", ".."}:
        raise ConfigError(f"{text}: {topic!r} is no name of a topic: letters, digits, `.`, `_` and `-`, at most 249")
    named = tuple(server.strip() for server in servers.split(","))
    for server in named:
        found = _SERVER.fullmatch(server)
        if found is None or not 0 < int(found[2]) < 65_536:
            raise ConfigError(f"{text}: {server or 'nothing'!r} is no HOST:PORT; write it as in {_USUAL}")
    return KafkaLocation(named, topic)
