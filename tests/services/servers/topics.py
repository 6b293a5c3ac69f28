"""Topics of the real Kafka: made, filled (in transactions, too), cut, and read back by somebody else than us."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any
from uuid import uuid4

if TYPE_CHECKING:
    from servers.kafka import KafkaServer

PATIENCE = 60.0
"""Seconds without a record after which a topic that should have more has lost it."""
LEADS_LATER = {5, 6, 74, 75}
"""LEADER_NOT_AVAILABLE, NOT_LEADER_FOR_PARTITION, and two of leader epochs."""


@dataclass(frozen=True, slots=True)
class Message:
    """What is sent, and what was read: then its partition, offset and timestamp (ms since 1970) are known."""

    value: bytes | None
    key: bytes | None = None
    partition: int = -1  # by the key's hash
    offset: int = -1
    timestamp: int = 0  # the time of sending
    headers: tuple[tuple[str, bytes | None], ...] = ()


@dataclass(frozen=True)
class Topic:
    """A topic of a broker."""

    server: KafkaServer = field(repr=False)
    name: str

    @property
    def url(self) -> str:
        """What `dataplat ingest` is given."""
        return f"kafka://{self.server.bootstrap}/{self.name}"

    @property
    def id(self) -> str:
        """Its id as Kafka writes it: 22 characters of Base64; another topic of the same name has another."""
        from confluent_kafka import TopicCollection
        from confluent_kafka.admin import AdminClient

        admin = AdminClient(self.server.confluent())  # what was asked ends with it
        return str(admin.describe_topics(TopicCollection([self.name]))[self.name].result(30).topic_id)

    def produce(self, messages: Iterable[Message], **settings: Any) -> None:
        """Send messages and wait until the broker has all of them; `linger_ms` stands for `linger.ms`."""
        with _producer(self, settings) as producer:
            _send(producer, self.name, messages)

    @contextmanager
    def transactions(self, id: str | None = None, **settings: Any) -> Iterator[Transactions]:
        """Give a transactional producer; who comes later with the same id fences it."""
        with _producer(self, {"transactional.id": id or f"writer-{uuid4().hex[:12]}", **settings}) as producer:
            producer.init_transactions(60)
            yield Transactions(producer, self.name)

    def committed(self, ends: Mapping[int, int] | None = None) -> list[Message]:
        """Return every committed message up to the last stable offsets, or up to `ends`, by partition and offset."""
        return list(read(self, "read_committed", ends))

    def bounds(self, isolation: str = "read_committed") -> dict[int, tuple[int, int]]:
        """Return each partition's first offset and its end: the last stable offset, unless read uncommitted."""
        with _consumer(self, isolation) as consumer:
            return _bounds(consumer, self, isolation)

    def add_partitions(self, total: int) -> None:
        """Make it have so many."""
        with self.server.admin() as admin:
            admin.create_partitions({self.name: total})
            admin.wait_for_topics([self.name])
        while len(self.bounds()) < total:  # a client may be told of them later than another
            pass

    def truncate(self, before: Mapping[int, int]) -> None:
        """Delete the beginning of partitions, up to these offsets."""
        from kafka import TopicPartition

        with self.server.admin() as admin:
            admin.delete_records({TopicPartition(self.name, number): offset for number, offset in before.items()})

    def delete(self) -> None:
        """Delete it; return when no client is told of it any more."""
        with self.server.admin() as admin:
            admin.delete_topics([self.name])
            while self.name in admin.list_topics():
                pass

    def configure(self, **configs: str) -> None:
        """Change settings of it."""
        from kafka.admin import ConfigResource, ConfigResourceType

        changed = {key.replace("_", "."): value for key, value in configs.items()}
        with self.server.admin() as admin:
            admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, self.name, configs=changed)])


@dataclass(frozen=True, slots=True)
class Transactions:
    """A transactional producer: what it sends is committed or aborted together."""

    producer: Any
    topic: str

    def commit(self, messages: Iterable[Message]) -> None:
        """Send messages in one transaction that is committed."""
        self.begin(messages)
        self.producer.commit_transaction(60)

    def abort(self, messages: Iterable[Message]) -> None:
        """Send messages in one transaction that is aborted; they have offsets, and nobody is shown them."""
        self.begin(messages)
        self.producer.abort_transaction(60)

    def begin(self, messages: Iterable[Message]) -> None:
        """Send messages in a transaction that stays open: `producer` commits or aborts it."""
        self.producer.begin_transaction()
        _send(self.producer, self.topic, messages)


