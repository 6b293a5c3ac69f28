"""From a location to a client of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from dataplat.connectors.kafka._greet import greet
from dataplat.connectors.kafka._settings import Settings, settings_of

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
    ahead: bool = False,
    options: Mapping[str, Any] | None = None,
) -> Client:
    """Return a client of the topic at `location`, with the settings of `[kafka."HOST:PORT"]` in dataplat.toml.

    `options` are such settings given by hand, which come first.

    `timeout` is how many seconds a broker may take to answer; `headers` whether records have theirs. With `ahead` it
    polls while what came before is used: confluent-kafka always does, kafka-python in a process of its own.

    Raises:
        MissingExtra: The library is not installed.
        ConfigError: A setting is wrong.
        SourceUnreachable, SourceError: No broker answers, or it refuses.
    """
    settings = settings_of(location, options)
    greet(location, settings, timeout)
    if client == "confluent":
        from dataplat.connectors.kafka._confluent import ConfluentClient

        return ConfluentClient(
            location, for_librdkafka(settings), isolation=isolation, headers=headers, timeout=timeout
        )
    if ahead:
        from dataplat.connectors.kafka._ahead import AheadClient

        return AheadClient(location, settings, isolation=isolation, headers=headers, timeout=timeout)
    from dataplat.connectors.kafka._kafka_python import KafkaPythonClient

    return KafkaPythonClient(
        location, for_kafka_python(settings), isolation=isolation, headers=headers, timeout=timeout
    )


def for_librdkafka(settings: Settings) -> dict[str, Any]:
    """Return settings as librdkafka has them."""
    given: dict[str, Any] = {"security.protocol": settings.security}
    if settings.has_tls:
        named = {"ssl.ca.location": settings.ca_bundle, "ssl.certificate.location": settings.certificate}
        named |= {"ssl.key.location": settings.key or settings.certificate}
        given |= {name: value for name, value in named.items() if value is not None}
        if not settings.verify_tls:
            given |= {"enable.ssl.certificate.verification": False, "ssl.endpoint.identification.algorithm": "none"}
    if settings.has_sasl and settings.password is not None:
        given |= {"sasl.mechanism": settings.mechanism, "sasl.username": settings.username}
        given["sasl.password"] = settings.password.reveal()
    return given


def for_kafka_python(settings: Settings) -> dict[str, Any]:
    """Return settings as kafka-python has them."""
    given: dict[str, Any] = {"security_protocol": settings.security}
    if settings.has_tls:
        given["ssl_context"] = settings.tls()
    if settings.has_sasl and settings.password is not None:
        given |= {"sasl_mechanism": settings.mechanism, "sasl_plain_username": settings.username}
        given["sasl_plain_password"] = settings.password.reveal()
    return given
