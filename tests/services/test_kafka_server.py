"""The Kafka that tests run against is a real one: what it promises, it keeps; what it refuses, it refuses."""

from __future__ import annotations

import itertools
import socket
import ssl
import time
from contextlib import ExitStack, closing
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from servers import KafkaServer, Message, Topic
from servers.kafka import ADMIN, STRANGER, User

pytestmark = pytest.mark.slow


def values(messages):
    """Return what was said."""
    return [message.value for message in messages]


def test_messages_come_back_as_they_were_sent(kafka_server: KafkaServer) -> None:
    """Key, value, headers, timestamp and partition are stored; a value may be null or empty."""
    topic = kafka_server.new_topic(partitions=3)
    sent = [
        Message(b"one", b"k", partition=0, timestamp=1_000, headers=(("h", b"v"), ("h", None))),
        Message(None, b"k", partition=2, timestamp=999),
        Message(b"", None, partition=2, timestamp=2_000),
    ]
    topic.produce(sent)
    assert topic.committed() == [
        Message(b"one", b"k", 0, 0, 1_000, (("h", b"v"), ("h", None))),
        Message(None, b"k", 2, 0, 999),
        Message(b"", None, 2, 1, 2_000),
    ]


def test_what_was_aborted_is_not_seen(kafka_server: KafkaServer) -> None:
    """A reader of committed messages sees nothing of an aborted transaction, and nothing behind an open one."""
    topic = kafka_server.new_topic()
    with topic.transactions() as writer:
        writer.commit([Message(b"a")])
        writer.abort([Message(b"b")])
        assert values(topic.committed()) == [b"a"]
        writer.begin([Message(b"c")])
        topic.produce([Message(b"d")])
        assert topic.bounds()[0][1] < topic.bounds("read_uncommitted")[0][1]
        assert values(topic.committed()) == [b"a"]
        writer.producer.commit_transaction(60)
        assert values(topic.committed()) == [b"a", b"c", b"d"]
        # a, its marker, b, its marker, c, d, c's marker
        assert topic.bounds() == {0: (0, 7)}


def test_two_libraries_read_the_same(kafka_server: KafkaServer) -> None:
    """Both clients see the same committed messages, whatever they were compressed with."""
    topic = kafka_server.new_topic(partitions=2)
    for codec in ("none", "gzip", "snappy", "lz4", "zstd"):
        with topic.transactions(compression_type=codec) as writer:
            writer.commit(Message(b"%s %d" % (codec.encode(), n), partition=n % 2) for n in range(200))
            writer.abort([Message(b"aborted", partition=0)])
    read = topic.committed()
    assert len(read) == 1000
    assert read_by_kafka_python(kafka_server.kafka_python(), topic) == read


def read_by_kafka_python(settings: dict[str, Any], topic: Topic) -> list[Message]:
    """Return what kafka-python sees of the committed messages, by partition and offset."""
    from kafka import KafkaConsumer, TopicPartition

    found: list[Message] = []
    bounds = topic.bounds()
    with closing(KafkaConsumer(**settings, isolation_level="read_committed", enable_auto_commit=False)) as consumer:
        partitions = [TopicPartition(topic.name, number) for number in bounds]
        consumer.assign(partitions)
        consumer.seek_to_beginning(*partitions)
        while any(consumer.position(partition) < bounds[partition.partition][1] for partition in partitions):
            for records in consumer.poll(timeout_ms=200).values():
                found += [
                    Message(record.value, record.key, record.partition, record.offset, record.timestamp)
                    for record in records
                ]
    return sorted(found, key=lambda message: (message.partition, message.offset))


