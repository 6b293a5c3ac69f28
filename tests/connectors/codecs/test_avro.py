"""Avro in blocks gives what fastavro gives one by one, and says of each record that is none what is wrong with it."""

from __future__ import annotations

import datetime as dt
import decimal
import io
import uuid
from itertools import count

import fastavro
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dataplat as dp
from dataplat.connectors.codecs import open_codec
from dataplat.connectors.codecs._avro import AvroCodec
from dataplat.connectors.codecs._avro_wire import avro_columns

FLIGHT = {
    "type": "record",
    "name": "org.example.Flight",
    "fields": [
        {"name": "id", "type": "long"},
        {"name": "carrier", "type": {"type": "enum", "name": "Carrier", "symbols": ["UA", "AA"]}},
        {"name": "delay", "type": ["null", "double"]},
        {"name": "codes", "type": {"type": "map", "values": "int"}},
    ],
}


def flight(i):
    """Return a record of `FLIGHT`."""
    return {"id": i, "carrier": ("UA", "AA")[i % 2], "delay": None if i % 3 == 0 else i / 4, "codes": {"a": i}}


# --------------------------------------------------------------------------- any schema that can be columns


UTC = dt.UTC
DAYS = st.dates(dt.date(1, 1, 1), dt.date(9999, 12, 31))
TIMES = st.times()
MOMENTS = st.datetimes(dt.datetime(1700, 1, 1), dt.datetime(2250, 1, 1))  # noqa: DTZ001 (local ones have no zone)


def whole_ms(moment):
    """Return a time without its microseconds."""
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


SCALARS = [
    ("boolean", st.booleans()),
    ("int", st.integers(-(2**31), 2**31 - 1)),
    ("long", st.integers(-(2**63), 2**63 - 1)),
    ("float", st.floats(width=32, allow_nan=False)),
    ("double", st.floats(allow_nan=False)),
    ("bytes", st.binary(max_size=20)),
    ("string", st.text(max_size=10)),
    ({"type": "string"}, st.text(max_size=10)),
    ({"type": "int", "logicalType": "date"}, DAYS),
    ({"type": "int", "logicalType": "time-millis"}, TIMES.map(whole_ms)),
    ({"type": "long", "logicalType": "time-micros"}, TIMES),
    ({"type": "long", "logicalType": "timestamp-millis"}, MOMENTS.map(lambda m: whole_ms(m).replace(tzinfo=UTC))),
    ({"type": "long", "logicalType": "timestamp-micros"}, MOMENTS.map(lambda m: m.replace(tzinfo=UTC))),
    ({"type": "long", "logicalType": "local-timestamp-millis"}, MOMENTS.map(whole_ms)),
    ({"type": "long", "logicalType": "local-timestamp-micros"}, MOMENTS),
    ({"type": "string", "logicalType": "uuid"}, st.uuids()),
    (
        {"type": "bytes", "logicalType": "decimal", "precision": 30, "scale": 4},
        st.integers(1 - 10**30, 10**30 - 1).map(lambda n: decimal.Decimal(n).scaleb(-4, decimal.Context(prec=40))),
    ),
]


@st.composite
def types(draw, names, known, depth=2):
    """Draw a type, and how its values are drawn; a name that is known already may be used again."""
    choices = ["scalar", "scalar", "enum", "fixed", "null", *(["known"] if known else [])]
    choices += ["array", "map", "record", "nullable"] if depth else []
    chosen = draw(st.sampled_from(choices))
    if chosen == "scalar":
        return draw(st.sampled_from(SCALARS))
    if chosen == "null":
        return "null", st.none()
    if chosen == "known":
        return draw(st.sampled_from(known))
    if chosen in {"array", "map", "nullable"}:
        return draw(around(chosen, names, known, depth - 1))
    return draw(named(chosen, names, known, depth - 1))


@st.composite
def around(draw, chosen, names, known, depth):
    """Draw a type around another one."""
    inner, values = draw(types(names, known, 0 if chosen == "nullable" else depth))
    if chosen != "map" and inner == "null":  # (no `filter`: names that are drawn in vain would stay known)
        inner, values = "boolean", st.booleans()
    if chosen == "array" and not takes_bytes(inner):
        inner, values = ["null", inner], st.none() | values
    if chosen == "nullable":
        return draw(st.permutations(["null", inner])), st.none() | values
    if chosen == "array":
        return {"type": "array", "items": inner}, st.lists(values, max_size=3)
    return {"type": "map", "values": inner}, st.dictionaries(st.text(max_size=3), values, max_size=3)


@st.composite
def named(draw, chosen, names, known, depth):
    """Draw a type that has a name."""
    name = f"N{next(names)}"
    if chosen == "record":
        return draw(records(names, known, depth))
    if chosen == "enum":
        symbols = draw(st.lists(st.sampled_from("ABCDEF"), min_size=1, unique=True))
        schema, values = {"type": "enum", "name": name, "symbols": symbols}, st.sampled_from(symbols)
    else:
        size = draw(st.integers(1, 9))
        schema = {"type": "fixed", "name": name, "size": size}
        values = st.binary(min_size=size, max_size=size)
    known.append((name, values))
    return schema, values


