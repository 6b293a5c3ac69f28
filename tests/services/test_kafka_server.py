"""The Kafka that tests run against is a real one: what it promises, it keeps; what it refuses, it refuses."""

from __future__ import annotations

import pytest

from servers import KafkaServer, Message

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
