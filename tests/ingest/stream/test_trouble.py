"""Streams in trouble: odd records, brokers that hang, die and are slow, topics that go, stores that fail."""

from __future__ import annotations

import os
import shutil
import time

import pytest

import dataplat as dp
from dataplat.errors import StoreTimeout
from dataplat.lake.stores import StoreWrapper, open_store
from dataplat.versioning.lakefile import open_lake
from servers import KafkaServer, Message

pytestmark = pytest.mark.slow

MB = 1 << 20
HANGS = float(os.environ.get("DATAPLAT_HANGS", "6"))
"""Seconds that a broker hangs: longer than a client waits for an answer. `make proofs` has it hang for a minute."""


def events(*numbers, partitions=4, **more):
    """Return messages with an `n`, spread over partitions."""
    return [Message(b'{"n": %d}' % n, partition=n % partitions, **more) for n in numbers]


@pytest.fixture
def looking(monkeypatch):
    """Look at a followed topic often."""
    monkeypatch.setattr("dataplat.ingest._stream.LOOK_EVERY", 0.2)


# ---------------------------------------------------------------------------------------------------- odd records


def test_odd_values(kafka_server: KafkaServer, lake, client):
    """Null, empty, blank, broken, nested too deeply, no number: each is a reject with its bytes; the rest lands."""
    topic = kafka_server.new_topic()
    topic.produce([Message(b'{"n": 0}')])
    lake.ingest(topic.url, "events", client=client, keep=("offset",))
    deep = b'{"n": ' + b"[" * 5000 + b"]" * 5000 + b"}"
    odd = [
        None, b"", b"  ", b"{}x", b"[1]", b"3", b'"n"', b"\xff", b'{"n": 1', b'{"n": 1, "n": 2}', deep,
        b'{"n": 9}{"n": 10}', b'\xef\xbb\xbf{"n": 11}', b'{"n": NaN}', b'{"n": 1e999}', b"\x00", b'{"n": "x"}',
    ]  # fmt: skip
    good = {b'{"n": 7}\n': 7, b'{"n":\n8}': 8, b' {"n": 9} ': 9, b"{}": None, b'{"n": null}': None, b'{"m": 1}': None}
    topic.produce([Message(value) for value in (*odd, *good)])
    result = lake.ingest(topic.url, "events", client=client)
    assert (result.rows_added, result.rows_rejected) == (len(good), len(odd))
    rejects = lake["events.rejects"].to_arrow().sort_by("offset").to_pylist()
    assert [(row["offset"], row["raw"]) for row in rejects] == list(enumerate(odd, 1))
    assert all(row["error"] for row in rejects)
    assert rejects[1]["error"] == "no JSON: Expecting value at character 1 of the record"
    landed = lake["events"].to_arrow().sort_by("_offset").to_pylist()
    assert [row["n"] for row in landed] == [0, *good.values()]
    assert lake.verify_ingest("events").ok


def test_no_row_for_a_while(kafka_server: KafkaServer, lake, follow, numbers, until, client):
    """A topic that begins with what cannot be read is followed until a row comes; who stops before has done nothing."""
    topic = kafka_server.new_topic()
    topic.produce([Message(b"{"), Message(None)])
    assert follow(lake, topic.url, client=client, every=0.05).end().nothing_to_do
    follower = follow(lake, topic.url, client=client, every=0.05)
    until(lambda: any("following, 2 behind" in report.stage for report in follower.stages) or not follower.is_alive)
    time.sleep(0.5)
    topic.produce([Message(b'{"n": 1}')])
    until(lambda: numbers() == [1] or not follower.is_alive)
    result = follower.end()
    assert (result.rows_added, result.rows_rejected) == (1, 2)
    assert lake.verify_ingest("events").ok


def test_nothing_may_be_rejected(kafka_server: KafkaServer, lake, client):
    """With on_error "fail" the first record that is none stops the run, named by its place; nothing of it lands."""
    topic = kafka_server.new_topic(partitions=2)
    topic.produce([Message(b'{"n": 1}', partition=1), Message(b"{", partition=1)])
    with pytest.raises(dp.SourceError, match=rf"^{topic.name}\[1\]@1: no JSON: .* Nothing landed") as error:
        lake.ingest(topic.url, "events", client=client, on_error="fail")
    assert "--on-error reject" in str(error.value)
    assert "events" not in lake


