"""Schemas that messages name in a header: by the id, or by a GUID."""

from __future__ import annotations

import json
from dataclasses import replace
from uuid import UUID

import pyarrow as pa
import pytest

from dataplat.connectors.codecs import open_codec
from dataplat.connectors.codecs._codec import GUIDS
from dataplat.connectors.kafka._kept import headers_type
from servers.registry import Schema, framed, in_a_header

FLIGHT = json.dumps({"type": "record", "name": "F", "fields": [{"name": "n", "type": "long"}]})
NAMED = json.dumps(
    {"type": "record", "name": "G", "fields": [{"name": "n", "type": "long"}, {"name": "m", "type": "string"}]}
)
PROTO = 'syntax = "proto3"; message A { int64 n = 1; } message B { string m = 1; }'


def schema_guid(schema):
    """Return the GUID that a header names."""
    return UUID(bytes=in_a_header(schema)[1][1:17])


@pytest.fixture
def with_headers(records_of):
    """Return a function that makes records of (value, headers)."""

    def made(*pairs):
        headers = [[{"name": name, "value": value} for name, value in headers] for _, headers in pairs]
        return replace(records_of([value for value, _ in pairs]), headers=pa.array(headers, headers_type()))

    return made


def test_ids_and_guids(registry, with_headers, avro):
    """Ids before the value, ids in a header and GUIDs in one alternate: each value is read by its own schema, in order."""
    first, second = registry.register("a", FLIGHT), registry.register("b", NAMED)
    one = lambda n: avro(json.loads(FLIGHT), {"n": n})  # noqa: E731
    two = lambda n: avro(json.loads(NAMED), {"n": n, "m": "x"})  # noqa: E731
    records = with_headers(
        (framed(first, one(0)), [("other", b"\1")]),
        (two(1), [("x", None), in_a_header(Schema(NAMED))]),
        (one(2), [("__value_schema_id", framed(first, b"")), in_a_header(Schema(FLIGHT), of="key")]),
        (None, [in_a_header(Schema(NAMED))]),
        (one(3), [in_a_header(Schema(FLIGHT))]),
        (framed(second, two(4)), []),
        (one(5), []),
        (one(6), [("__value_schema_id", b"\1short")]),
    )
    decoded = open_codec("registry", registry=registry.url).decode(records, None)
    assert decoded.batch.to_pylist() == [{"n": n, "m": "x" if n in {1, 4} else None} for n in range(5)]
    assert decoded.rows.tolist() == [0, 1, 2, 4, 5]
    assert [reject.index for reject in decoded.rejects] == [3, 6, 7]
    asked = sorted(path for _, path in registry.asked)
    assert asked == [
        *sorted(f"/schemas/guids/{schema_guid(Schema(text))}" for text in (FLIGHT, NAMED)),
        f"/schemas/ids/{first}",
        f"/schemas/ids/{second}",
    ]


def test_a_guid_that_is_not_known(registry, with_headers, avro):
    """A GUID that the registry does not know is named, and is no number."""
    records = with_headers((b"\2", [in_a_header(Schema(FLIGHT))]))
    (reject,) = open_codec("registry", registry=registry.url).decode(records, None).rejects
    assert reject.error.startswith(f"schema {schema_guid(Schema(FLIGHT))}: it is not known to the registry")
    assert reject.schema_id >= GUIDS


def test_protobuf_has_the_message_in_the_header(registry, with_headers):
    """Behind the GUID stands which message of the schema it is."""
    registry.register("p", PROTO, "PROTOBUF")
    schema = Schema(PROTO, "PROTOBUF")
    records = with_headers(
        (b"\x08\x07", [in_a_header(schema, path=b"\0")]), (b"\n\1x", [in_a_header(schema, path=b"\2\2")])
    )
    decoded = open_codec("protobuf", registry=registry.url).decode(records, None)
    assert decoded.batch.to_pylist() == [{"n": 7, "m": None}, {"n": None, "m": "x"}]


def test_change_events(registry, with_headers):
    """Change events and their keys name their schemas by headers of their own."""
    key = '{"type": "object", "properties": {"id": {"type": "integer"}}}'
    event = '{"type": "object"}'
    registry.register("k", key, "JSON")
    registry.register("v", event, "JSON")
    both = [in_a_header(Schema(key, "JSON"), of="key"), in_a_header(Schema(event, "JSON"))]
    records = with_headers(
        (b'{"op": "c", "after": {"id": 1, "name": "ada"}}', both),
        (b'{"op": "c", "after": {"id": 2, "name": "bob"}}', both),
        (b'{"op": "d", "before": null}', both),
    )
    records = replace(records, keys=pa.array([b'{"id": 1}', b'{"id": 2}', b'{"id": 1}'], pa.binary()))
    codec = open_codec("debezium", registry=registry.url)
    decoded = codec.decode(records, None)
    assert codec.key == ("id",)
    assert decoded.batch.to_pylist() == [{"id": 1, "name": "ada"}, {"id": 2, "name": "bob"}]
    assert decoded.deletes.to_pylist() == [{"id": 1}]
    assert not decoded.rejects
