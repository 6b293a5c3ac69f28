"""A real topic with a schema registry over HTTP: versions of schemas become versions of data."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import threading
import time

import fastavro
import pyarrow as pa
import pytest

import dataplat as dp
from dataplat.connectors.codecs._registry import forget_schemas
from servers import KafkaServer, Message
from servers.registry import Registry, Schema, framed, in_a_header

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _fresh_registries():
    forget_schemas()


@pytest.fixture
def lake(tmp_path):
    """Return a lake on the disk."""
    return dp.open(tmp_path / "lake")


def record(*fields):
    """Return a record's schema."""
    return {"type": "record", "name": "Flight", "fields": [{"name": name, "type": kind} for name, kind in fields]}


V1 = record(("n", "int"), ("carrier", "string"), ("gone", "string"))
V2 = record(("n", "long"), ("carrier", "string"), ("delay", ["null", "double"]))
V3 = record(("n", "string"), ("carrier", "string"))


def avro(schema, value):
    """Return a value as fastavro writes it."""
    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(schema), value)
    return out.getvalue()


def first(i):
    """Return a record of `V1`."""
    return {"n": i, "carrier": "UA", "gone": f"old {i}"}


def second(i):
    """Return a record of `V2`."""
    return {"n": 2**40 + i, "carrier": "AA", "delay": None if i % 4 else i / 2}


def alternating(registry, numbers, bad=()):
    """Return messages of two schemas, record by record, and of a third one that does not go with them."""
    ids = [registry.register("flights-value", json.dumps(schema)) for schema in (V1, V2, V3)]
    messages = []
    for i in numbers:
        if i in bad:
            value = framed(ids[2], avro(V3, {"n": f"no number {i}", "carrier": "DL"}))
        elif i % 2:
            value = framed(ids[0], avro(V1, first(i)))
        else:
            value = framed(ids[1], avro(V2, second(i)))
        messages.append(Message(value, partition=0))
    return messages


def wanted(numbers, bad=()):
    """Return the rows that those messages are."""
    none = {"gone": None, "delay": None}
    return [{**none, **(first(i) if i % 2 else second(i))} for i in numbers if i not in bad]


def landed(lake, dataset="flights"):
    """Return the rows, in the order of their offsets."""
    rows = lake[dataset].to_arrow().sort_by("_offset").to_pylist()
    return [{name: value for name, value in row.items() if name != "_offset"} for row in rows]


@pytest.mark.parametrize("client", ["kafka-python", "confluent"])
def test_schemas_that_alternate(kafka_server: KafkaServer, registry: Registry, lake, client):
    """Two versions that alternate share columns, files and order; records of an incompatible third go aside, named."""
    topic = kafka_server.new_topic(partitions=1)
    bad = {100, 101, 1999}
    topic.produce(alternating(registry, range(2000), bad))
    result = lake.ingest(topic.url, "flights", registry=registry.url, keep=("offset",), client=client)
    assert (result.rows_added, result.rows_rejected) == (1997, 3)
    version = lake["flights"]
    types = {field.name: field.type for field in version.schema}
    assert types == {
        "n": pa.int64(),
        "carrier": pa.string(),
        "gone": pa.string(),
        "delay": pa.float64(),
        "_offset": pa.int64(),
    }
    assert landed(lake) == wanted(range(2000), bad)
    assert len(list(version.manifest.parts())) == 1
    rejects = lake["flights.rejects"].to_arrow().sort_by("offset").to_pylist()
    assert [(row["offset"], row["schema_id"], row["column"]) for row in rejects] == [(i, 3, "n") for i in sorted(bad)]
    assert all("so far, and string here" in row["error"] for row in rejects)
    assert all(fastavro.schemaless_reader(io.BytesIO(row["raw"][5:]), V3, None)["carrier"] == "DL" for row in rejects)
    assert sorted(registry.asked) == [("GET", f"/schemas/ids/{id}") for id in (1, 2, 3)]


def test_a_dataset_that_has_rows(kafka_server: KafkaServer, registry: Registry, lake):
    """What a dataset holds stays what it is when a later version comes, which adds columns and leaves others out."""
    topic = kafka_server.new_topic(partitions=1)
    topic.produce(alternating(registry, range(1, 100, 2)))
    lake.ingest(topic.url, "flights", registry=registry.url, keep=("offset",))
    assert lake["flights"].schema.field("n").type == pa.int32()
    topic.produce(alternating(registry, range(100, 200), bad={150}))
    result = lake.ingest(topic.url, "flights", registry=registry.url)
    assert (result.rows_added, result.rows_rejected) == (99, 1)
    assert landed(lake) == wanted([*range(1, 100, 2), *range(100, 200)], bad={150})
    assert lake["flights.rejects"].to_arrow().to_pylist()[0]["schema_id"] == 3
    assert lake.verify_ingest("flights").ok