@pytest.mark.parametrize(
    ("protocol", "mechanism"),
    [
        ("PLAINTEXT", "-"),
        ("SSL", "-"),
        *itertools.product(["SASL_PLAINTEXT", "SASL_SSL"], ["PLAIN", "SCRAM-SHA-256"]),
    ],
)
def test_every_listener_serves(kafka_server: KafkaServer, protocol: str, mechanism: str) -> None:
    """The same topic is read at each address by both libraries, encrypted or not, by either way to log in."""
    topic = kafka_server.new_topic()
    topic.produce([Message(b"1")])
    settings = kafka_server.kafka_python(protocol, ADMIN, mechanism)
    assert values(read_by_kafka_python(settings, topic)) == [b"1"]
    consumer = Consumer({**kafka_server.confluent(protocol, ADMIN, mechanism), "group.id": "nobody"})
    consumer.assign([TopicPartition(topic.name, 0, 0)])
    message = consumer.poll(60)
    consumer.close()
    assert message is not None
    assert message.value() == b"1"


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256"])
def test_a_wrong_password_is_refused(kafka_server: KafkaServer, mechanism: str) -> None:
    """Who logs in wrongly is told so by the broker."""
    errors: list[int] = []
    wrong = User(ADMIN.name, "wrong")
    settings = kafka_server.confluent("SASL_PLAINTEXT", wrong, mechanism)
    consumer = Consumer({**settings, "group.id": "nobody", "error_cb": lambda error: errors.append(error.code())})
    with pytest.raises(KafkaException):
        consumer.list_topics(timeout=3)
    consumer.poll(0)
    consumer.close()
    assert KafkaError._AUTHENTICATION in errors


def test_a_certificate_has_to_be_believed(kafka_server: KafkaServer) -> None:
    """A client that does not know who signed the broker's certificate gets no connection; one that does, does."""
    address = (kafka_server.host, kafka_server.ports["SSL"])
    for known, context in (
        (False, ssl.create_default_context()),
        (True, ssl.create_default_context(cafile=str(kafka_server.ca))),
    ):
        with socket.create_connection(address, timeout=30) as plain, ExitStack() as stack:
            if not known:
                stack.enter_context(pytest.raises(ssl.SSLCertVerificationError))
            stack.enter_context(context.wrap_socket(plain, server_hostname=kafka_server.host))


def test_who_has_no_right_is_refused(kafka_server: KafkaServer) -> None:
    """A user without a right to a topic is denied it, until it is given, and then has that one only."""
    from kafka import KafkaProducer
    from kafka.errors import TopicAuthorizationFailedError

    topic = kafka_server.new_topic()
    topic.produce([Message(b"1")])
    user = kafka_server.new_user()
    settings = kafka_server.kafka_python("SASL_PLAINTEXT", user, "SCRAM-SHA-256")
    for denied in (settings, kafka_server.kafka_python("SASL_SSL", STRANGER)):
        with pytest.raises(TopicAuthorizationFailedError):
            read_by_kafka_python(denied, topic)
    kafka_server.allow(user, "READ", topic)
    assert values(read_by_kafka_python(settings, topic)) == [b"1"]
    with (
        closing(KafkaProducer(**settings, enable_idempotence=False)) as producer,
        pytest.raises(TopicAuthorizationFailedError),
    ):
        producer.send(topic.name, b"2").get(30)


def test_topics_change(kafka_server: KafkaServer) -> None:
    """Partitions are added, beginnings deleted; a topic that is made anew has another id and starts at 0."""
    topic = kafka_server.new_topic()
    topic.produce(Message(b"%d" % n) for n in range(10))
    topic.truncate({0: 7})
    topic.add_partitions(3)
    assert topic.bounds() == {0: (7, 10), 1: (0, 0), 2: (0, 0)}
    topic.produce([Message(b"there", partition=2)])
    assert values(topic.committed()) == [b"7", b"8", b"9", b"there"]
    first = topic.id
    topic.delete()
    again = kafka_server.new_topic(name=topic.name)
    assert again.id != first
    assert again.bounds() == {0: (0, 0)}


def test_an_unknown_topic_is_not_made(kafka_server: KafkaServer) -> None:
    """Asking for a topic does not make it."""
    settings = {**kafka_server.confluent(), "group.id": "nobody", "allow.auto.create.topics": True}
    consumer = Consumer(settings)
    found = consumer.list_topics("nothing", timeout=60).topics["nothing"]
    consumer.close()
    assert found.error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART
    with kafka_server.admin() as admin:
        assert "nothing" not in admin.list_topics()


