"""Protobuf that Google's library wrote becomes columns of the same values."""

from __future__ import annotations

import datetime as dt

import pytest
from google.protobuf import message_factory
from google.protobuf.message import DecodeError
from hypothesis import example, given, settings
from hypothesis import strategies as st

import dataplat as dp
from dataplat.connectors.codecs import open_codec
from dataplat.connectors.codecs._protobuf import ProtobufCodec
from servers.registry import Reference, framed

EVENT = """
syntax = "proto3";
package org.example;
import "google/protobuf/timestamp.proto";
import "google/protobuf/duration.proto";
import "google/protobuf/wrappers.proto";
enum Colour { NONE = 0; RED = 1; BLUE = 2; }
message Event {
  message Place { int32 x = 1; string name = 2; repeated Colour colours = 3; }
  int64 id = 1;
  uint64 big = 2;
  string text = 3;
  bytes raw = 4;
  double d = 5;
  float f = 6;
  bool ok = 7;
  Colour colour = 8;
  Place place = 9;
  repeated Place places = 10;
  map<string, int64> counts = 11;
  map<int32, Place> by_number = 12;
  oneof choice { string word = 13; sint32 number = 14; }
  google.protobuf.Timestamp at = 15;
  google.protobuf.Duration took = 16;
  optional int32 maybe = 17;
  repeated int64 many = 18;
  google.protobuf.Int64Value wrapped = 19;
  fixed64 fixed = 20;
}
message Other { int64 id = 1; string reason = 2; }
message Odd { string id = 1; }
"""


@pytest.fixture(scope="module")
def codec():
    """Return the codec of `EVENT`."""
    return ProtobufCodec(EVENT)


@pytest.fixture(scope="module")
def message(codec):
    """Return the class of messages, as Google's library has it."""
    return message_factory.GetMessageClass(codec._file.message_types_by_name["Event"])


def test_every_kind_of_field(codec, message, records_of):
    """Each kind of field has its value; what is not set is null where Protobuf can tell, else the kind's nothing."""
    one = message(id=-(2**63), big=2**64 - 1, text="é", raw=b"\xff", d=1.5, f=0.5, ok=True, colour="BLUE", number=0)
    one.place.x = 5
    one.places.add(name="a", colours=["RED", "NONE"])
    one.counts["k"] = 2**62
    one.by_number[-3].x = 1
    one.at.FromDatetime(dt.datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=dt.UTC))
    one.took.FromTimedelta(dt.timedelta(seconds=-1, microseconds=5))
    one.maybe = 0
    one.many.extend([1, -1])
    one.wrapped.value = 0
    one.fixed = 2**64 - 1
    decoded = codec.decode(records_of([b"\0" + one.SerializeToString(), b"\0"]), None)
    full, empty = decoded.batch.to_pylist()
    assert full == {
        "id": -(2**63),
        "big": 2**64 - 1,
        "text": "é",
        "raw": b"\xff",
        "d": 1.5,
        "f": 0.5,
        "ok": True,
        "colour": "BLUE",
        "place": {"x": 5, "name": "", "colours": []},
        "places": [{"x": 0, "name": "a", "colours": ["RED", "NONE"]}],
        "counts": [("k", 2**62)],
        "by_number": [(-3, {"x": 1, "name": "", "colours": []})],
        "word": None,
        "number": 0,
        "at": dt.datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=dt.UTC),
        "took": dt.timedelta(seconds=-1, microseconds=5),
        "maybe": 0,
        "many": [1, -1],
        "wrapped": 0,
        "fixed": 2**64 - 1,
    }
    unset = {"place", "word", "number", "at", "took", "maybe", "wrapped"}
    assert {name for name, value in empty.items() if value is None} == unset
    assert (empty["id"], empty["text"], empty["colour"], empty["many"]) == (0, "", "NONE", [])
    assert all(field.nullable for field in decoded.batch.schema)


