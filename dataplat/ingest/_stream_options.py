"""How a stream is read: what `dataplat ingest kafka://…` is told beyond what every ingest is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from dataplat.errors import ConfigError

Format: TypeAlias = Literal["json", "text", "bytes", "avro", "protobuf", "json-schema", "debezium", "registry"]
FORMATS = ("json", "text", "bytes", "avro", "protobuf", "json-schema", "debezium", "registry")
ISOLATIONS = ("read_committed", "read_uncommitted")
CLIENTS = ("kafka-python", "confluent")
ON_GAP = ("fail", "mark")


@dataclass(frozen=True, slots=True)
class StreamOptions:
    """How a stream is read.

    `follow` goes on until it is told to stop; else what there was when it began is read. A commit closes after `every`
    seconds, or at so many `rows` or `bytes`, whichever is first; `budget` bytes may be in memory for all partitions.
    `timeout` is how many seconds a broker may take to answer. `format` says what values are (default: "json", with a
    `registry`: what that says). `keep` are the parts of a record that become columns. `on_gap` "mark" goes on where
    records are gone that were not read, and writes that down. More than the share `max_rejects` of a commit's records
    being none stops before the branch moves. `partitions` (default: all) are those that this process reads; `metrics`
    a port of 127.0.0.1 at which Prometheus finds them. `options` are keys of a table `[kafka."HOST:PORT"]` of
    dataplat.toml, which come before what that says.
    """

    follow: bool = False
    every: float = 5.0
    rows: int | None = None
    bytes: int | None = None
    budget: int = 128 << 20
    timeout: float = 15.0
    format: Format | None = None
    registry: str | None = None
    keep: tuple[str, ...] = ()
    on_gap: Literal["fail", "mark"] = "fail"
    max_rejects: float | None = None
    isolation: Literal["read_committed", "read_uncommitted"] = "read_committed"
    client: Literal["kafka-python", "confluent"] = "kafka-python"
    partitions: tuple[int, ...] | None = None
    metrics: int | None = None
    options: Mapping[str, Any] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        for name, known in (("isolation", ISOLATIONS), ("client", CLIENTS), ("on_gap", ON_GAP)):
            if getattr(self, name) not in known:
                raise ConfigError(f"unknown {name} {getattr(self, name)!r}: it is one of {', '.join(known)}")
        if self.format is not None and self.format not in FORMATS:
            raise ConfigError(f"unknown format {self.format!r} of messages: it is one of {', '.join(FORMATS)}")
        for name in ("every", "timeout", "budget"):
            if getattr(self, name) <= 0:
                raise ConfigError(f"{name} must be more than nothing, and is {getattr(self, name)}")
        for name in ("rows", "bytes"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ConfigError(f"{name} must be at least 1, and is {value}")
        if self.max_rejects is not None and not 0 <= self.max_rejects <= 1:
            raise ConfigError(f"max_rejects is a share between 0 and 1 (5 % is 0.05), and is {self.max_rejects}")

    @property
    def codec(self) -> str:
        """The name of the codec that values are decoded by."""
        return self.format or ("json" if self.registry is None else "registry")


STREAM_NAMES = frozenset(StreamOptions.__dataclass_fields__) - {"format"}
"""Names of options that only streams take."""


def stream_options(format: str | None, given: Mapping[str, Any]) -> StreamOptions:
    """Return the options that a user gave by name, `keep` and `partitions` as any sequence."""
    checked: dict[str, Any] = {"format": format, **given}
    for name in ("keep", "partitions"):
        if checked.get(name) is not None:
            checked[name] = tuple(checked[name])
    return StreamOptions(**checked)
