"""kafka-python polls in a process of its own: it keeps the contract of clients, and its death costs nothing."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

import dataplat as dp
from dataplat.connectors.kafka import locate, open_client
from servers import KafkaServer, Message

pytestmark = pytest.mark.slow


def events(*numbers, partitions=4):
    """Return messages with an `n`, spread over partitions."""
    return [Message(b'{"n": %d}' % n, partition=n % partitions) for n in numbers]


def children(pid):
    """Return the processes that one has started."""
    found = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for one in found for child in one.read_text("ascii").split()]


def is_there(pid):
    """Whether a process runs (and is not only remembered)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def readers(before=()):
    """Return the processes of this one that poll."""
    found = [child for child in children(os.getpid()) if child not in before]
    return [child for child in found if b"_polling" in Path(f"/proc/{child}/cmdline").read_bytes()]


def poll(client, times):
    """Poll so often, whatever comes."""
    for _ in range(times):
        client.poll(0.2, 100)


@pytest.fixture
def opened(kafka_server: KafkaServer):
    """Return a function that opens a topic by a client that polls ahead."""
    clients = []

    def start(topic, **options):
        clients.append(open_client(locate(topic.url), ahead=True, **options))
        return clients[-1]

    yield start
    for client in clients:
        client.close()


def test_all_comes_once_and_in_order(kafka_server, opened):
    """Whatever is asked for at a time, each partition gives its records in order, no poll more than it may."""
    topic = kafka_server.new_topic(partitions=2)
    topic.produce(events(*range(1000), partitions=2))
    client = opened(topic)
    assert client.topic().partitions == (0, 1)
    assert {p: bounds.end for p, bounds in client.bounds([0, 1]).items()} == {0: 500, 1: 500}
    client.seek({0: 0, 1: 100})
    came: dict[int, list[int]] = {0: [], 1: []}
    most = [1, 300, 7, 50, 1000, 3]
    while sum(map(len, came.values())) < 900:
        most.append(most.pop(0))
        polled = client.poll(0.2, most[0])
        assert sum(map(len, polled)) <= most[0]
        for records in polled:
            came[records.partition] += records.offsets.tolist()
            assert client.positions()[records.partition] == records.offsets[-1] + 1
    assert came == {0: list(range(500)), 1: list(range(100, 500))}
    assert client.positions() == {0: 500, 1: 500}


def test_a_paused_partition_gives_nothing(kafka_server, opened):
    """Not even what was polled ahead of the pause comes; it comes when it is resumed, and so does all after it."""
    topic = kafka_server.new_topic(partitions=2)
    topic.produce(events(*range(1000), partitions=2))
    client = opened(topic)
    client.seek({0: 0, 1: 0})
    came: dict[int, list[int]] = {0: [], 1: []}

    def take():
        for records in client.poll(0.05, 60):
            came[records.partition] += records.offsets.tolist()

    while not came[0]:
        take()
    client.pause([0])
    paused_at = client.positions()[0]
    assert paused_at == len(came[0])
    while len(came[1]) < 500:
        take()
    take()
    assert (len(came[0]), client.positions()[0]) == (paused_at, paused_at)
    client.resume([0])
    while len(came[0]) < 500:
        take()
    assert came == {0: list(range(500)), 1: list(range(500))}


def test_seeking_forgets_what_was_polled_ahead(kafka_server, opened):
    """After a seek records come from where it says, whatever was under way."""
    topic = kafka_server.new_topic()
    topic.produce(events(*range(100), partitions=1))
    client = opened(topic)
    for start in (0, 90, 40):
        client.seek({0: start})
        polled = []
        while not polled:
            polled = client.poll(0.2, 5)
        assert polled[0].offsets[0] == start


def test_errors_are_those_of_the_library(kafka_server, opened):
    """What the process runs into is raised here, as its kind: a gap, a topic that is not there."""
    topic = kafka_server.new_topic()
    topic.produce(events(1, 2, 3, partitions=1))
    client = opened(topic)
    client.seek({0: 1000})
    with pytest.raises(dp.SourceGap, match="--on-gap mark"):
        poll(client, 100)
    unknown = opened(topic.__class__(kafka_server, "not-there"))
    with pytest.raises(dp.SourceNotFound, match="has no topic 'not-there'"):
        unknown.topic()


def test_a_reader_that_dies(kafka_server, opened):
    """It is one error, which says how, and nothing of it is left behind."""
    topic = kafka_server.new_topic()
    topic.produce(events(1, partitions=1))
    client = opened(topic)
    client.seek({0: 0})
    (reader,) = readers()
    os.kill(reader, signal.SIGKILL)
    with pytest.raises(dp.SourceUnreachable, match="ended by SIGKILL"):
        poll(client, 10)
    assert readers() == []


def test_readers_that_die_while_a_topic_is_followed(kafka_server, lake, follow, numbers, until):
    """Another one takes over, from the head of the branch: each record lands once."""
    topic = kafka_server.new_topic(partitions=4)
    before = readers()
    follower = follow(lake, topic.url)
    for n in range(0, 300, 100):
        topic.produce(events(*range(n, n + 100)))
        until(lambda: len(numbers()) >= n + 50, "half of it")  # noqa: B023 (called at once)
        for reader in readers(before):
            os.kill(reader, signal.SIGKILL)
        until(lambda: len(numbers()) == n + 100, "all of it")  # noqa: B023 (called at once)
    assert follower.end().rows_added == 300
    assert numbers() == list(range(300))
    assert lake.verify_ingest("events").ok
    assert readers(before) == []


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_no_reader_outlives_its_command(kafka_server, command, lake, numbers, until, number):
    """Killed or ended in order, the command leaves no process; SIGTERM may go to both, as from a terminal or service."""
    topic = kafka_server.new_topic(partitions=4)
    topic.produce(events(*range(100)))
    following = command("ingest", topic.url, "--into", "events", "--follow", "--every", "200ms")
    until(lambda: len(numbers()) == 100)
    (reader,) = children(following.process.pid)
    if number == signal.SIGTERM:
        os.kill(reader, number)
        topic.produce(events(*range(100, 200)))
        until(lambda: len(numbers()) == 200)
        assert is_there(reader)
    code, _, complained = following.end(number)
    assert code == (0 if number == signal.SIGTERM else -signal.SIGKILL), complained
    assert "Traceback" not in complained
    until(lambda: not is_there(reader), "the end of the reader", 10)
