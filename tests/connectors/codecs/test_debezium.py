"""Change events: what each message says of a row, and what is no event."""

from __future__ import annotations

import base64
import json
from decimal import Decimal

import hypothesis.strategies as st
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given

import dataplat as dp
from dataplat.connectors.codecs import Records, open_codec
from dataplat.connectors.codecs._connect import meanings
from dataplat.connectors.codecs._envelopes import _Event, _read
from dataplat.connectors.kafka._cut import without_taken_back


def records(*messages):
    """Return records of (key, value), each as JSON, None or bytes."""
    keys, values = zip(*messages, strict=True)
    count = len(messages)
    offsets = np.arange(count, dtype=np.int64)
    return Records("t", 0, offsets, np.zeros(count, np.int64), _bytes(keys), _bytes(values))


def _bytes(values):
    plain = [one if one is None or isinstance(one, bytes) else json.dumps(one).encode() for one in values]
    return pa.array(plain, pa.binary())


def test_rows_and_keys():
    """Rows are what they became, deletes the keys of what went, by the message key or else by the row before."""
    decoded = open_codec("debezium").decode(
        records(
            ({"id": 1}, {"op": "c", "after": {"id": 1, "a": "x"}}),
            ({"id": 2}, {"op": "d", "before": {"id": 2, "a": "y"}}),
            (None, {"op": "d", "before": {"id": 3, "a": "y"}}),
            ({"id": 4}, None),
            ({"id": 5}, {"op": "m"}),
            ({"id": 6}, {"op": "r", "after": {"id": 6}}),
        ),
        None,
    )
    assert decoded.batch.to_pylist() == [{"id": 1, "a": "x"}, {"id": 6, "a": None}]
    assert decoded.rows.tolist() == [0, 5]
    assert (decoded.deletes.to_pylist(), decoded.deleted.tolist()) == ([{"id": 2}, {"id": 3}, {"id": 4}], [1, 2, 3])
    assert not decoded.rejects


def test_a_key_of_ones_own():
    """Where the message key has not the columns that name a row, the row before says which one went."""
    decoded = open_codec("debezium", key=("a", "b")).decode(
        records(
            ({"id": 1}, {"op": "d", "before": {"id": 1, "a": 1, "b": 2}}),
            ({"id": 2}, {"op": "d", "before": {"id": 1, "a": 1}}),
            ({"id": 3}, {"op": "d", "before": None}),
        ),
        None,
    )
    assert decoded.deletes.to_pylist() == [{"a": 1, "b": 2}]
    assert [reject.index for reject in decoded.rejects] == [1, 2]


def test_no_key_at_all():
    """Where no message has a key it has to be named; so is one that is a single value."""
    for key in (None, 5):
        with pytest.raises(dp.KeyViolation, match=r"t\[0\]@0: .*--key"):
            open_codec("debezium").decode(records((key, {"op": "c", "after": {"id": 1}})), None)


def test_tombstones_without_their_key():
    """A tombstone whose key has not the columns that name a row says nothing of any row."""
    codec = open_codec("debezium", key=("a",))
    decoded = codec.decode(records(({"id": 1}, None), (None, None), ({"id": 2}, {"op": "c", "after": {"a": 1}})), None)
    assert (decoded.batch.to_pylist(), decoded.deletes.num_rows, decoded.rejects) == ([{"a": 1}], 0, [])


@pytest.mark.parametrize("unsent", ["__debezium_unavailable_value", "X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ=="])
def test_values_that_were_not_sent(unsent):
    """A row with a value that stands for one that did not change is a reject that names the column: it is not whole."""
    decoded = open_codec("debezium").decode(
        records(
            ({"id": 1}, {"op": "u", "after": {"id": 1, "a": "x", "b": ["y"]}}),
            ({"id": 2}, {"op": "u", "after": {"id": 2, "a": unsent, "b": ["y"]}}),
            ({"id": 3}, {"op": "u", "after": {"id": 3, "a": "x", "b": [unsent]}}),
            ({"id": 4}, {"op": "u", "after": {"id": 4, "a": "x", "b": None}}),
        ),
        None,
    )
    assert [row["id"] for row in decoded.batch.to_pylist()] == [1, 4]
    assert [(reject.index, reject.column) for reject in decoded.rejects] == [(1, "a"), (2, "b")]
    assert all("was not sent" in reject.error for reject in decoded.rejects)


def test_values_that_were_not_sent_in_bytes():
    """So it is with bytes, whose schema says that they are such."""
    fields = [{"field": "id", "type": "int32"}, {"field": "a", "type": "bytes"}]
    after = {"id": 1, "a": base64.b64encode(b"__debezium_unavailable_value").decode()}
    value = {
        "schema": {"fields": [{"field": "after", "type": "struct", "fields": fields}]},
        "payload": {"op": "u", "after": after},
    }
    decoded = open_codec("debezium").decode(records(({"id": 1}, value)), None)
    assert not len(decoded.rows)
    assert [(reject.index, reject.column) for reject in decoded.rejects] == [(0, "a")]