def test_the_log_is_cleaned(kafka_server: KafkaServer) -> None:
    """A compacted topic forgets all but the last of each key, and leaves gaps of offsets."""
    topic = kafka_server.new_topic(
        cleanup_policy="compact", segment_ms="100", min_cleanable_dirty_ratio="0.01", max_compaction_lag_ms="500"
    )
    deadline = time.monotonic() + 90
    topic.produce(Message(b"%d" % n, b"k%d" % (n % 3)) for n in range(300))
    while time.monotonic() < deadline:
        topic.produce([Message(b"roll", b"roll")])  # only what is behind the newest segment is compacted
        kept = [message for message in topic.committed() if message.key != b"roll"]
        if len(kept) == 3:
            break
        time.sleep(0.3)
    assert [(message.key, message.value, message.offset) for message in kept] == [
        (b"k0", b"297", 297),
        (b"k1", b"298", 298),
        (b"k2", b"299", 299),
    ]


def test_old_messages_are_forgotten(kafka_server: KafkaServer) -> None:
    """Retention moves the first offset on, by itself."""
    topic = kafka_server.new_topic(retention_ms="1000", segment_ms="200")
    topic.produce(Message(b"%d" % n, timestamp=1_000_000) for n in range(10))
    deadline = time.monotonic() + 90
    while topic.bounds()[0][0] < 10 and time.monotonic() < deadline:
        time.sleep(0.1)
    assert topic.bounds()[0][0] == 10


def test_segments_may_be_small(kafka_server: KafkaServer) -> None:
    """A topic that says so is cut into files of 16 kB, of which retention removes all but the last."""
    topic = kafka_server.new_topic(internal_segment_bytes="16384", retention_bytes="16384")
    topic.produce((Message(b"x" * 1000) for _ in range(100)), batch_size=4096)
    deadline = time.monotonic() + 90
    while topic.bounds()[0][0] < 50 and time.monotonic() < deadline:
        time.sleep(0.1)
    first, end = topic.bounds()[0]
    assert 50 <= first < end == 100


def test_stopped_and_killed_it_keeps_what_it_had(own_kafka: KafkaServer) -> None:
    """Stopped or killed, and started again, it has the same ports, topics, messages, users and rights."""
    topic = own_kafka.new_topic(partitions=2)
    user = own_kafka.new_user()
    own_kafka.allow(user, "READ", topic)
    with topic.transactions() as writer:
        writer.commit([Message(b"a", partition=0)])
        writer.abort([Message(b"b", partition=1)])
    before, cluster, id = topic.committed(), own_kafka.cluster, topic.id
    own_kafka.stop()
    own_kafka.start()
    assert (topic.committed(), own_kafka.cluster, topic.id) == (before, cluster, id)
    topic.produce([Message(b"c", partition=1)])
    own_kafka.kill()
    own_kafka.restart()
    settings = own_kafka.kafka_python("SASL_SSL", user, "SCRAM-SHA-256")
    assert values(topic.committed()) == values(read_by_kafka_python(settings, topic)) == [b"a", b"c"]
    assert resident(own_kafka) < 400 << 20


def resident(server: KafkaServer) -> int:
    """Return the bytes of memory that a broker holds."""
    import psutil

    return psutil.Process(server.process.pid).memory_info().rss


def test_paused_it_answers_nothing(own_kafka: KafkaServer) -> None:
    """Paused, it takes connections in and is silent; it goes on with all that it had."""
    topic = own_kafka.new_topic()
    topic.produce([Message(b"1")])
    own_kafka.pause()
    socket.create_connection((own_kafka.host, own_kafka.port), timeout=30).close()
    consumer = Consumer({**own_kafka.confluent(), "group.id": "nobody"})
    with pytest.raises(KafkaException):
        consumer.list_topics(timeout=2)
    consumer.close()
    own_kafka.resume()
    topic.produce([Message(b"2")])
    assert values(topic.committed()) == [b"1", b"2"]