def test_poison(kafka_server: KafkaServer, registry: Registry, lake):
    """Half a record, an unknown id, no frame, no value: rejects with their bytes, and the rest lands."""
    topic = kafka_server.new_topic(partitions=1)
    good = alternating(registry, range(100))
    half = framed(1, avro(V1, first(7))[:-3])
    topic.produce([*good[:50], Message(half), Message(framed(99, b"x")), Message(b"{}"), Message(None), *good[50:]])
    result = lake.ingest(topic.url, "flights", registry=registry.url, keep=("offset",))
    assert (result.rows_added, result.rows_rejected) == (100, 4)
    rejects = lake["flights.rejects"].to_arrow().sort_by("offset").to_pylist()
    assert [(row["offset"], row["schema_id"], row["raw"]) for row in rejects] == [
        (50, 1, half),
        (51, 99, framed(99, b"x")),
        (52, None, b"{}"),
        (53, None, None),
    ]
    assert rejects[0]["error"] == "schema 1: the value ends within the Avro record"
    assert rejects[1]["error"] == f"schema 99: it is not known to the registry at {registry.url}"


def test_all_types_in_one_topic(kafka_server: KafkaServer, registry: Registry, lake):
    """Avro, Protobuf and JSON Schema side by side become rows of one schema."""
    topic = kafka_server.new_topic(partitions=1)
    ids = [
        registry.register("a", json.dumps(record(("n", "int")))),
        registry.register("b", 'syntax = "proto3"; message Flight { int64 n = 1; string tail = 2; }', "PROTOBUF"),
        registry.register("c", '{"type": "object", "properties": {"n": {"type": "integer"}}}', "JSON"),
    ]
    bodies = [
        lambda i: avro(record(("n", "int")), {"n": i}),
        lambda i: b"\0\x08" + bytes([i]) + b"\x12\x01x",
        lambda i: b'{"n": %d}' % i,
    ]
    topic.produce([Message(framed(ids[i % 3], bodies[i % 3](i))) for i in range(99)])
    assert lake.ingest(topic.url, "flights", registry=registry.url, keep=("offset",)).rows_added == 99
    assert landed(lake) == [{"n": i, "tail": "x" if i % 3 == 1 else None} for i in range(99)]


EVERYTHING = """
syntax = "proto3";
import "google/protobuf/timestamp.proto";
import "google/protobuf/duration.proto";
enum Colour { NONE = 0; RED = 1; }
message Event {
  message Place { int32 x = 1; repeated Colour colours = 2; }
  int64 n = 1; uint64 big = 2; bytes raw = 3; float f = 4; Colour colour = 5; Place place = 6; repeated Place places = 7;
  map<string, Place> by_name = 8; google.protobuf.Timestamp at = 9; google.protobuf.Duration took = 10; uint32 u = 11;
}
"""


def test_every_type_again(kafka_server: KafkaServer, registry: Registry, lake):
    """Columns of every type of Protobuf and Avro are taken again by the dataset that they made."""
    proto = registry.register("a", EVERYTHING, "PROTOBUF")
    kinds = [
        ("n", "long"),
        ("day", {"type": "int", "logicalType": "date"}),
        ("time", {"type": "int", "logicalType": "time-millis"}),
        ("stamp", {"type": "long", "logicalType": "timestamp-millis"}),
        ("local", {"type": "long", "logicalType": "local-timestamp-micros"}),
        ("money", {"type": "bytes", "logicalType": "decimal", "precision": 20, "scale": 2}),
        ("counts", {"type": "map", "values": ["null", "int"]}),
        ("lists", {"type": "array", "items": {"type": "array", "items": "float"}}),
        ("none", "null"),
        ("fixed", {"type": "fixed", "name": "F", "size": 2}),
    ]
    schema = record(*kinds)
    other = registry.register("b", json.dumps(schema))
    value = {"day": 1, "time": 5, "stamp": 7, "local": 9, "money": b"\x05", "counts": {"a": None}}
    plain = record(*((name, kind if name in {"counts", "lists"} else plain_type(kind)) for name, kind in kinds))
    for i in range(3):
        topic = kafka_server.new_topic(partitions=1)
        n = b"\0\x08" + bytes([i])
        body = avro(plain, {**value, "n": i, "lists": [[0.5], []], "none": None, "fixed": b"ab"})
        topic.produce([Message(framed(proto, n + b"\x32\x05\x08\x01\x12\x01\x01")), Message(framed(other, body))])
        result = lake.ingest(topic.url, "events", registry=registry.url)
        assert (result.rows_added, result.rows_rejected) == (2, 0), lake["events.rejects"].to_arrow().to_pylist()
    rows = lake["events"].to_arrow().sort_by("n").to_pylist()
    assert [row["n"] for row in rows] == [0, 0, 1, 1, 2, 2]
    assert [row["place"] for row in rows if row["place"]] == [{"x": 1, "colours": ["RED"]}] * 3
    assert [row["counts"] for row in rows if row["counts"]] == [[("a", None)]] * 3


