"""Change events of a real topic: rows come and change by upsert, and go by key; a dataset is what the table is."""

from __future__ import annotations

import base64
import datetime as dt
import io
import json
import random
import signal
import subprocess
import sys
import time
from decimal import Decimal
from itertools import pairwise

import fastavro
import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings

import dataplat as dp
from dataplat.connectors.codecs._registry import forget_schemas
from servers import KafkaServer, Message
from servers.registry import Registry, framed

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _fresh_registries():
    forget_schemas()


@pytest.fixture
def lake(tmp_path):
    """Return a lake on the disk."""
    return dp.open(tmp_path / "lake")


def change(op, id, row=None, before=None, partition=0):
    """Return the message of one change of the row `id`."""
    event = {"before": before, "after": row, "source": {"table": "people"}, "op": op, "ts_ms": 1}
    return Message(json.dumps(event).encode(), json.dumps({"id": id}).encode(), partition)


def tombstone(id, partition=0):
    """Return what follows a delete, so that compaction forgets the row."""
    return Message(None, json.dumps({"id": id}).encode(), partition)


def person(id, name):
    """Return a row."""
    return {"id": id, "name": name}


def people(lake):
    """Return the rows of the dataset, by id."""
    return {row["id"]: row["name"] for row in lake["people"].to_arrow().to_pylist()}


def test_a_table_as_it_is_now(kafka_server: KafkaServer, lake):
    """Rows that are read, inserted, updated and deleted are in the dataset as in the table; its key is the message's."""
    topic = kafka_server.new_topic(partitions=1)
    topic.produce(
        [
            change("r", 1, person(1, "a")),
            change("r", 2, person(2, "b")),
            change("c", 3, person(3, "c")),
            change("u", 1, person(1, "A"), person(1, "a")),
            change("d", 2, None, person(2, "b")),
            tombstone(2),
            change("m", 2),
        ]
    )
    result = lake.ingest(topic.url, "people", source_format="debezium")
    assert people(lake) == {1: "A", 3: "c"}
    assert lake["people"].key == ("id",)
    assert result.rows_rejected == 0
    topic.produce([change("d", 1), tombstone(1), change("d", 77), change("u", 3, person(3, "C"))])
    lake.ingest(topic.url, "people", source_format="debezium")
    assert people(lake) == {3: "C"}
    (partition,) = lake.verify_ingest("people").partitions
    assert (partition.records, partition.ok) == (11, True)


def test_what_is_last_counts(kafka_server: KafkaServer, lake):
    """A delete and then an insert of a key leave the row, the other way round they do not; a key that changes is both."""
    topic = kafka_server.new_topic(partitions=1)
    topic.produce([change("c", id, person(id, "old")) for id in range(4)])
    lake.ingest(topic.url, "people", source_format="debezium")
    topic.produce(
        [
            change("d", 0),
            change("c", 0, person(0, "again")),
            change("u", 1, person(1, "new")),
            change("d", 1),
            change("d", 2),  # the key of row 2 becomes 9
            change("c", 9, person(9, "old")),
        ]
    )
    lake.ingest(topic.url, "people", source_format="debezium")
    assert people(lake) == {0: "again", 3: "old", 9: "old"}


def test_what_is_no_change(kafka_server: KafkaServer, lake):
    """A truncation, a message that is no event and a delete of nobody go to the rejects, named, with their bytes."""
    topic = kafka_server.new_topic(partitions=1)
    odd = [Message(b'{"n": 1}', b'{"id": 1}', 0), Message(b"{", b'{"id": 1}', 0), Message(b'{"op": "d"}', None, 0)]
    topic.produce([change("c", 1, person(1, "a")), change("t", None), *odd, change("u", 1, {"name": "nobody"})])
    assert lake.ingest(topic.url, "people", source_format="debezium").rows_rejected == 5
    rejects = lake["people.rejects"].to_arrow().sort_by("offset").to_pylist()
    said = [
        "truncation",
        "no change event",
        "no change event",
        "delete that does not say of which row",
        "key column 'id'",
    ]
    assert all(word in row["error"] for word, row in zip(said, rejects, strict=True))
    assert people(lake) == {1: "a"}


def test_only_deletes(kafka_server: KafkaServer, lake):
    """A topic that begins with tombstones or deletes lands as a dataset without rows."""
    topic = kafka_server.new_topic(partitions=1)
    topic.produce([tombstone(1)])
    lake.ingest(topic.url, "people", source_format="debezium")
    topic.produce([change("c", 1, person(1, "a")), change("d", 1), change("c", 2, person(2, "b"))])
    lake.ingest(topic.url, "people", source_format="debezium")
    assert people(lake) == {2: "b"}
    assert lake.ingest(topic.url, "people", source_format="debezium").nothing_to_do


