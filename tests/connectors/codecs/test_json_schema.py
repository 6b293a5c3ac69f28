"""JSON with a schema: columns of the types that it says, and only of messages that are as it says."""

from __future__ import annotations

import json

import pyarrow as pa
import pytest

import dataplat as dp
from dataplat.connectors.codecs import open_codec
from dataplat.connectors.codecs._json_schema import JsonSchemaCodec
from servers.registry import Reference, framed

FLIGHT = {
    "type": "object",
    "properties": {
        "n": {"type": "integer", "minimum": 0},
        "delay": {"oneOf": [{"type": "null"}, {"type": "number"}]},
        "tags": {"type": "array", "items": {"type": "string"}},
        "plane": {"type": "object", "properties": {"seats": {"type": "integer"}}, "required": ["seats"]},
    },
    "required": ["n"],
    "additionalProperties": False,
}


def lines(*values):
    """Return values as JSON."""
    return [json.dumps(value).encode() for value in values]


def test_types_are_those_of_the_schema(records_of):
    """A number is a float though the first ones are whole; what the schema leaves open is seen in the messages."""
    codec = JsonSchemaCodec(json.dumps(FLIGHT))
    decoded = codec.decode(records_of(lines({"n": 1, "delay": 2, "tags": ["a"], "plane": {"seats": 3}})), None)
    assert decoded.batch.to_pylist() == [{"n": 1, "delay": 2.0, "tags": ["a"], "plane": {"seats": 3}}]
    assert decoded.batch.schema.field("delay").type == pa.float64()
    assert decoded.batch.schema.field("n").type == pa.int64()


def test_messages_that_are_not_as_it_says(records_of):
    """What breaks the schema is a reject that says where; the others land, in order."""
    bad = {
        1: ({"n": -1}, "/n", "n"),
        3: ({}, "/", None),
        4: ({"n": 4, "plane": {"seats": "x"}}, "", None),
        6: ({"n": 6, "other": 1}, "/", None),
        7: ({"n": 7, "plane": {}}, "/plane", "plane"),
    }
    values = [bad[i][0] if i in bad else {"n": i, "plane": {"seats": i}} for i in range(10)]
    decoded = JsonSchemaCodec(json.dumps(FLIGHT)).decode(records_of([*lines(*values), b"{", None]), None)
    assert decoded.batch.column("n").to_pylist() == [0, 2, 5, 8, 9]
    assert [reject.index for reject in decoded.rejects] == [*bad, 10, 11]
    for reject in decoded.rejects[:-2]:
        _, path, column = bad[reject.index]
        if path:
            assert reject.error.startswith(f"not as the schema says at {path}: ")
            assert reject.column == column


def test_through_a_registry(registry, records_of):
    """A schema may refer to another one of the registry; nothing is looked for anywhere else."""
    registry.register("plane", '{"type": "object", "properties": {"seats": {"type": "integer"}}}', "JSON")
    text = '{"type": "object", "properties": {"plane": {"$ref": "plane.json"}}}'
    id = registry.register("f", text, "JSON", [Reference("plane.json", "plane", 1)])
    values = [framed(id, b'{"plane": {"seats": 3}}'), framed(id, b'{"plane": {"seats": "many"}}')]
    codec = open_codec("json-schema", registry=registry.url)
    decoded = codec.decode(records_of(values), None)
    assert decoded.batch.to_pylist() == [{"plane": {"seats": 3}}]
    (reject,) = decoded.rejects
    assert (reject.index, reject.schema_id) == (1, id)
    missing = registry.register("g", '{"$ref": "http://127.0.0.1:1/nowhere.json"}', "JSON")
    (reject,) = codec.decode(records_of([framed(missing, b"{}")]), None).rejects
    assert "not among the references" in reject.error


@pytest.mark.parametrize("text", ["{", '{"type": "nonsense"}', '{"$ref": "file:///etc/hostname"}'])
def test_schemas_that_are_none(text):
    """What is no JSON Schema is said so; no file is read for it."""
    with pytest.raises(dp.SchemaError, match="cannot be used"):
        JsonSchemaCodec(text)


def test_a_schema_apart_from_the_columns(records_of):
    """Where a column is of another kind so far, all of its records are rejects that name it."""
    decoded = JsonSchemaCodec(json.dumps(FLIGHT)).decode(records_of(lines({"n": 1})), pa.schema([("n", pa.string())]))
    assert [(reject.index, reject.column) for reject in decoded.rejects] == [(0, "n")]