def test_events_of_mongodb():
    """Rows that are texts of JSON, as MongoDB's are, are rejects that say so; none gets lost."""
    row = '{"_id": {"$oid": "1"}, "a": 1}'
    decoded = open_codec("debezium").decode(
        records(({"id": "1"}, {"op": "c", "after": row}), ({"id": "2"}, {"op": "u", "after": None})), None
    )
    assert [reject.index for reject in decoded.rejects] == [0, 1]
    assert "MongoDB" in decoded.rejects[0].error


def test_types_of_keys_follow_the_rows():
    """A key is deleted with the type that the column has; one that does not fit it is a reject."""
    like = pa.schema([("id", pa.int16()), ("a", pa.int64())])
    decoded = open_codec("debezium", key=("id",)).decode(
        records(({"id": 5}, {"op": "d", "before": None}), ({"id": "x"}, {"op": "d", "before": None})), like
    )
    assert decoded.deletes.schema.field("id").type == pa.int16()
    assert (decoded.deletes.to_pylist(), [reject.index for reject in decoded.rejects]) == ([{"id": 5}], [1])


def test_rows_with_and_without_schema():
    """Messages that bring different schemas, or none, are rows of one schema, in their order."""
    wrap = lambda kind, id: {  # noqa: E731
        "schema": {"fields": [{"field": "after", "type": "struct", "fields": [{"field": "id", "type": kind}]}]},
        "payload": {"op": "c", "after": {"id": id}},
    }
    decoded = open_codec("debezium", key=("id",)).decode(
        records(
            *((None, wrap(("int32", "int64")[i % 2], i)) for i in range(6)), (None, {"op": "c", "after": {"id": 6}})
        ),
        None,
    )
    assert decoded.batch.to_pylist() == [{"id": i} for i in range(7)]
    assert decoded.batch.schema.field("id").type == pa.int64()


@given(
    st.lists(
        st.sampled_from([b'{"op":"c"}', b'{"op":"d","after":[{}', b"{}]}", b"{},{}", b"", b"5", b"null", b"]", b"{}"])
    )
)
def test_messages_that_are_joined_stay_apart(texts):
    """Each message is what it is alone, whatever lies beside it."""
    found = _read(texts, _Event)
    assert [one.op if isinstance(one, _Event) else None for one in found] == [
        "c" if text == b'{"op":"c"}' else None for text in texts
    ]
    assert [isinstance(one, _Event) for one in found] == [text in {b'{"op":"c"}', b"{}"} for text in texts]


@given(st.lists(st.none() | st.integers(-(10**30), 10**30)), st.integers(0, 9))
def test_decimals(numbers, scale):
    """A number of up to 38 digits comes back exactly from its bytes."""
    texts = [
        None if n is None else base64.b64encode(n.to_bytes(n.bit_length() // 8 + 1, "big", signed=True)).decode()
        for n in numbers
    ]
    name = "org.apache.kafka.connect.data.Decimal"
    (meaning,) = meanings([{"field": "d", "type": "bytes", "name": name, "parameters": {"scale": str(scale)}}]).values()
    found = meaning.convert(pa.array(texts, meaning.read))
    assert found.type == pa.decimal128(38, scale)
    assert found.to_pylist() == [None if n is None else Decimal(f"{n}E-{scale}") for n in numbers]


def test_nested_values():
    """What a schema says of lists and structs within a row holds there, too."""
    day = {"type": "int32", "name": "io.debezium.time.Date", "field": "day"}
    fields = [{"field": "s", "type": "struct", "fields": [day]}, {"field": "l", "type": "array", "items": day}]
    found = meanings(fields)
    structs = pa.array([{"day": 1}, None, {"day": None}], found["s"].read)
    lists = pa.array([[1, None], None, []], found["l"].read)
    assert found["s"].convert(structs.slice(1)).to_pylist() == [None, {"day": None}]
    assert [len(one or []) for one in found["l"].convert(lists).to_pylist()] == [2, 0, 0]
    assert found["l"].convert(lists.slice(1)).to_pylist() == [None, []]


@given(st.lists(st.tuples(st.sampled_from(["", "d", "tombstone"]), st.integers(0, 4)), max_size=30))
def test_rows_that_are_taken_away_again(history):
    """Of rows and deletes of one block, what is left gives the same table where the deletes come first."""
    messages = [
        ({"id": id}, {"": {"op": "c", "after": {"id": id, "n": n}}, "d": {"op": "d"}, "tombstone": None}[gone])
        for n, (gone, id) in enumerate(history)
    ]
    messages.append(({"id": 9}, None))
    decoded = without_taken_back(open_codec("debezium", key=("id",)).decode(records(*messages), None))
    wanted = {}
    for n, (gone, id) in enumerate(history):
        wanted.pop(id, None)
        wanted.update({} if gone else {id: n})
    assert {row["id"]: row["n"] for row in decoded.batch.to_pylist()} == wanted
    assert {row["id"] for row in decoded.deletes.to_pylist()} == {9, *(id for gone, id in history if gone)}