def test_times_that_go_back(kafka_server: KafkaServer, lake, client):
    """Records are read by offset whatever their clock says."""
    topic = kafka_server.new_topic(message_timestamp_type="CreateTime")
    now = int(time.time() * 1000)
    times = [now, now - 3_600_000, now - 86_400_000, now - 1, 1]
    topic.produce([Message(b'{"n": %d}' % n, timestamp=at) for n, at in enumerate(times)])
    lake.ingest(topic.url, "events", client=client, keep=("timestamp", "offset"))
    rows = lake["events"].to_arrow().sort_by("n").to_pylist()
    assert [round(row["_timestamp"].timestamp() * 1000) for row in rows] == times
    assert [row["_offset"] for row in rows] == [0, 1, 2, 3, 4]


def test_messages_larger_than_the_budget(kafka_server: KafkaServer, lake, client):
    """One message of 20 MB, and values of 10 MB, go through a budget of 8 MB; so does what follows them."""
    topic = kafka_server.new_topic(max_message_bytes=str(32 * MB))
    large = [b'{"n": %d, "text": "%s"}' % (n, b"x" * size) for n, size in ((0, 20 * MB), (1, 10 * MB), (2, 10 * MB))]
    topic.produce([*(Message(value) for value in large), *events(*range(3, 100), partitions=1)])
    result = lake.ingest(topic.url, "events", client=client, budget=8 * MB)
    assert result.rows_added == 100
    lengths = lake["events"].to_arrow().sort_by("n").column("text").to_pylist()[:4]
    assert [None if text is None else len(text) for text in lengths] == [20 * MB, 10 * MB, 10 * MB, None]
    assert len(lake.log("events")) >= 3
    assert lake.verify_ingest("events").ok


def test_a_hot_partition_among_many(kafka_server: KafkaServer, lake, client, numbers):
    """Of 64 partitions one has most, and the budget is small: all are read, no commit has more bytes than it may."""
    topic = kafka_server.new_topic(partitions=64)
    fill = b"x" * 1000
    hot = [Message(b'{"n": %d, "fill": "%s"}' % (n, fill), partition=17) for n in range(20_000)]
    cold = [Message(b'{"n": %d, "fill": "%s"}' % (n, fill), partition=n % 64) for n in range(20_000, 22_560)]
    topic.produce([*hot, *cold])
    result = lake.ingest(topic.url, "events", client=client, budget=8 * MB)
    assert result.rows_added == 22_560
    assert numbers() == list(range(22_560))
    commits = [entry.rows_added for entry in lake.log("events")]
    assert max(commits) * 1000 < 8 * MB
    proof = lake.verify_ingest("events")
    assert proof.ok
    assert [part.records for part in proof.partitions] == [20_040 if p == 17 else 40 for p in range(64)]


def test_a_compacted_topic(kafka_server: KafkaServer, lake, client, until):
    """Offsets that compaction took away are no holes: the position goes over them."""
    topic = kafka_server.new_topic(
        cleanup_policy="compact",
        min_cleanable_dirty_ratio="0.001",
        internal_segment_bytes="16384",
        max_compaction_lag_ms="1",
    )
    for _ in range(20):
        topic.produce(
            [Message(b'{"n": %d, "fill": "%s"}' % (n, b"x" * 100), key=b"%d" % n) for n in range(50)], batch_size=4096
        )
    until(lambda: len(topic.committed()) < 1000, "compaction")
    left = {message.offset for message in topic.committed()}
    lake.ingest(topic.url, "events", client=client, keep=("offset",))
    landed = set(lake["events"].to_arrow().column("_offset").to_pylist())
    assert landed <= left  # it goes on while this is read
    assert max(landed) == 999
    proof = lake.verify_ingest("events")
    assert proof.ok
    assert (proof.partitions[0].end, proof.partitions[0].records) == (1000, len(landed))


# ------------------------------------------------------------------------------------------------------- brokers


def test_a_broker_that_hangs(own_kafka: KafkaServer, lake, follow, numbers, until, client):
    """A broker that answers nothing for a while is waited for, and it goes on where it was."""
    topic = own_kafka.new_topic(partitions=4)
    topic.produce(events(*range(100)))
    follower = follow(lake, topic.url, client=client, timeout=3.0)
    until(lambda: len(numbers()) == 100)
    own_kafka.pause()
    time.sleep(HANGS)
    assert follower.is_alive
    own_kafka.resume()
    topic.produce(events(*range(100, 200)))
    until(lambda: len(numbers()) == 200, "what came after")
    assert follower.end().rows_added == 200
    assert numbers() == list(range(200))
    assert lake.verify_ingest("events").ok