def test_a_tombstone_that_compaction_left(kafka_server: KafkaServer, lake):
    """Where compaction took the delete before its tombstone was read, that takes the row away."""
    topic = kafka_server.new_topic(partitions=1)
    topic.produce([change("c", 1, person(1, "a")), change("c", 2, person(2, "b"))])
    lake.ingest(topic.url, "people", source_format="debezium")
    topic.produce([tombstone(1)])
    lake.ingest(topic.url, "people", source_format="debezium")
    assert people(lake) == {2: "b"}


def test_how_it_may_be_asked_for(kafka_server: KafkaServer, lake):
    """Change events are not appended; where no message has a key, it has to be named."""
    topic = kafka_server.new_topic(partitions=1)
    topic.produce([Message(change("c", 1, person(1, "a")).value, None, 0)])
    with pytest.raises(dp.ConfigError, match="leave it out"):
        lake.ingest(topic.url, "people", source_format="debezium", mode="append")
    with pytest.raises(dp.KeyViolation, match="--key"):
        lake.ingest(topic.url, "people", source_format="debezium")
    topic.produce([Message(change("d", 1, None, person(1, "a")).value, None, 0), change("c", 2, person(2, "b"))])
    lake.ingest(topic.url, "people", source_format="debezium", key="id")
    assert people(lake) == {2: "b"}


def test_the_plan_names_the_key(kafka_server: KafkaServer, lake):
    """A plan shows mode, key and columns, and writes nothing."""
    topic = kafka_server.new_topic(partitions=1)
    topic.produce([change("c", 1, person(1, "a"))])
    plan = lake.plan_ingest(topic.url, "people", source_format="debezium")
    assert (plan.to_dict()["mode"], plan.to_dict()["key"], plan.schema.names) == ("upsert", ["id"], ["id", "name"])
    assert "people" not in lake


def connect(kind, field, name=None, optional=True, **more):
    """Return a field of Connect's schema."""
    named = {} if name is None else {"name": name, "version": 1}
    return {"type": kind, "optional": optional, "field": field, **named, **more}


DECIMAL = "org.apache.kafka.connect.data.Decimal"
FIELDS = [
    connect("int32", "id", optional=False),
    connect("int32", "day", "io.debezium.time.Date"),
    connect("int64", "at", "io.debezium.time.MicroTimestamp"),
    connect("string", "moment", "io.debezium.time.ZonedTimestamp"),
    connect("bytes", "price", DECIMAL, parameters={"scale": "2", "connect.decimal.precision": "10"}),
    connect(
        "struct",
        "any",
        "io.debezium.data.VariableScaleDecimal",
        fields=[connect("int32", "scale"), connect("bytes", "value")],
    ),
    connect("bytes", "blob"),
    connect("int64", "clock", "io.debezium.time.MicroTime"),
]


def number(value, length=2):
    """Return an integer as Connect's decimals are written."""
    return base64.b64encode(value.to_bytes(length, "big", signed=True)).decode()


def test_values_are_what_the_schema_says(kafka_server: KafkaServer, lake):
    """With its schema beside it, days, times, decimals and bytes become such; a value that is none is a reject."""
    topic = kafka_server.new_topic(partitions=1)
    schema = {
        "type": "struct",
        "fields": [{**connect("struct", part), "fields": FIELDS} for part in ("before", "after")],
    }
    row = {"id": 1, "day": 19_000, "at": 1_600_000_000_000_001, "moment": "2024-02-29T12:00:00.5+02:00"}
    row |= {"price": number(-12_345), "any": {"scale": 3, "value": number(5)}, "blob": "AAE=", "clock": 1_000_001}
    nothing = dict.fromkeys(row) | {"id": 2}
    key = {"schema": {"type": "struct", "fields": FIELDS[:1]}}

    def message(op, image):
        event = {"schema": schema, "payload": {"op": op, "before": image, "after": None if op == "d" else image}}
        return Message(json.dumps(event).encode(), json.dumps({**key, "payload": {"id": image["id"]}}).encode(), 0)

    bad = {**row, "id": 3, "blob": "!"}
    topic.produce([message("c", row), message("c", nothing), message("c", bad), message("c", {**row, "id": 4})])
    topic.produce([message("d", {**row, "id": 4})])
    assert lake.ingest(topic.url, "t", source_format="debezium").rows_rejected == 1
    first, second = lake["t"].to_arrow().sort_by("id").to_pylist()
    assert first == {
        "id": 1,
        "day": dt.date(2022, 1, 8),
        "at": dt.datetime(2020, 9, 13, 12, 26, 40, 1),  # noqa: DTZ001 (it has no zone)
        "moment": dt.datetime(2024, 2, 29, 10, 0, 0, 500_000, dt.UTC),
        "price": Decimal("-123.45"),
        "any": "0.005",
        "blob": b"\x00\x01",
        "clock": dt.time(0, 0, 1, 1),
    }
    assert second == nothing
    assert lake["t.rejects"].to_arrow().to_pylist()[0]["column"] == "blob"


