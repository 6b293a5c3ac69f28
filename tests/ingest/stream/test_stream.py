"""A real topic becomes versions: exactly once, by positions that are in the commits."""

from __future__ import annotations

import json
import threading
import time

import pyarrow as pa
import pytest

import dataplat as dp
from servers import KafkaServer, Message

pytestmark = pytest.mark.slow

CLIENTS = ("kafka-python", "confluent")


@pytest.fixture
def lake(tmp_path):
    """Return a lake on the disk."""
    return dp.open(tmp_path / "lake")


@pytest.fixture(params=CLIENTS)
def client(request):
    """Name each client library."""
    return request.param


def events(*numbers, **fields):
    """Return messages of JSON objects with an `n`."""
    return [Message(json.dumps({"n": n, **fields}).encode(), partition=n % 4) for n in numbers]


def numbers(lake, dataset="events"):
    """Return the `n` of all rows, in order."""
    return sorted(lake[dataset].to_arrow(columns=["n"]).column("n").to_pylist())


def test_to_its_end(kafka_server: KafkaServer, lake, client):
    """What a topic holds lands once, and the same command again lands only what came since."""
    topic = kafka_server.new_topic(partitions=4)
    topic.produce(events(*range(1000)))
    first = lake.ingest(topic.url, "events", client=client)
    assert (first.rows_added, first.commit is not None) == (1000, True)
    again = lake.ingest(topic.url, "events", client=client)
    assert again.nothing_to_do
    topic.produce(events(*range(1000, 1100)))
    assert lake.ingest(topic.url, "events", client=client).rows_added == 100
    assert numbers(lake) == list(range(1100))
    proof = lake.verify_ingest("events")
    assert proof.ok
    assert [part.records for part in proof.partitions] == [275] * 4


def test_either_client_goes_on_where_the_other_stopped(kafka_server: KafkaServer, lake):
    """Positions are the same whichever library wrote them down."""
    topic = kafka_server.new_topic(partitions=4)
    for i, client in enumerate((*CLIENTS, *CLIENTS)):
        topic.produce(events(*range(100 * i, 100 * i + 100)))
        assert lake.ingest(topic.url, "events", client=client).rows_added == 100
    assert numbers(lake) == list(range(400))
    assert lake.verify_ingest("events").ok


def test_aborted_records_never_land(kafka_server: KafkaServer, lake, client):
    """Of transactions only committed records land, and a run ends where one is open."""
    topic = kafka_server.new_topic(partitions=4)
    with topic.transactions() as writer:
        writer.commit(events(1, 2, 3))
        writer.abort(events(4, 5, 6))
        writer.commit(events(7))
        writer.abort(events(8))
        lake.ingest(topic.url, "events", client=client)
        assert numbers(lake) == [1, 2, 3, 7]
        writer.begin(events(9, 10))
        assert lake.ingest(topic.url, "events", client=client).rows_added == 0
        writer.producer.commit_transaction(60)
    assert lake.ingest(topic.url, "events", client=client).rows_added == 2
    assert numbers(lake) == [1, 2, 3, 7, 9, 10]
    assert lake.ingest(topic.url, "events", client=client).nothing_to_do
    assert lake.verify_ingest("events").ok


def test_uncommitted_records_where_they_are_asked_for(kafka_server: KafkaServer, lake, client):
    """With isolation read_uncommitted aborted records land, too."""
    topic = kafka_server.new_topic(partitions=4)
    with topic.transactions() as writer:
        writer.commit(events(1, 2))
        writer.abort(events(3))
    lake.ingest(topic.url, "events", client=client, isolation="read_uncommitted")
    assert numbers(lake) == [1, 2, 3]


def test_parts_of_a_record_are_kept(kafka_server: KafkaServer, lake, client):
    """Key, partition, offset, timestamp and headers become columns, and go on being kept without being named again."""
    topic = kafka_server.new_topic(partitions=2, retention_ms="-1")
    headers = (("h", b"v"), ("empty", None))
    topic.produce([Message(b'{"n": 1}', key=b"k", partition=1, timestamp=1_700_000_000_123, headers=headers)])
    keep = ("key", "partition", "offset", "timestamp", "headers")
    lake.ingest(topic.url, "events", client=client, keep=keep)
    topic.produce([Message(b'{"n": 2}', partition=0)])
    lake.ingest(topic.url, "events", client=client)
    rows = lake["events"].to_arrow().sort_by("n").to_pylist()
    assert (rows[0]["_key"], rows[0]["_partition"], rows[0]["_offset"]) == (b"k", 1, 0)
    assert rows[0]["_timestamp"].isoformat() == "2023-11-14T22:13:20.123000+00:00"
    assert rows[0]["_headers"] == [{"name": "h", "value": b"v"}, {"name": "empty", "value": None}]
    assert (rows[1]["_key"], rows[1]["_partition"], rows[1]["_headers"]) == (None, 0, [])