def takes_bytes(schema):
    """Whether each value surely takes some."""
    return isinstance(schema, list) or (schema != "null" and not (isinstance(schema, dict) and "fields" in schema))


@st.composite
def records(draw, names, known, depth=2):
    """Draw a record's schema, and how its values are drawn."""
    made = [draw(types(names, known, depth)) for _ in range(draw(st.integers(1, 4)))]
    fields = [{"name": f"f{i}", "type": schema} for i, (schema, _) in enumerate(made)]
    values = st.fixed_dictionaries({f"f{i}": drawn for i, (_, drawn) in enumerate(made)})
    return {"type": "record", "name": f"N{next(names)}", "fields": fields}, values


@st.composite
def cases(draw):
    """Draw a schema, and some records of it."""
    schema, values = draw(records(count(), []))
    return schema, draw(st.lists(values, min_size=1, max_size=5))


def plain(value):
    """Return a value of fastavro as Arrow gives it."""
    if isinstance(value, uuid.UUID):
        return str(value)
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    return value


def same_maps(value, kind):
    """Return a value of Arrow with maps as dictionaries."""
    if value is None:
        return None
    if pa.types.is_map(kind):
        return {key: same_maps(inner, kind.item_type) for key, inner in value}
    if pa.types.is_list(kind):
        return [same_maps(inner, kind.value_type) for inner in value]
    if pa.types.is_struct(kind):
        return {field.name: same_maps(value[field.name], field.type) for field in kind}
    return value


@settings(max_examples=300, deadline=None)
@given(case=cases())
def test_any_schema(case, records_of, avro):
    """Whatever the schema, columns hold exactly the values that fastavro reads, and nothing goes record by record."""
    schema, values = case
    bodies = [avro(schema, value) for value in values]
    read = [fastavro.schemaless_reader(io.BytesIO(body), fastavro.parse_schema(schema), None) for body in bodies]
    codec = AvroCodec(schema)
    assert codec._together(records_of(bodies).values) is not None
    decoded = codec.decode(records_of(bodies), None)
    kind = pa.struct(list(decoded.batch.schema))
    assert [same_maps(row, kind) for row in decoded.batch.to_pylist()] == [plain(value) for value in read]
    alone = [codec._one(body) for body in bodies]
    assert [row.to_pylist()[0] for row in alone] == decoded.batch.to_pylist()
    decoded.batch.validate(full=True)


@settings(max_examples=100, deadline=None)
@given(case=cases(), data=st.data())
def test_any_damage(case, data, records_of, avro):
    """A record that fastavro cannot read, or with bytes left over, is a reject; all the others are rows as they were."""
    schema, values = case
    bodies = [avro(schema, value) for value in values] * 3
    codec = AvroCodec(schema)
    sound = codec.decode(records_of(bodies), None).batch.to_pylist()
    hurt = data.draw(st.integers(0, len(bodies) - 1))
    if data.draw(st.booleans()) and bodies[hurt]:
        bodies[hurt] = bodies[hurt][:-1]
    else:
        bodies[hurt] += data.draw(st.binary(min_size=1, max_size=3))
    decoded = codec.decode(records_of(bodies), None)
    assert [reject.index for reject in decoded.rejects] in ([hurt], [])
    others = [i for i in range(len(bodies)) if i != hurt]
    rows = dict(zip(decoded.rows.tolist(), decoded.batch.to_pylist(), strict=True))
    assert [rows[i] for i in others] == [sound[i] for i in others]
    if not decoded.rejects:  # one byte less is another record of the schema only where nothing is left of it
        stream = io.BytesIO(bodies[hurt])
        fastavro.schemaless_reader(stream, fastavro.parse_schema(schema), None)
        assert stream.tell() == len(bodies[hurt])


# ------------------------------------------------------------------------------------------------ one by one


def test_types():
    """Types are those of Avro files."""
    schema = avro_columns(FLIGHT)
    assert schema.names == ["id", "carrier", "delay", "codes"]
    assert schema.types == [pa.int64(), pa.string(), pa.float64(), pa.map_(pa.string(), pa.int32())]


def test_bad_records_are_named(records_of, avro):
    """Half a record, bytes left over, no value, no text, a number too large: rejects; what is around them lands."""
    schema = {
        "type": "record",
        "name": "r",
        "fields": [{"name": "n", "type": "int"}, {"name": "s", "type": "string"}],
    }
    good = [avro(schema, {"n": i, "s": f"row {i}"}) for i in range(1000)]
    bad = {
        7: (good[7][:-2], "ends within"),
        8: (good[8] + b"xyz", "3 bytes are left"),
        400: (None, "no value"),
        401: (b"", "ends within"),
        402: (b"\x02\x02\xff", "no Avro record"),
        999: (avro({**schema, "fields": [{"name": "n", "type": "long"}]}, {"n": 2**40}) + b"\x02a", "column 'n'"),
    }
    values = [bad[i][0] if i in bad else value for i, value in enumerate(good)]
    decoded = AvroCodec(schema).decode(records_of(values), None)
    assert {reject.index for reject in decoded.rejects} == bad.keys()
    for reject in decoded.rejects:
        assert bad[reject.index][1] in reject.error, reject
    assert decoded.batch.column("n").to_pylist() == [i for i in range(1000) if i not in bad]
    assert decoded.rows.tolist() == [i for i in range(1000) if i not in bad]