NUMBERS = st.integers(-(2**63), 2**63 - 1)
PLACES = st.fixed_dictionaries(
    {},
    optional={
        "x": st.integers(-(2**31), 2**31 - 1),
        "name": st.text(max_size=5),
        "colours": st.lists(st.sampled_from(["NONE", "RED", "BLUE"]), max_size=3),
    },
)
EVENTS = st.fixed_dictionaries(
    {},
    optional={
        "id": NUMBERS,
        "big": st.integers(0, 2**64 - 1),
        "text": st.text(max_size=10),
        "raw": st.binary(max_size=10),
        "d": st.floats(allow_nan=False),
        "f": st.floats(width=32, allow_nan=False),
        "ok": st.booleans(),
        "colour": st.sampled_from(["NONE", "RED", "BLUE"]),
        "place": PLACES,
        "places": st.lists(PLACES, max_size=3),
        "counts": st.dictionaries(st.text(max_size=3), NUMBERS, max_size=3),
        "maybe": st.integers(-(2**31), 2**31 - 1),
        "many": st.lists(NUMBERS, max_size=4),
        "fixed": st.integers(0, 2**64 - 1),
    },
)
NOTHING = {"place": None, "maybe": None, "places": [], "counts": [], "many": []}
NOTHING |= {"id": 0, "big": 0, "text": "", "raw": b"", "d": 0.0, "f": 0.0, "ok": False, "colour": "NONE", "fixed": 0}


def place(given):
    """Return a place as its row."""
    return {"x": 0, "name": "", "colours": [], **given}


@settings(max_examples=150, deadline=None)
@given(events=st.lists(EVENTS, min_size=1, max_size=5))
def test_any_values(codec, message, records_of, events):
    """Whatever the values, columns have them."""
    values = [b"\0" + message(**event).SerializeToString() for event in events]
    rows = codec.decode(records_of(values), None).batch.to_pylist()
    for row, event in zip(rows, events, strict=True):
        for name, nothing in NOTHING.items():
            wanted = event.get(name, nothing)
            if name == "place" and wanted is not None:
                wanted = place(wanted)
            if name == "places":
                wanted = [place(one) for one in wanted]
            if name == "counts":
                assert dict(row[name]) == dict(wanted)
            else:
                assert row[name] == wanted


@settings(max_examples=150, deadline=None)
@given(body=st.binary(max_size=30))
@example(body=b"\x0b")
def test_any_bytes(codec, message, records_of, body):
    """What Google's library refuses is a reject, and what it takes is a row; nothing is ever raised."""
    decoded = codec.decode(records_of([b"\0" + body, b"\0"]), None)
    try:
        sound = message.FromString(body)
    except DecodeError:
        assert [reject.index for reject in decoded.rejects] == [0]
        return
    assert decoded.rows.tolist() == [0, 1]
    assert [row["id"] for row in decoded.batch.to_pylist()] == [sound.id, 0]


def test_bad_records_are_named(codec, message, records_of):
    """Half a message, no text, no path, no value: rejects; what is around them lands."""
    values = [b"\0" + message(id=i, text=f"row {i}").SerializeToString() for i in range(1000)]
    values[7] = values[7][:-1]
    values[400], values[401], values[402] = None, b"", b"\x1a\x02"
    values[403] = b"\0\x1a\x01\xff"
    values[999] = b"\x02\x08"
    decoded = codec.decode(records_of(values), None)
    bad = [7, 400, 401, 402, 403, 999]
    assert [reject.index for reject in decoded.rejects] == bad
    assert decoded.batch.column("id").to_pylist() == [i for i in range(1000) if i not in bad]
    assert "no such Protobuf message" in decoded.rejects[0].error
    assert "no message at this place" in decoded.rejects[-1].error


