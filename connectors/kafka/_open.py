"""From a location to a client of it."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING, Any, Literal

from dataplat.connectors.kafka._failures import unreachable

if TYPE_CHECKING:
    from dataplat.connectors.kafka._client import Client
    from dataplat.connectors.kafka._location import KafkaLocation


def open_client(
    location: KafkaLocation,
    *,
    isolation: Literal["read_committed", "read_uncommitted"] = "read_committed",
    headers: bool = False,
    timeout: float = 15.0,
    client: Literal["kafka-python", "confluent"] = "kafka-python",
) -> Client:
    """Return a client of the topic at `location`, with the settings of `[kafka."HOST:PORT"]` in dataplat.toml.

    `timeout` is how many seconds a broker may take to answer; `headers` whether records have theirs.

    Raises:
        MissingExtra: The library is not installed.
        ConfigError: A setting is wrong.
        SourceUnreachable, SourceError: No broker answers, or it refuses.
    """
    settings: dict[str, Any] = {}
    _require_one(location, timeout)
    if client == "confluent":
        from dataplat.connectors.kafka._confluent import ConfluentClient

        return ConfluentClient(location, settings, isolation=isolation, headers=headers, timeout=timeout)
    from dataplat.connectors.kafka._kafka_python import KafkaPythonClient

    return KafkaPythonClient(location, settings, isolation=isolation, headers=headers, timeout=timeout)


def _require_one(location: KafkaLocation, timeout: float) -> None:
    """Wait until one of the brokers takes a connection: a library's own words for it are many, late and vague."""
    until = time.monotonic() + timeout
    while True:
        for server in location.servers:
            host, _, port = server.rpartition(":")
            try:
                with socket.create_connection((host.strip("[]"), int(port)), max(0.1, until - time.monotonic())):
                    return
            except OSError as error:
                last = error
        if time.monotonic() >= until:
            raise unreachable(location, "connect", timeout, last)
        time.sleep(0.2)
