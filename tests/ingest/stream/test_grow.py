"""Columns of a dataset that is followed become wider: integers become floats, where all that landed allows it."""

from __future__ import annotations

import json

import pyarrow as pa
import pytest

from dataplat._lake import Lake
from dataplat.errors import SchemaMismatch
from dataplat.ingest._draft import carry_out
from dataplat.ingest._grow import GrowStep
from dataplat.ingest._progress import Meter
from dataplat.lake.stores import MemoryStore
from dataplat.testing.store_faults import CrashStore, SimulatedCrash
from dataplat.versioning.lakefile import create_lake
from servers import KafkaServer, Message

pytestmark = pytest.mark.slow

LARGE = 2**53 + 1  # no float


def messages(*rows):
    """Return rows as messages of JSON."""
    return [Message(json.dumps(row).encode()) for row in rows]


def kinds(lake, dataset="events"):
    """Return the types of a dataset's columns."""
    return {field.name: field.type for field in lake[dataset].schema}


def rejected(lake, dataset="events"):
    """Return which column is to blame of which record."""
    if f"{dataset}.rejects" not in lake:
        return []
    rows = lake[f"{dataset}.rejects"].to_arrow().sort_by("offset").to_pylist()
    return [(row["offset"], row["column"]) for row in rows]


def test_integers_become_floats(kafka_server: KafkaServer, lake, client):
    """A float after integers have landed makes the column one of floats; the rows are those that floats would be."""
    topic = kafka_server.new_topic()
    topic.produce(messages({"n": 1, "m": 1}, {"n": 2**53, "m": 2}))
    lake.ingest(topic.url, "events", client=client)
    topic.produce(messages({"n": 3, "m": 3}, {"n": 1.5, "m": 4}, {"n": None, "m": 5}))
    result = lake.ingest(topic.url, "events", client=client)
    assert (result.rows_added, result.rows_rejected) == (3, 0)
    assert "column n is float64 from now on: 2 rows were written anew" in result.notes
    rows = [(1.0, 1), (2.0**53, 2), (3.0, 3), (1.5, 4), (None, 5)]
    assert kinds(lake) == {"n": pa.float64(), "m": pa.int64()}
    assert lake["events"].to_arrow().to_pylist() == [{"n": n, "m": m} for n, m in rows]
    lake.ingest(pa.table({"n": pa.array([n for n, _ in rows]), "m": pa.array([m for _, m in rows])}), "floats")
    assert lake["events"].content_id == lake["floats"].content_id
    assert lake.verify_ingest("events").ok
    assert not lake.verify().problems


def test_integers_that_are_no_floats_stay(kafka_server: KafkaServer, lake, client):
    """Where an integer that landed, or comes in the same commit, is no float, floats are rejects that name the column."""
    topic = kafka_server.new_topic()
    topic.produce(messages({"n": LARGE, "m": 1}))
    lake.ingest(topic.url, "events", client=client)
    topic.produce(messages({"n": 1.5, "m": 2}, {"n": 2, "m": LARGE}, {"n": 3.0, "m": 3}, {"n": 4, "m": 3.5}))
    lake.ingest(topic.url, "events", client=client, rows=1)
    assert kinds(lake) == {"n": pa.int64(), "m": pa.int64()}
    assert lake["events"].to_arrow().to_pylist() == [
        {"n": LARGE, "m": 1},
        {"n": 2, "m": LARGE},
        {"n": 3, "m": 3},
    ]
    assert rejected(lake) == [(1, "n"), (4, "m")]
    assert lake.verify_ingest("events").ok


def test_keys_and_named_types_stay(kafka_server: KafkaServer, lake, client):
    """A column of the key keeps its type, and so does one whose type was named; others beside it become floats."""
    topic = kafka_server.new_topic()
    topic.produce(messages({"k": 1, "n": 1}))
    how = {"client": client, "key": ["k"], "mode": "upsert"}
    lake.ingest(topic.url, "events", **how)
    topic.produce(messages({"k": 1, "n": 2.5}, {"k": 1.5, "n": 3}))
    lake.ingest(topic.url, "events", **how)
    assert kinds(lake) == {"k": pa.int64(), "n": pa.float64()}
    assert lake["events"].to_arrow().to_pylist() == [{"k": 1, "n": 2.5}]
    assert rejected(lake) == [(2, "k")]
    schema = {"k": "int64", "n": "int64"}
    lake.ingest(topic.url, "named", client=client, schema=schema)
    assert kinds(lake, "named") == {"k": pa.int64(), "n": pa.int64()}
    assert [column for _, column in rejected(lake, "named")] == ["n", "k"]


def test_while_it_is_followed(kafka_server: KafkaServer, lake, follow, numbers, until, client):
    """Floats among integers, commit after commit and partition by partition: all land once."""
    topic = kafka_server.new_topic(partitions=4)
    follower = follow(lake, topic.url, client=client, every=0.05)
    wanted = []
    for n in range(0, 200, 20):
        some = [m + 0.5 if m >= 100 and m % 7 == 0 else m for m in range(n, n + 20)]
        topic.produce([Message(b'{"n": %s}' % str(m).encode(), partition=i % 4) for i, m in enumerate(some)])
        wanted += some
        until(lambda: len(numbers()) == n + 20 or not follower.is_alive)  # noqa: B023 (called at once)
    assert follower.end().rows_rejected == 0
    assert numbers() == sorted(wanted)
    assert kinds(lake) == {"n": pa.float64()}
    assert lake.verify_ingest("events").ok


