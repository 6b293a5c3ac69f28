"""From a location to a client of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

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
    if client == "confluent":
        from dataplat.connectors.kafka._confluent import ConfluentClient

        return ConfluentClient(location, settings, isolation=isolation, headers=headers, timeout=timeout)
    from dataplat.connectors.kafka._kafka_python import KafkaPythonClient

    return KafkaPythonClient(location, settings, isolation=isolation, headers=headers, timeout=timeout)
