"""Values as JSON, there and back: every type, to the last bit."""

import datetime as dt
import json
import math
import struct
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataplat._features._typed_json import column_of, said, schema, spelt
from dataplat.feature_store.online.raw import natural
from dataplat.feature_store.online.serve import OneRow
from dataplat.server._answers import Writer
from dataplat.server._compress import accepted

INT64 = st.integers(-(2**63) + 1, 2**63 - 1)
KINDS = {
    "float64": (pa.float64(), st.floats()),
    "float32": (pa.float32(), st.floats(width=32)),
    "int64": (pa.int64(), INT64),
    "uint64": (pa.uint64(), st.integers(0, 2**64 - 1)),
    "bool": (pa.bool_(), st.booleans()),
    "string": (pa.string(), st.text()),
    "binary": (pa.binary(), st.binary()),
    "decimal": (pa.decimal128(18, 3), st.decimals(-(10**14), 10**14, places=3)),
    "us": (pa.timestamp("us", "UTC"), INT64),
    "ns": (pa.timestamp("ns", "UTC"), INT64),
    "naive": (pa.timestamp("s"), st.integers(-(2**40), 2**40)),
    "date": (pa.date32(), st.integers(-(2**31) + 1, 2**31 - 1)),
    "date64": (pa.date64(), st.integers(-(10**6), 10**6).map(lambda days: days * 86_400_000)),
    "time": (pa.time64("us"), st.integers(0, 86_399_999_999)),
    "duration": (pa.duration("us"), st.integers(-(2**51), 2**51)),
    "floats": (pa.list_(pa.float64()), st.lists(st.none() | st.floats(), max_size=4)),
    "times": (pa.list_(pa.timestamp("us", "UTC")), st.lists(st.none() | INT64, max_size=3)),
}


def bits(value):
    """Return a value such that equal bits are equal, all NaN being one."""
    if isinstance(value, float):
        return "NaN" if math.isnan(value) else struct.pack("d", value)
    return [bits(each) for each in value] if isinstance(value, list) else value


def counts(column):
    """Return a column of times as counts, of others as it is."""
    kind = column.type
    if pa.types.is_temporal(kind):
        return column.cast(pa.int32() if kind.bit_width == 32 else pa.int64()).to_pylist()
    if pa.types.is_list(kind) and pa.types.is_temporal(kind.value_type):
        return column.cast(pa.list_(pa.int64())).to_pylist()
    return column.to_pylist()


@pytest.mark.parametrize("name", list(KINDS))
@settings(deadline=None, max_examples=40)
@given(data=st.data())
def test_there_and_back(name, data):
    """What a server writes of a column a client reads as the same column, to the last bit, of few rows and of many."""
    kind, values = KINDS[name]
    column = data.draw(st.lists(st.none() | values, min_size=1, max_size=30))
    write = Writer("m@1", {"x": kind, "y": pa.float64()})
    body = write.json({"x": column, "y": [0.5] * len(column)}, snapshot="s", sequence=1, t=1, stale=())
    told = json.loads(body, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
    assert told["t"] == "1970-01-01T00:00:00.000001Z"
    back = column_of(told["features"]["x"], kind)
    assert back.type == kind
    assert bits(counts(back)) == bits(counts(natural(column, kind)))


def test_statuses_and_ages():
    """Statuses are words, ages seconds; where they are not asked for they are not there."""
    write = Writer("m@1", {"x": pa.int64()})
    told = json.loads(write.json({"x": [1, None]}, snapshot="s", sequence=7, t=0, stale=("v",), statuses={"x": [0, 3]}, ages={"x": [1_500_000, None]}))  # fmt: skip
    assert told["statuses"] == {"x": ["present", "missing_key"]}
    assert told["ages"] == {"x": [1.5, None]}
    assert (told["stale"], told["sequence"]) == (["v"], 7)


def test_the_word_null_in_a_text_is_no_nan():
    """Texts that look like what NaN becomes are left as they are."""
    write = Writer("m@1", {"x": pa.string(), "y": pa.float64()})
    told = json.loads(write.json({"x": ["null"], "y": [math.inf]}, snapshot="s", sequence=0, t=0, stale=()))
    assert told["features"] == {"x": ["null"], "y": ["Infinity"]}


def test_sums_that_overflow_are_no_infinity():
    """Finite values that add up to infinity stay what they are."""
    column = [1.7e308] * 40
    write = Writer("m@1", {"x": pa.float64()})
    told = json.loads(write.json({"x": column}, snapshot="s", sequence=0, t=0, stale=()))
    assert told["features"]["x"] == column


def test_one_row_after_another():
    """What is used again for the next row holds nothing of the last one, from threads too; times are each their own."""
    places = {"x": 0, "y": 1}
    write = Writer("m@1", {"x": pa.float64(), "y": pa.string()})

    def asked(at):
        row = (None if at % 3 == 0 else math.nan if at % 3 == 1 else at / 8, None if at % 2 else f"s{at}")
        told = json.loads(write.json(OneRow(places, row), snapshot="s", sequence=at, t=at * 700_000, stale=()))
        wanted = {"x": ["NaN" if at % 3 == 1 else row[0]], "y": [row[1]]}
        seconds, rest = divmod(at * 700_000, 1_000_000)
        time = dt.datetime.fromtimestamp(seconds, dt.UTC).strftime("%Y-%m-%dT%H:%M:%S")
        return (told["features"], told["sequence"], told["t"]) == (wanted, at, f"{time}.{rest:06d}Z")

    assert all(map(asked, range(50)))
    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(asked, range(2000)))


@settings(deadline=None, max_examples=40)
@given(st.recursive(st.none() | st.floats() | st.text(max_size=3), lambda inner: st.lists(inner, max_size=3)))
def test_words_at_any_depth(value):
    """After spelling nothing is left that JSON has no numbers for, and all else is as it was."""
    assert json.loads(json.dumps(spelt(value), allow_nan=False)) == spelt(value)


def test_what_a_client_says():
    """Values of Python are said as the server reads them."""
    assert said([math.nan, -math.inf, 1.5]) == ["NaN", "-Infinity", 1.5]
    assert said(dt.timedelta(milliseconds=1500)) == 1.5
    assert said({"x": (Decimal("1.50"), b"a")}) == {"x": [Decimal("1.50"), b"a"]}


@pytest.mark.parametrize("name", list(KINDS))
def test_every_type_has_a_schema(name):
    """The document says of every type what its JSON is."""
    assert schema(KINDS[name][0])


@pytest.mark.parametrize(
    ("header", "coding"),
    [
        (b"gzip", "gzip"),
        (b"GZIP, zstd", "zstd"),
        (b"zstd;q=0.1, gzip;q=0.2", "gzip"),
        (b"*;q=0", None),
        (b"*, zstd;q=0", "gzip"),
        (b"", None),
        (b"gzip;q=2, ;;,,", None),
        (b"x-gzip", "gzip"),
    ],
)
def test_codings(header, coding):
    """The coding is chosen by weight, as RFC 9110 has it; what cannot be read counts for nothing."""
    assert accepted(header) == coding