def test_somebody_else_was_faster(kafka_server: KafkaServer, lake, client, monkeypatch):
    """Where an integer that is no float has landed since it was looked, the floats are read anew, and are rejects."""
    topic = kafka_server.new_topic()
    topic.produce(messages({"n": 1}))
    lake.ingest(topic.url, "events", client=client)

    def look(*_):
        lake.ingest(pa.table({"n": [LARGE]}), "events")
        return True

    monkeypatch.setattr("dataplat.ingest._stream.may_grow", look)
    topic.produce(messages({"n": 1.5}, {"n": 2}))
    lake.ingest(topic.url, "events", client=client)
    assert lake["events"].to_arrow().to_pylist() == [{"n": 1}, {"n": LARGE}, {"n": 2}]
    assert rejected(lake) == [(1, "n")]
    assert lake.verify_ingest("events").ok


def test_others_who_never_pause(kafka_server: KafkaServer, lake, monkeypatch):
    """Where others commit faster than the rows can be written anew, floats are rejects, and the run goes on."""
    topic = kafka_server.new_topic()
    topic.produce(messages({"n": 1}))
    lake.ingest(topic.url, "events")
    before = GrowStep.run

    def run(self, draft):
        found = before(self, draft)
        lake.ingest(pa.table({"n": [7]}), "events")
        return found

    monkeypatch.setattr(GrowStep, "run", run)
    topic.produce(messages({"n": 1.5}, {"n": 2}))
    result = lake.ingest(topic.url, "events")
    assert (result.rows_added, result.rows_rejected) == (1, 1)
    assert kinds(lake) == {"n": pa.int64()}
    assert rejected(lake) == [(1, "n")]


def test_columns_that_others_change(kafka_server: KafkaServer, lake, follow, numbers, until, client):
    """A column that somebody adds or drops while it is followed does not end it."""
    topic = kafka_server.new_topic()
    topic.produce(messages({"n": 1, "m": 1}))
    follower = follow(lake, topic.url, client=client)
    until(lambda: len(numbers()) == 1)
    lake.evolve("events", add={"k": "string"}, drop=["m"])
    topic.produce(messages({"n": 2}))
    until(lambda: len(numbers()) == 2 or not follower.is_alive)
    topic.produce(messages({"n": 3, "k": "x"}))
    until(lambda: len(numbers()) == 3 or not follower.is_alive)
    follower.end()
    assert lake["events"].to_arrow().to_pylist() == [
        {"n": 1, "k": None},
        {"n": 2, "k": None},
        {"n": 3, "k": "x"},
    ]
    assert lake.verify_ingest("events").ok


def test_it_is_proven(lake):
    """No column of integers becomes one of floats where one of them is none: nothing is committed then."""
    lake.ingest(pa.table({"n": [1, 2**62, LARGE]}), "events")
    before = lake["events"]
    with pytest.raises(SchemaMismatch, match="'n', row 3: 9007199254740993"):
        carry_out(lake, "main", "", GrowStep("events", ["n"], Meter(None)))
    assert lake["events"].id == before.id
    lake.ingest(pa.table({"n": [1, 2**62]}), "others")
    assert carry_out(lake, "main", "", GrowStep("others", ["n"], Meter(None))) is not None
    assert carry_out(lake, "main", "", GrowStep("others", ["n"], Meter(None))) is None
    assert lake["others"].to_arrow().to_pylist() == [{"n": 1.0}, {"n": 2.0**62}]


@pytest.mark.parametrize("when", ["before", "after"])
def test_dead_at_every_call(when):
    """At whichever call of the store it dies, the column is what it was or what it becomes, with the same values."""
    store = MemoryStore()
    create_lake(store)
    Lake(store, "test", "memory").ingest(pa.table({"n": [1, 2, None]}), "events")
    at, seen = 1, set()
    while True:
        trying = copied(store)
        try:
            carry_out(
                Lake(CrashStore(trying, at, when), "test", "memory"), "main", "", GrowStep("events", ["n"], Meter(None))
            )
            break
        except SimulatedCrash:
            at += 1
        lake = Lake(trying, "test", "memory")
        seen.add(lake["events"].schema.field("n").type)
        assert lake["events"].to_arrow().column("n").to_pylist() == [1, 2, None]
        carry_out(lake, "main", "", GrowStep("events", ["n"], Meter(None)))
        assert lake["events"].schema.field("n").type == pa.float64()
        assert not lake.verify().problems
    assert at > 3
    assert seen == ({pa.int64()} if when == "before" else {pa.int64(), pa.float64()})


def copied(store):
    """Return another store that holds the same."""
    other = MemoryStore()
    for info in store.list(""):
        other.create(info.key, store.read(info.key))
    return other