def test_cuts_by_rows(kafka_server: KafkaServer, lake, client):
    """A commit holds as many records as it may, and all of them together each record once."""
    topic = kafka_server.new_topic(partitions=4)
    topic.produce(events(*range(1000)))
    told = []
    result = lake.ingest(topic.url, "events", client=client, rows=300, progress=told.append)
    assert result.rows_in == 1000
    assert [step.rows for step in told] == sorted(step.rows for step in told)
    assert len(lake.log("events")) >= 3
    assert max(entry.rows_added for entry in lake.log("events")) <= 300
    assert numbers(lake) == list(range(1000))
    assert lake.verify_ingest("events").ok


def test_partitions_that_were_paused_go_on(kafka_server: KafkaServer, lake, client):
    """Where partitions are paused since they have their share of a small budget, all of them are read to the end."""
    topic = kafka_server.new_topic(partitions=4)
    topic.produce(Message(b'{"n": %d, "text": "%s"}' % (n, b"x" * 140), partition=n % 4) for n in range(122_000))
    lake.ingest(topic.url, "events", client=client, budget=16 << 20)
    assert lake["events"].rows == 122_000
    assert lake.verify_ingest("events").ok


def test_rejects_land_with_the_rest(kafka_server: KafkaServer, lake, client):
    """What is no row waits in the rejects with its bytes and place, in the same commit."""
    topic = kafka_server.new_topic(partitions=1)
    good = [Message(b'{"n": %d}' % n) for n in range(20)]
    topic.produce([*good, Message(b"\xff\xfe", key=b"odd"), Message(b"{"), Message(None, key=b"gone")])
    result = lake.ingest(topic.url, "events", client=client)
    assert (result.rows_added, result.rows_rejected) == (20, 3)
    rejects = lake["events.rejects"].to_arrow().sort_by("offset").to_pylist()
    assert [(row["partition"], row["offset"], row["key"], row["raw"]) for row in rejects] == [
        (0, 20, b"odd", b"\xff\xfe"),
        (0, 21, None, b"{"),
        (0, 22, b"gone", None),
    ]
    assert "not UTF-8" in rejects[0]["error"]
    assert rejects[0]["topic"] == topic.name
    assert lake["events"].commit.id == lake["events.rejects"].commit.id


def test_too_many_rejects_stop_it(kafka_server: KafkaServer, lake, client):
    """Where more records are none than was allowed, nothing of them lands, and the error shows the first."""
    topic = kafka_server.new_topic(partitions=1)
    topic.produce([*(Message(b'{"n": %d}' % n) for n in range(50)), *(Message(b"no json") for _ in range(50))])
    with pytest.raises(dp.SourceError, match=r"50 of 100 records cannot be read.*@50"):
        lake.ingest(topic.url, "events", client=client, max_rejects=0.4)
    assert "events" not in lake
    assert lake.ingest(topic.url, "events", client=client, max_rejects=0.5).rows_added == 50


def test_kinds_from_one_cut_to_the_next(kafka_server: KafkaServer, lake):
    """What the first cut of a run made of a column it is in the next ones; with a later fraction it is one of floats."""
    topic = kafka_server.new_topic(partitions=1)
    topic.produce([Message(b'{"n": %d}' % n) for n in range(50)])
    topic.produce([Message(b'{"n": %d.0}' % n) for n in range(50)])
    result = lake.ingest(topic.url, "events", rows=50)
    assert lake["events"].schema.field("n").type == pa.int64()
    topic.produce([Message(b'{"n": %d}' % n) for n in range(50)])
    topic.produce([Message(b'{"n": %d.5}' % n) for n in range(50)])
    topic.produce([Message(b'{"n": %d}' % n) for n in range(50)])
    result = lake.ingest(topic.url, "events", rows=50)
    assert (result.rows_added, result.rows_rejected) == (150, 0)
    assert lake["events"].schema.field("n").type == pa.float64()