@contextmanager
def _producer(topic: Topic, settings: Mapping[str, Any]) -> Iterator[Any]:
    from confluent_kafka import Producer

    from servers.kafka import LARGEST

    given = {"acks": "all", "linger.ms": 5, "message.max.bytes": LARGEST, "queue.buffering.max.messages": 1_000_000}
    given |= {name.replace("_", "."): value for name, value in settings.items()}
    producer = Producer({**topic.server.confluent(), **given})
    yield producer
    assert producer.flush(0) == 0, "messages were not sent"


def _send(producer: Any, topic: str, messages: Iterable[Message]) -> None:
    """Hand messages to a producer, and wait until the broker has them."""
    failed: list[str] = []

    def told(error: Any, _message: Any) -> None:
        if error is not None:
            failed.append(str(error))

    for number, message in enumerate(messages):
        given = {"headers": list(message.headers)} if message.headers else {}
        if message.partition >= 0:
            given["partition"] = message.partition
        while True:
            try:
                producer.produce(
                    topic, message.value, message.key, timestamp=message.timestamp, on_delivery=told, **given
                )
                break
            except BufferError:  # the queue is full
                producer.poll(0.1)
        if number % 1000 == 0:
            producer.poll(0)
    left = producer.flush(120)
    assert not failed, f"{len(failed)} messages were not taken: {failed[0]}"
    assert not left, f"{left} messages were not sent in two minutes"


@contextmanager
def _consumer(topic: Topic, isolation: str) -> Iterator[Any]:
    from confluent_kafka import Consumer

    given = {"group.id": "nobody", "enable.auto.commit": False, "isolation.level": isolation}
    consumer = Consumer({**topic.server.confluent(), **given, "enable.partition.eof": False})
    try:
        yield consumer
    finally:
        consumer.close()


def _bounds(consumer: Any, topic: Topic, isolation: str) -> dict[int, tuple[int, int]]:
    from confluent_kafka import IsolationLevel, KafkaException, TopicPartition
    from confluent_kafka.admin import AdminClient, OffsetSpec

    admin = AdminClient(topic.server.confluent())
    numbers = sorted(consumer.list_topics(topic.name, timeout=30).topics[topic.name].partitions)
    level = IsolationLevel.READ_COMMITTED if isolation == "read_committed" else IsolationLevel.READ_UNCOMMITTED

    def ask(spec: Any) -> dict[int, int]:
        until = monotonic() + PATIENCE
        while True:
            asked = admin.list_offsets({TopicPartition(topic.name, n): spec for n in numbers}, isolation_level=level)
            try:
                return {partition.partition: int(found.result(30).offset) for partition, found in asked.items()}
            except KafkaException as error:  # a broker that has just started: some of its partitions lead later
                if error.args[0].code() not in LEADS_LATER or monotonic() > until:
                    raise
                sleep(0.05)

    first, end = ask(OffsetSpec.earliest()), ask(OffsetSpec.latest())
    return {number: (first[number], end[number]) for number in numbers}


def read(topic: Topic, isolation: str, ends: Mapping[int, int] | None = None) -> Iterator[Message]:
    """Read a topic by librdkafka from its beginning up to `ends`, partition by partition."""
    from confluent_kafka import TopicPartition

    with _consumer(topic, isolation) as consumer:
        bounds = _bounds(consumer, topic, isolation)
        for number, (first, end) in bounds.items():
            end = end if ends is None else ends.get(number, first)
            consumer.assign([TopicPartition(topic.name, number, first)])
            at, until = first, monotonic() + PATIENCE
            while at < end:
                assert monotonic() < until, f"{topic.name}[{number}] gives nothing between {at} and {end}"
                messages = consumer.consume(10_000, 0.2)
                for message in messages:
                    assert message.error() is None, message.error()
                    if message.offset() < end:
                        yield _message(message)
                until = monotonic() + PATIENCE if messages else until
                # past control records and aborted ones, which are not shown
                at = max(at, consumer.position([TopicPartition(topic.name, number)])[0].offset)


def _message(message: Any) -> Message:
    headers = tuple((name, value) for name, value in message.headers() or ())
    place = (message.partition(), message.offset(), message.timestamp()[1])
    return Message(message.value(), message.key(), *place, headers)