def avro(schema, value):
    """Return a value as fastavro writes it."""
    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(schema), value)
    return out.getvalue()


def test_with_a_registry_in_avro(kafka_server: KafkaServer, lake, registry: Registry):
    """Values and keys are read by the schemas that their ids name, with Debezium's types, also where those change."""
    day = {"type": "int", "connect.version": 1, "connect.name": "io.debezium.time.Date"}

    def envelope(*more):
        fields = [{"name": "id", "type": "int"}, {"name": "day", "type": ["null", day]}, *more]
        value = {"type": "record", "name": "Value", "namespace": "db", "fields": fields}
        return {
            "type": "record",
            "name": "Envelope",
            "namespace": "db",
            "fields": [
                {"name": "before", "type": ["null", value], "default": None},
                {"name": "after", "type": ["null", "Value"], "default": None},
                {"name": "op", "type": "string"},
                {"name": "ts_ms", "type": ["null", "long"], "default": None},
            ],
        }

    key = {"type": "record", "name": "Key", "namespace": "db", "fields": [{"name": "id", "type": "int"}]}
    key_id = registry.register("t-key", json.dumps(key))
    old, new = envelope(), envelope({"name": "word", "type": "string"})
    ids = {id(schema): registry.register("t-value", json.dumps(schema)) for schema in (old, new)}

    def message(schema, op, row=None, before=None):
        value = {"before": before, "after": row, "op": op, "ts_ms": 1}
        place = (row or before)["id"]
        body = framed(ids[id(schema)], avro(schema, value))
        return Message(body, framed(key_id, avro(key, {"id": place})), 0)

    topic = kafka_server.new_topic(partitions=1)
    rows = [{"id": i, "day": 19_000 + i} for i in range(5)]
    topic.produce([message(old, "c", row) for row in rows])
    topic.produce([message(new, "u", {**rows[1], "word": "x"}), message(old, "d", None, rows[2]), tombstone(2)])
    topic.produce([Message(framed(999, b"?"), None, 0)])
    result = lake.ingest(topic.url, "t", source_format="debezium", registry=registry.url)
    assert result.rows_rejected == 1
    found = {row["id"]: (row["day"], row["word"]) for row in lake["t"].to_arrow().to_pylist()}
    day_of = {i: dt.date(2022, 1, 8) + dt.timedelta(i) for i in range(5)}
    assert found == {i: (day_of[i], "x" if i == 1 else None) for i in (0, 1, 3, 4)}
    assert lake["t"].key == ("id",)


PROTO = """
syntax = "proto3"; package db;
message Envelope {
  optional Value before = 1; optional Value after = 2; optional string op = 3; optional int64 ts_ms = 4;
  message Value { int32 id = 1; optional string name = 2; }
}
message Key { int32 id = 1; }
"""


def test_with_a_registry_in_protobuf(kafka_server: KafkaServer, lake, registry: Registry):
    """Values and keys of Protobuf are upserts and deletes as those of other formats; half a message is a reject."""
    id_ = registry.register("t-value", PROTO, "PROTOBUF")
    number = lambda field, n: bytes([field << 3, n])  # noqa: E731
    text = lambda field, body: bytes([field << 3 | 2, len(body)]) + body  # noqa: E731

    def message(op, id, name=None, key=True):
        row = number(1, id) + (b"" if name is None else text(2, name.encode()))
        value = text(1 if op == "d" else 2, row) + text(3, op.encode())
        return Message(framed(id_, b"\0" + value), framed(id_, b"\2\2" + number(1, id)) if key else None, 0)

    topic = kafka_server.new_topic(partitions=1)
    topic.produce([message("c", 1, "a"), message("r", 2, "b"), message("c", 3, "c"), message("c", 4)])
    topic.produce([message("u", 1, "A"), message("d", 2), message("d", 3, key=False), Message(None, None, 0)])
    topic.produce([Message(framed(id_, b"\0\x12\x7f"), framed(id_, b"\2\2" + number(1, 9)), 0)])
    result = lake.ingest(topic.url, "people", source_format="debezium", registry=registry.url)
    assert result.rows_rejected == 1
    assert lake["people"].key == ("id",)
    assert people(lake) == {1: "A", 4: None}