def test_a_broker_that_dies(own_kafka: KafkaServer, lake, follow, numbers, until, client, looking):
    """A broker that is killed and started again is gone on with, and nothing is doubled."""
    topic = own_kafka.new_topic(partitions=4)
    topic.produce(events(*range(100)))
    follower = follow(lake, topic.url, client=client, timeout=3.0)
    until(lambda: len(numbers()) == 100)
    own_kafka.kill()
    until(lambda: any("waiting" in report.stage for report in follower.stages) or not follower.is_alive, "a wait")
    own_kafka.start()
    topic.produce(events(*range(100, 200)))
    until(lambda: len(numbers()) == 200, "what came after")
    assert follower.end().rows_added == 200
    assert numbers() == list(range(200))
    assert lake.verify_ingest("events").ok


def test_a_slow_broker(kafka_server: KafkaServer, lake, client, numbers):
    """Far away, over a thin line, with connections that break: all lands once."""
    topic = kafka_server.new_topic(partitions=4)
    topic.produce([Message(b'{"n": %d, "fill": "%s"}' % (n, b"x" * 500), partition=n % 4) for n in range(4000)])
    with kafka_server.proxy() as proxy:
        proxy.latency, proxy.bandwidth = 0.05, 2_000_000
        proxy.cut_after(received=700_000)
        lake.ingest(f"kafka://{kafka_server.address('PROXY')}/{topic.name}", "events", client=client)
        assert proxy.received > 2_000_000
    assert numbers() == list(range(4000))
    assert lake.verify_ingest("events").ok


# -------------------------------------------------------------------------------------------------------- topics


def test_a_topic_deleted_while_it_is_followed(kafka_server, lake, follow, numbers, until, client, looking):
    """It ends, and says that the topic is not there."""
    topic = kafka_server.new_topic()
    topic.produce(events(*range(10), partitions=1))
    follower = follow(lake, topic.url, client=client)
    until(lambda: len(numbers()) == 10)
    topic.delete()
    follower.join()
    with pytest.raises(dp.SourceNotFound, match="has no topic"):
        follower.end()
    assert numbers() == list(range(10))


@pytest.mark.parametrize("on_gap", ["fail", "mark"])
def test_a_topic_made_again_while_it_is_followed(
    kafka_server, lake, follow, numbers, until, client, on_gap, monkeypatch
):
    """Another topic under the name is told, even where it has more records than the old one had: it stops, or marks it."""
    topic = kafka_server.new_topic()
    topic.produce(events(*range(10), partitions=1))
    follower = follow(lake, topic.url, client=client, on_gap=on_gap)
    until(lambda: len(numbers()) == 10)
    topic.delete()
    again = kafka_server.new_topic(name=topic.name)
    again.produce(events(*range(100, 130), partitions=1))
    if on_gap == "fail":
        monkeypatch.setattr("dataplat.ingest._stream.LOOK_EVERY", 0.2)
        follower.join()
        with pytest.raises(dp.SourceError):
            follower.end()
        assert numbers() == list(range(10))
        return
    until(lambda: len(numbers()) == 40 or not follower.is_alive, "the new topic")
    follower.end()
    assert numbers() == [*range(10), *range(100, 130)]
    assert [[hole.why for hole in part.holes] for part in lake.verify_ingest("events").partitions] == [
        [],
        ["recreated"],
    ]


def test_a_log_cut_back(own_kafka: KafkaServer, lake, follow, numbers, until, client):
    """A log that ends before the position stops it, and says so; with a mark it goes on, while it is followed, too."""
    topic = own_kafka.new_topic()
    topic.produce(events(*range(10), partitions=1))
    follower = follow(lake, topic.url, client=client, on_gap="mark", timeout=3.0)
    until(lambda: len(numbers()) == 10)
    own_kafka.stop()
    (log,) = own_kafka.folder.glob(f"data-*/{topic.name}-0")
    for file in log.iterdir():
        if file.name != "partition.metadata":
            file.unlink()
    own_kafka.start()
    holes = lambda: [hole for part in lake.verify_ingest("events").partitions for hole in part.holes]  # noqa: E731
    until(lambda: holes() or not follower.is_alive, "the mark", 40)
    topic.produce(events(*range(100, 105), partitions=1))
    until(lambda: 104 in numbers() or not follower.is_alive, "what came after", 40)
    follower.end()
    assert [hole.why for hole in holes()] == ["truncated"]
    assert numbers() == [*range(10), *range(100, 105)]