def test_large_integers_beside_fractions(kafka_server: KafkaServer, lake):
    """An integer that is no float does not become one: where fractions come first it goes aside, else they do."""
    large = b'{"n": 9007199254740993}'
    topic = kafka_server.new_topic(partitions=2)
    topic.produce([Message(large, partition=0), Message(b'{"n": 0.5}', partition=1)])
    result = lake.ingest(topic.url, "events")
    assert (result.rows_added, result.rows_rejected) == (1, 1)


def test_two_ingesters(kafka_server: KafkaServer, lake):
    """Of two that read one topic into one dataset, the slower one stops, and nothing is doubled."""
    topic = kafka_server.new_topic(partitions=4)
    topic.produce(events(*range(100)))
    stops, errors = [threading.Event(), threading.Event()], []

    def follow(stop):
        try:
            lake.ingest(topic.url, "events", follow=True, every=0.2, stop=stop)
        except dp.PositionConflict as error:
            errors.append(error)
            stop.set()

    threads = [threading.Thread(target=follow, args=(stop,)) for stop in stops]
    for thread in threads:
        thread.start()
    until, n = time.monotonic() + 60, 100
    while not errors and time.monotonic() < until:
        topic.produce(events(*range(n, n + 20)))
        n += 20
    for stop in stops:
        stop.set()
    for thread in threads:
        thread.join(60)
    assert len(errors) == 1
    assert "another one reads the same topic" in str(errors[0]) or "was read by somebody else" in str(errors[0])
    lake.ingest(topic.url, "events")
    assert numbers(lake) == list(range(n))
    assert lake.verify_ingest("events").ok


def test_partitions_added_while_it_is_followed(kafka_server: KafkaServer, lake, monkeypatch):
    """A partition that comes later is read from its first record on."""
    monkeypatch.setattr("dataplat.ingest._stream.LOOK_EVERY", 0.2)
    topic = kafka_server.new_topic(partitions=2)
    stop = threading.Event()
    thread = threading.Thread(
        target=lake.ingest, args=(topic.url, "events"), kwargs={"follow": True, "every": 0.2, "stop": stop}
    )
    thread.start()
    topic.produce([Message(b'{"n": %d}' % n, partition=n % 2) for n in range(10)])
    topic.add_partitions(5)
    topic.produce([Message(b'{"n": %d}' % n, partition=n % 5) for n in range(10, 60)])
    until, n = time.monotonic() + 60, 60
    while time.monotonic() < until and not ("events" in lake and set(range(10, 60)) <= set(numbers(lake))):
        topic.produce([Message(b'{"n": %d}' % n, partition=0)])
        n += 1
        time.sleep(0.1)
    stop.set()
    thread.join(60)
    lake.ingest(topic.url, "events")
    assert numbers(lake) == list(range(n))
    assert len(lake.verify_ingest("events").partitions) == 5


def test_partitions_of_ones_own(kafka_server: KafkaServer, lake):
    """Processes that read partitions of their own go into one dataset side by side."""
    topic = kafka_server.new_topic(partitions=4)
    topic.produce(events(*range(100)))
    lake.ingest(topic.url, "events", partitions=(0, 1))
    assert numbers(lake) == [n for n in range(100) if n % 4 < 2]
    lake.ingest(topic.url, "events", partitions=(2, 3))
    assert numbers(lake) == list(range(100))
    with pytest.raises(dp.ConfigError, match="no partition 4"):
        lake.ingest(topic.url, "events", partitions=(4,))


@pytest.mark.parametrize("on_gap", ["fail", "mark"])
def test_records_that_retention_took(kafka_server: KafkaServer, lake, client, on_gap):
    """Where records are gone before they were read it stops and says so, or goes on and writes the hole down."""
    topic = kafka_server.new_topic(partitions=1)
    topic.produce([Message(b'{"n": %d}' % n) for n in range(10)])
    lake.ingest(topic.url, "events", client=client)
    topic.produce([Message(b'{"n": %d}' % n) for n in range(10, 20)])
    topic.truncate({0: 15})
    if on_gap == "fail":
        with pytest.raises(dp.SourceGap, match="from offset 10 up to 15 are gone"):
            lake.ingest(topic.url, "events", client=client)
        return
    result = lake.ingest(topic.url, "events", client=client, on_gap="mark")
    assert result.rows_added == 5
    assert result.notes == (f"{topic.name}[0]: a gap is marked: offsets 10 up to 15 are gone",)
    (part,) = lake.verify_ingest("events").partitions
    assert [(hole.begin, hole.end, hole.why) for hole in part.holes] == [(10, 15, "retention")]
    assert lake.ingest(topic.url, "events", client=client).nothing_to_do