def test_which_message(codec, message, records_of):
    """The path behind the frame says which message it is, nested ones too; those that do not go together go aside."""
    other = message_factory.GetMessageClass(codec._file.message_types_by_name["Other"])
    odd = message_factory.GetMessageClass(codec._file.message_types_by_name["Odd"])
    inner = message_factory.GetMessageClass(codec._file.message_types_by_name["Event"].nested_types_by_name["Place"])
    values = [
        b"\x02\x00" + message(id=1).SerializeToString(),  # the long form of the first message
        b"\x02\x02" + other(id=2, reason="late").SerializeToString(),
        b"\x04\x00\x00" + inner(x=3).SerializeToString(),
        b"\x02\x04" + odd(id="four").SerializeToString(),
    ]
    decoded = codec.decode(records_of(values), None)
    rows = decoded.batch.select(["id", "reason", "x"]).to_pylist()
    assert [tuple(row.values()) for row in rows] == [(1, None, None), (2, "late", None), (None, None, 3)]
    (reject,) = decoded.rejects
    assert (reject.index, reject.column) == (3, "id")


def test_through_a_registry(registry, records_of):
    """A schema that imports another one is compiled with it, and its versions alternate in one topic."""
    registry.register("place", 'syntax = "proto3"; message Place { string name = 1; }', "PROTOBUF")
    text = 'syntax = "proto3"; import "places/place.proto"; message Flight { int32 n = 1; Place from = 2; }'
    first = registry.register("f", text, "PROTOBUF", [Reference("places/place.proto", "place", 1)])
    second = registry.register("f", 'syntax = "proto3"; message Flight { int64 n = 1; string tail = 3; }', "PROTOBUF")
    values = [
        framed(first, b"\0\x08\x01\x12\x03\x0a\x01a"),
        framed(second, b"\0\x08\x02\x1a\x01b"),
        framed(first, b"\0\x08\x03"),
    ]
    decoded = open_codec("protobuf", registry=registry.url).decode(records_of(values), None)
    assert decoded.batch.to_pylist() == [
        {"n": 1, "from": {"name": "a"}, "tail": None},
        {"n": 2, "from": None, "tail": "b"},
        {"n": 3, "from": None, "tail": ""} | {"tail": None},
    ]
    assert decoded.batch.schema.field("n").type == "int64"


def test_imports_that_need_no_reference(records_of):
    """What Confluent's converters and Google's types are imported by is there without being registered."""
    text = """
    syntax = "proto3";
    import "confluent/meta.proto";
    import "confluent/type/decimal.proto";
    import "google/type/date.proto";
    message Price { confluent.type.Decimal amount = 1 [(confluent.field_meta) = {doc: "x"}]; google.type.Date day = 2; }
    """
    value = b"\0\x0a\x07\x0a\x01\x05\x10\x0a\x18\x02\x12\x07\x08\xe4\x0f\x10\x02\x18\x1d"
    decoded = ProtobufCodec(text).decode(records_of([value]), None)
    (row,) = decoded.batch.to_pylist()
    assert row["amount"] == {"value": b"\x05", "precision": 10, "scale": 2}
    assert row["day"] == dt.date(2020, 2, 29)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('syntax = "proto3"; message A { nonsense', "cannot be compiled"),
        ('syntax = "proto3"; import "other.proto"; message A { int32 a = 1; }', "other.proto"),
    ],
)
def test_schemas_that_are_none(text, says):
    """What does not compile is said with the compiler's words."""
    with pytest.raises(dp.SchemaError, match=says):
        ProtobufCodec(text)


def test_a_reference_out_of_its_folder():
    """A reference may name no file outside of what is compiled."""
    with pytest.raises(dp.SchemaError, match="no name of a file"):
        ProtobufCodec('syntax = "proto3"; message A { int32 a = 1; }', {"../../evil.proto": "x"})


@pytest.mark.parametrize(
    ("fields", "says"),
    [("int32 a = 1; A next = 2;", "holds itself"), ("", "no fields")],
)
def test_messages_that_are_no_columns(records_of, fields, says):
    """A message that holds itself, or nothing, makes its records rejects."""
    codec = ProtobufCodec(f'syntax = "proto3"; message A {{ {fields} }}')
    (reject,) = codec.decode(records_of([b"\0"]), None).rejects
    assert says in reject.error