def plain_type(kind):
    """Return a type as it lies in the bytes."""
    return kind["type"] if isinstance(kind, dict) and "logicalType" in kind else kind


def test_a_registry_that_is_down(kafka_server: KafkaServer, registry: Registry, lake):
    """A registry that is down stops it before anything lands; when it is back, the same command lands all."""
    topic = kafka_server.new_topic(partitions=1)
    topic.produce(alternating(registry, range(10)))
    registry.fail(503)
    with pytest.raises(dp.SourceUnreachable, match="no schema registry"):
        lake.ingest(topic.url, "flights", registry=registry.url)
    assert "flights" not in lake
    registry.heal()
    assert lake.ingest(topic.url, "flights", registry=registry.url).rows_added == 10


def test_it_is_followed_while_the_registry_is_down(kafka_server: KafkaServer, registry: Registry, lake):
    """With `follow` a registry that is down is tried again, and nothing is lost, doubled or rejected for it."""
    topic = kafka_server.new_topic(partitions=1)
    topic.produce(alternating(registry, range(10)))
    registry.fail(503, times=4)
    stop = threading.Event()
    results = []
    options = {"registry": registry.url, "follow": True, "every": 0.2, "stop": stop, "keep": ("offset",)}
    thread = threading.Thread(target=lambda: results.append(lake.ingest(topic.url, "flights", **options)))
    thread.start()
    until = time.monotonic() + 60
    while time.monotonic() < until and "flights" not in lake:
        time.sleep(0.05)
    stop.set()
    thread.join(60)
    assert results[0].rows_rejected == 0
    assert landed(lake) == wanted(range(10))


def test_avro_without_a_registry(kafka_server: KafkaServer, lake, tmp_path):
    """`--format avro --schema FILE.avsc` reads messages that are nothing but the record."""
    topic = kafka_server.new_topic(partitions=1)
    topic.produce([Message(avro(V1, first(i))) for i in range(100)])
    schema = tmp_path / "flight.avsc"
    schema.write_text(json.dumps(V1))
    command = [sys.executable, "-m", "dataplat", "ingest", topic.url, "--into", "flights", "--format", "avro"]
    command += ["--schema", str(schema), "--keep", "offset", "--lake", str(tmp_path / "lake")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert [row["n"] for row in landed(lake)] == list(range(100))
    assert lake.ingest(topic.url, "again", source_format="avro", schema=V1).rows_added == 100


def test_a_plan(kafka_server: KafkaServer, registry: Registry, lake):
    """A plan shows the columns of all schemas that it meets."""
    topic = kafka_server.new_topic(partitions=1)
    topic.produce(alternating(registry, range(10)))
    plan = lake.plan_ingest(topic.url, "flights", registry=registry.url)
    assert plan.schema.names == ["n", "carrier", "delay", "gone"]
    assert "flights" not in lake


@pytest.mark.parametrize("client", ["kafka-python", "confluent"])
def test_schemas_that_headers_name(kafka_server: KafkaServer, registry: Registry, lake, client):
    """Values whose headers name their schemas by GUID land; one that is not known is replayed with its headers."""
    known, later = (Schema(json.dumps(schema)) for schema in (V1, V2))
    registry.register("flights-value", known.text)
    topic = kafka_server.new_topic(partitions=1)
    topic.produce(
        [
            Message(avro(V1, first(1)), headers=(in_a_header(known),)),
            Message(avro(V2, second(2)), headers=(("trace", b"x"), in_a_header(later))),
        ]
    )
    result = lake.ingest(topic.url, "flights", registry=registry.url, client=client)
    assert (result.rows_added, result.rows_rejected) == (1, 1)
    (reject,) = lake["flights.rejects"].to_arrow().to_pylist()
    assert (reject["offset"], reject["schema_id"], reject["raw"]) == (1, None, avro(V2, second(2)))
    assert [header["name"] for header in reject["headers"]] == ["trace", "__value_schema_id"]
    registry.register("flights-value", later.text)
    forget_schemas()
    assert lake.replay("flights", registry=registry.url).landed == 1
    assert sorted(lake["flights"].to_arrow().column("n").to_pylist()) == [1, 2**40 + 2]