@pytest.mark.parametrize("on_gap", ["fail", "mark"])
def test_a_topic_made_again(kafka_server: KafkaServer, lake, client, on_gap):
    """A topic of the same name with another id is another topic: it stops, or begins it and writes that down."""
    topic = kafka_server.new_topic(partitions=1)
    topic.produce([Message(b'{"n": %d}' % n) for n in range(10)])
    lake.ingest(topic.url, "events", client=client)
    topic.delete()
    again = kafka_server.new_topic(partitions=1, name=topic.name)
    again.produce([Message(b'{"n": %d}' % n) for n in range(100, 120)])
    if on_gap == "fail":
        with pytest.raises(dp.SourceGap, match="deleted and made again"):
            lake.ingest(topic.url, "events", client=client)
        return
    result = lake.ingest(topic.url, "events", client=client, on_gap="mark")
    assert result.rows_added == 20
    assert [note for note in result.notes if "made anew" in note] == list(result.notes)
    assert numbers(lake) == [*range(10), *range(100, 120)]
    old, new = lake.verify_ingest("events").partitions
    assert (old.begin, old.end, old.records, old.holes) == (0, 10, 10, ())
    assert (new.begin, new.end, new.records) == (0, 20, 20)
    assert old.topic_id != new.topic_id
    assert [(hole.why, hole.begin, hole.end) for hole in new.holes] == [("recreated", 10, 0)]


def test_an_empty_topic(kafka_server: KafkaServer, lake, client):
    """Nothing in it is nothing to do."""
    topic = kafka_server.new_topic(partitions=3)
    assert lake.ingest(topic.url, "events", client=client).nothing_to_do
    assert "events" not in lake


def test_no_such_topic(kafka_server: KafkaServer, lake, client):
    """A topic that is not there is named."""
    with pytest.raises(dp.SourceNotFound, match="has no topic 'nowhere'"):
        lake.ingest(f"kafka://{kafka_server.bootstrap}/nowhere", "events", client=client)


def test_nobody_there(lake, client):
    """A broker that is not there is one clear error in time."""
    began = time.monotonic()
    with pytest.raises(dp.SourceUnreachable, match="no broker at 127.0.0.1:1 answers within 1 s"):
        lake.ingest("kafka://127.0.0.1:1/events", "events", client=client, timeout=1)
    assert time.monotonic() - began < 15


def test_a_plan(kafka_server: KafkaServer, lake):
    """A plan says where each partition goes on and what columns come, and writes nothing."""
    topic = kafka_server.new_topic(partitions=2)
    topic.produce([Message(b'{"n": %d, "word": "x"}' % n, partition=n % 2) for n in range(10)])
    plan = lake.plan_ingest(topic.url, "events", keep=("offset",))
    assert [split.label for split in plan.to_read] == [f"{topic.name}[{p}] from offset 0 to 5" for p in (0, 1)]
    assert plan.schema.names == ["n", "word", "_offset"]
    assert "events" not in lake


def test_a_contract_that_does_not_hold(kafka_server: KafkaServer, lake):
    """Rows that fail their contract wait in quarantine; the others land, and the positions with them."""
    import pandera.polars as pandera

    topic = kafka_server.new_topic(partitions=1)
    topic.produce([Message(b'{"n": %d}' % n) for n in range(10)])
    contract = pandera.DataFrameSchema({"n": pandera.Column(int, pandera.Check.lt(8))})
    result = lake.ingest(topic.url, "events", contract=contract)
    assert (result.rows_added, result.rows_quarantined) == (8, 2)
    assert lake.ingest(topic.url, "events", contract=contract).nothing_to_do


def test_upsert_takes_the_last_of_a_key(kafka_server: KafkaServer, lake):
    """In an upsert the later record of a key wins, within a commit and across commits."""
    topic = kafka_server.new_topic(partitions=1)
    topic.produce([Message(b'{"id": %d, "n": %d}' % (i % 3, i)) for i in range(10)])
    lake.ingest(topic.url, "state", mode="upsert", key="id")
    assert sorted(lake["state"].to_arrow().column("n").to_pylist()) == [7, 8, 9]
    topic.produce([Message(b'{"id": 1, "n": 100}')])
    lake.ingest(topic.url, "state", mode="upsert")
    assert sorted(lake["state"].to_arrow().column("n").to_pylist()) == [8, 9, 100]
