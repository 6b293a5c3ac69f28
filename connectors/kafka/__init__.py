"""Topics of Apache Kafka: read by position, with nothing kept in Kafka and no group.

`kafka://HOST:PORT/TOPIC` is where; `connectors.kafka.Client` is what is asked of a client library.
"""

from __future__ import annotations

from dataplat.connectors.kafka._client import Bounds, Client, Topic
from dataplat.connectors.kafka._location import KafkaLocation, is_kafka, locate
from dataplat.connectors.kafka._open import open_client

__all__ = ["Bounds", "Client", "KafkaLocation", "Topic", "is_kafka", "locate", "open_client"]