def test_a_log_cut_back_and_written_on(own_kafka: KafkaServer, lake, numbers):
    """What came at offsets that had been read before is not passed over: it goes on where the log was cut back."""
    topics = {client: own_kafka.new_topic() for client in ("kafka-python", "confluent")}
    for topic in topics.values():
        topic.produce(events(*range(6), partitions=1))
    own_kafka.stop()
    (data,) = own_kafka.folder.glob("data-*")
    for topic in topics.values():
        shutil.copytree(data / f"{topic.name}-0", own_kafka.folder / topic.name)
    own_kafka.start()
    for client, topic in topics.items():
        topic.produce(events(*range(6, 10), partitions=1))
        lake.ingest(topic.url, client, client=client, keep=("partition", "offset"))
    own_kafka.stop()
    for topic in topics.values():
        shutil.rmtree(data / f"{topic.name}-0")
        shutil.copytree(own_kafka.folder / topic.name, data / f"{topic.name}-0")
    own_kafka.start()
    for client, topic in topics.items():
        topic.produce(events(100, 101, 102, partitions=1))
        with pytest.raises(dp.SourceGap, match="read up to offset 10, and ends at 9 now"):
            lake.ingest(topic.url, client, client=client)
        lake.ingest(topic.url, client, client=client, on_gap="mark")
        assert numbers(client) == [*range(10), 100, 101, 102]
        proof = lake.verify_ingest(client)
        assert proof.ok
        assert [(part.begin, part.end, part.records) for part in proof.partitions] == [(0, 10, 10), (6, 9, 3)]
        assert [(hole.why, hole.begin, hole.end) for hole in proof.partitions[1].holes] == [("truncated", 10, 6)]
        assert lake.ingest(topic.url, client, client=client).nothing_to_do


def test_records_deleted_while_it_is_followed(kafka_server, lake, follow, numbers, until, client, looking):
    """Where retention takes what was read long ago nothing happens."""
    topic = kafka_server.new_topic()
    topic.produce(events(*range(10), partitions=1))
    follower = follow(lake, topic.url, client=client)
    until(lambda: len(numbers()) == 10)
    topic.truncate({0: 10})
    topic.produce(events(*range(10, 20), partitions=1))
    until(lambda: len(numbers()) == 20)
    follower.end()
    assert lake.verify_ingest("events").ok


def test_partitions_added_while_nothing_comes(kafka_server, lake, follow, numbers, until, client, looking):
    """A partition that comes while the topic is silent is read, though nothing comes of the others."""
    topic = kafka_server.new_topic(partitions=1)
    topic.produce(events(*range(10), partitions=1))
    follower = follow(lake, topic.url, client=client)
    until(lambda: len(numbers()) == 10)
    topic.add_partitions(2)
    topic.produce([Message(b'{"n": %d}' % n, partition=1) for n in range(10, 20)])
    until(lambda: len(numbers()) == 20, "the new partition")
    follower.end()
    assert lake.verify_ingest("events").ok


# -------------------------------------------------------------------------------------------------------- stores


class Failing(StoreWrapper):
    """A store that answers nothing while it is told to."""

    down = False
    refused = 0

    def _call(self, operation, key, call, sent=None):
        if self.down:
            self.refused += 1
            raise StoreTimeout(f"no answer to {operation} {key}")
        return call()


def test_a_store_that_fails_for_a_while(kafka_server, lake, follow, numbers, until, tmp_path):
    """A store that does not answer is waited for; what was read meanwhile lands once."""
    topic = kafka_server.new_topic(partitions=4)
    topic.produce(events(*range(100)))
    store = Failing(open_store(str(tmp_path / ".dataplat")))
    failing = dp.Lake(store, open_lake(store).id, "failing")
    follower = follow(failing, topic.url)
    until(lambda: len(numbers()) == 100)
    store.down = True
    topic.produce(events(*range(100, 200)))
    until(lambda: any("waiting" in report.stage for report in follower.stages), "a wait")
    assert len(numbers()) == 100
    store.down = False
    until(lambda: len(numbers()) == 200, "what came meanwhile")
    follower.end()
    assert store.refused > 0
    assert numbers() == list(range(200))
    assert lake.verify_ingest("events").ok