def test_with_a_registry_in_json(kafka_server: KafkaServer, lake, registry: Registry):
    """Messages with a JSON Schema are read by what Connect's converter writes into it."""
    day = {"oneOf": [{"type": "null"}, {"type": "integer", "title": "io.debezium.time.Date", "connect.type": "int32"}]}
    image = {"type": "object", "properties": {"id": {"type": "integer", "connect.type": "int32"}, "day": day}}
    schema = {"type": "object", "properties": {"after": {"oneOf": [{"type": "null"}, image]}, "op": {"type": "string"}}}
    value_id = registry.register("t-value", json.dumps(schema), "JSON")
    key_id = registry.register("t-key", json.dumps(image), "JSON")
    topic = kafka_server.new_topic(partitions=1)

    def message(op, id, row=None):
        body = json.dumps({"op": op, "after": row, "before": None}).encode()
        return Message(framed(value_id, body), framed(key_id, json.dumps({"id": id}).encode()), 0)

    topic.produce([message("c", 1, {"id": 1, "day": 19_000}), message("c", 2, {"id": 2, "day": None}), message("d", 2)])
    lake.ingest(topic.url, "t", source_format="debezium", registry=registry.url, key="id")
    assert lake["t"].to_arrow().to_pylist() == [{"id": 1, "day": dt.date(2022, 1, 8)}]


HISTORIES = st.lists(
    st.tuples(st.sampled_from("cudru"), st.integers(0, 7), st.integers(0, 99)), min_size=1, max_size=60
)


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(history=HISTORIES, cuts=st.integers(1, 25), breaks=st.lists(st.integers(0, 60), max_size=3))
def test_any_history(kafka_server: KafkaServer, tmp_path_factory, history, cuts, breaks):
    """Whatever was done to a table, in however many commits and runs, the dataset is what a dict would be."""
    lake = dp.open(tmp_path_factory.mktemp("lake") / "lake")
    topic = kafka_server.new_topic(partitions=2)
    table: dict[int, str] = {}
    places = sorted({0, *(place for place in breaks if place < len(history)), len(history)})
    for start, stop in pairwise(places):
        messages = []
        for op, id, value in history[start:stop]:
            if op == "d":
                table.pop(id, None)
                messages += [change("d", id, None, person(id, "?"), id % 2), tombstone(id, id % 2)]
            else:
                table[id] = str(value)
                messages.append(change(op, id, person(id, str(value)), None, id % 2))
        topic.produce(messages)
        lake.ingest(topic.url, "people", source_format="debezium", rows=cuts)
        assert people(lake) == table
    assert lake.verify_ingest("people").ok


def test_killed_and_started_again(kafka_server: KafkaServer, lake, tmp_path):
    """However often the ingester is killed, what it lands in the end is the table."""
    topic = kafka_server.new_topic(partitions=2)
    draw = random.Random(5)
    table: dict[int, str] = {}
    messages = []
    for n in range(800):
        id = draw.randrange(50)
        if draw.random() < 0.3:
            table.pop(id, None)
            messages += [change("d", id, None, person(id, "?"), id % 2), tombstone(id, id % 2)]
        else:
            table[id] = str(n)
            messages.append(change("u", id, person(id, str(n)), None, id % 2))
    topic.produce(messages)
    command = [sys.executable, "-m", "dataplat", "ingest", topic.url, "--into", "people", "--format", "debezium"]
    command += ["--rows", "200", "--lake", str(tmp_path / "lake")]
    killed = 0
    for _ in range(30):
        before = len(lake.log("people")) if "people" in lake else 0
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as run:
            until = time.monotonic() + 60
            while run.poll() is None and time.monotonic() < until:
                if "people" in lake and len(lake.log("people")) > before + draw.randrange(1, 4):
                    run.send_signal(signal.SIGKILL)
                    break
            code = run.wait(60)
        killed += code == -signal.SIGKILL
        if code == 0:
            break
    assert killed >= 2
    assert people(lake) == table
    proof = lake.verify_ingest("people")
    assert proof.ok
    assert sum(partition.records for partition in proof.partitions) == len(messages)