def test_two_wrongs(records_of, avro):
    """A record with a byte too many, followed by one with a byte too few, is not read as two others."""
    schema = {"type": "record", "name": "r", "fields": [{"name": "s", "type": "string"}]}
    values = [avro(schema, {"s": text}) for text in ("aa", "bb")]
    values = [values[0] + values[1][:1], values[1][1:]]
    assert len(AvroCodec(schema).decode(records_of(values), None).rejects) == 2


def test_an_enum_beyond_its_symbols(records_of, avro):
    """A number that is no symbol is a reject that names the column."""
    values = [avro(FLIGHT, flight(i)) for i in range(100)]
    values[50] = values[50][:1] + b"\x08" + values[50][2:]
    (reject,) = AvroCodec(FLIGHT).decode(records_of(values), None).rejects
    assert reject.index == 50
    assert reject.column == "carrier"


@pytest.mark.parametrize(("every", "blocks"), [(20_000, 30), (50, 30), (1, 30)])
def test_few_are_tried_alone(records_of, avro, monkeypatch, every, blocks):
    """Of a block with one bad record an eighth is looked at one by one, and however many there are, few blocks are tried."""
    looked, tried = [], []
    wrong, together = AvroCodec._wrong, AvroCodec._together
    monkeypatch.setattr(AvroCodec, "_wrong", lambda self, body: looked.append(1) or wrong(self, body))
    monkeypatch.setattr(AvroCodec, "_together", lambda self, bodies: tried.append(1) or together(self, bodies))
    values = [avro(FLIGHT, flight(i)) for i in range(20_000)]
    bad = range(7 if every > 1 else 0, 20_000, every)
    for i in bad:
        values[i] = values[i][:-1]
    decoded = AvroCodec(FLIGHT).decode(records_of(values), None)
    assert [reject.index for reject in decoded.rejects] == list(bad)
    assert decoded.batch.column("id").to_pylist() == sorted(set(range(20_000)) - set(bad))
    assert len(looked) == (2500 if every == 20_000 else 20_000)
    assert len(tried) <= blocks


def test_sound_records_of_what_is_no_row(records_of, avro):
    """Records that are sound, with numbers that are too large, are found among others as well."""
    wide = {"type": "record", "name": "r", "fields": [{"name": "n", "type": "long"}]}
    narrow = {"type": "record", "name": "r", "fields": [{"name": "n", "type": "int"}]}
    bad = {5, 2000, 2001, 4999}
    values = [avro(wide, {"n": 2**40 if i in bad else i}) for i in range(5000)]
    decoded = AvroCodec(narrow).decode(records_of(values), None)
    assert [(reject.index, reject.column) for reject in decoded.rejects] == [(i, "n") for i in sorted(bad)]
    assert decoded.batch.column("n").to_pylist() == [i for i in range(5000) if i not in bad]


def test_no_record_at_all(records_of, avro):
    """A schema that is no record gives one column, `value`."""
    decoded = AvroCodec.of_text('"string"').decode(records_of([avro("string", "é")]), None)
    assert decoded.batch.to_pylist() == [{"value": "é"}]


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        (["int", "string"], "union"),
        ({"type": "array", "items": "null"}, "no bytes"),
        ({"type": "array", "items": "T"}, "holds itself"),
        ("Other", "not defined"),
        ({"type": "bytes", "logicalType": "decimal", "precision": 77, "scale": 2}, "precision"),
        ({"type": "enum"}, "cannot be read"),
    ],
)
def test_schemas_that_are_no_columns(kind, says):
    """What cannot be a column is said so."""
    with pytest.raises(dp.SchemaError, match=says):
        AvroCodec({"type": "record", "name": "T", "fields": [{"name": "a", "type": kind}]})


def test_without_a_registry(records_of, avro):
    """`--schema FILE.avsc` reads messages that are nothing but the record."""
    codec = open_codec("avro", schema=avro_columns(FLIGHT))
    decoded = codec.decode(records_of([avro(FLIGHT, flight(i)) for i in range(10)]), None)
    assert decoded.batch.column("id").to_pylist() == list(range(10))
    with pytest.raises(dp.ConfigError, match="--registry URL.*FILE.avsc"):
        open_codec("avro")
    with pytest.raises(dp.ConfigError, match="--registry URL"):
        open_codec("avro", schema=pa.schema([("a", pa.int64())]))
