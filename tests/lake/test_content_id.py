"""Row digests and the content id: the vectorised implementation is the oracle's, and equal values digest equally."""

from __future__ import annotations

import threading
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dataplat.errors import ConfigError, SchemaError
from dataplat.lake import _hashing_arrays, _hashing_scalars
from dataplat.lake.content_id import content_id, digest, digest_of, key_digests, row_digests
from dataplat.lake.digest import Digest
from dataplat.testing import content_id as oracle

INT64 = st.integers(-(2**63), 2**63 - 1) | st.integers(-3, 3)
INT32 = st.integers(0, 3) | st.integers(0, 86_399)
FLOATS = st.floats() | st.sampled_from([0.0, -0.0, float("nan"), 1.0])
TEXTS = st.text(max_size=3) | st.text(min_size=17, max_size=300) | st.sampled_from(["", "a", "aa"])
BYTES = st.binary(max_size=20)


def decimals(precision, scale):
    """Decimals of that type."""
    most = 10**precision - 1
    return st.integers(-most, most).map(lambda n: Decimal(n).scaleb(-scale) if abs(n) < 10**27 else _exact(n, scale))


def _exact(unscaled, scale):
    digits = tuple(map(int, str(abs(unscaled))))
    return Decimal((int(unscaled < 0), digits, -scale))


SCALARS = [
    (pa.null(), st.none()),
    (pa.bool_(), st.booleans()),
    (pa.int8(), st.integers(-128, 127)),
    (pa.uint16(), st.integers(0, 65_535)),
    (pa.int32(), st.integers(-(2**31), 2**31 - 1)),
    (pa.int64(), INT64),
    (pa.uint64(), st.integers(0, 2**64 - 1) | st.sampled_from([2**63 - 1, 2**63])),
    (pa.float16(), st.floats(width=16).map(np.float16)),
    (pa.float32(), st.floats(width=32)),
    (pa.float64(), FLOATS),
    (pa.decimal32(7, 2), decimals(7, 2)),
    (pa.decimal64(18, 0), decimals(18, 0)),
    (pa.decimal128(38, 9), decimals(38, 9) | decimals(18, 9)),
    (pa.decimal256(70, 9), decimals(70, 9) | decimals(19, 9)),
    (pa.string(), TEXTS),
    (pa.large_string(), TEXTS),
    (pa.string_view(), TEXTS),
    (pa.binary(), BYTES),
    (pa.binary_view(), BYTES),
    (pa.binary(5), st.binary(min_size=5, max_size=5)),
    (pa.date32(), INT32),
    (pa.date64(), INT32.map(lambda day: day * 86_400_000)),
    (pa.time32("ms"), INT32),
    (pa.time64("ns"), INT32),
    (pa.timestamp("s"), INT64),
    (pa.timestamp("ms", "UTC"), INT64),
    (pa.timestamp("us", "Europe/Berlin"), INT64),
    (pa.timestamp("ns", "UTC"), INT64),
    (pa.duration("s"), INT64),
    (pa.duration("ns"), INT64),
]
ENCODABLE = (pa.int64(), pa.string(), pa.timestamp("ns", "UTC"), pa.decimal128(38, 9))


def nested(kinds):
    """Types made of other types."""
    names = st.lists(st.text(max_size=3), max_size=3, unique=True)
    lists = st.sampled_from([pa.list_, pa.large_list, pa.list_view, pa.large_list_view])
    return st.one_of(
        st.tuples(lists, kinds).map(lambda pair: (pair[0](pair[1][0]), st.lists(maybe(pair[1][1]), max_size=4))),
        kinds.map(lambda kind: (pa.list_(kind[0], 2), st.lists(maybe(kind[1]), min_size=2, max_size=2))),
        st.tuples(names, st.lists(kinds, min_size=3, max_size=3)).map(_struct),
        kinds.map(lambda kind: (pa.map_(pa.string(), kind[0]), st.lists(st.tuples(TEXTS, maybe(kind[1])), max_size=3))),
    )


def maybe(values):
    """Values or nulls."""
    return st.none() | values


def _struct(drawn):
    names, kinds = drawn
    fields = list(zip(names, kinds, strict=False))
    kind = pa.struct([pa.field(name, child[0]) for name, child in fields])
    return kind, st.fixed_dictionaries({name: maybe(child[1]) for name, child in fields})


KINDS = st.recursive(st.sampled_from(SCALARS), nested, max_leaves=4)


@st.composite
def columns(draw, rows):
    """A column of any type and encoding, cut out of a longer one."""
    kind, values = draw(KINDS)
    before = draw(st.integers(0, 9))
    size = before + rows + draw(st.integers(0, 2))
    column = pa.array(draw(st.lists(maybe(values), min_size=size, max_size=size)), kind)
    if kind in ENCODABLE:
        encode = draw(st.sampled_from([None, pc.dictionary_encode, pc.run_end_encode]))
        column = encode(column) if encode else column
    return column.slice(before, rows)


@st.composite
def batches(draw):
    """A record batch of a few columns with any names."""
    rows = draw(st.integers(0, 7))
    names = draw(st.lists(st.text(max_size=4), min_size=1, max_size=3, unique=True))
    return pa.record_batch([draw(columns(rows)) for _ in names], names=names)


def pairs(digests):
    """The lanes as tuples of Python integers."""
    return [tuple(row) for row in digests.tolist()]


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(batches(), st.data())
def test_the_oracle_agrees(batch, data):
    """Over any nested schema, encoding, slice and chunking, digests are the oracle's."""
    expected = oracle.row_digests(batch)
    assert pairs(row_digests(batch)) == expected
    cut = data.draw(st.integers(0, batch.num_rows))
    parts = [batch.slice(0, cut), batch.slice(cut)]
    assert [row for part in parts for row in pairs(row_digests(part))] == expected
    total = digest(parts)
    assert (total.rows, total.lane0, total.lane1) == oracle.digest([batch])
    assert digest_of(row_digests(batch)) == total
    assert content_id(total, batch.schema) == oracle.content_id([batch], batch.schema)


def one(values, kind=None):
    """The digests of a single column `a`."""
    array = values if isinstance(values, (pa.Array, pa.ChunkedArray)) else pa.array(values, kind)
    return pairs(row_digests(pa.record_batch([array], names=["a"])))


INSTANTS = [0, 1, -1, None, 1_767_225_600]
SAME = {
    "integers of any width": [
        ([0, 1, 2, None, 100], kind)
        for kind in (pa.int8(), pa.uint8(), pa.int16(), pa.uint16(), pa.int32(), pa.uint32(), pa.int64(), pa.uint64())
    ],
    "floats of any width": [
        ([0.5, -0.0, float("nan"), None, 2.0], pa.float16()),
        ([0.5, 0.0, float("nan"), None, 2.0], pa.float32()),
        ([0.5, -0.0, -float("nan"), None, 2.0], pa.float64()),
    ],
    "decimals of any precision": [
        ([Decimal("1.5"), Decimal("-0.5"), None], kind(9, 2))
        for kind in (pa.decimal32, pa.decimal64, pa.decimal128, pa.decimal256)
    ],
    "strings of any layout": [(["a", "", None, "é"], k) for k in (pa.string(), pa.large_string(), pa.string_view())],
    "binaries of any layout": [
        ([b"abcd", b"\xff\0\0\0", None], k) for k in (pa.binary(), pa.large_binary(), pa.binary_view(), pa.binary(4))
    ],
    "instants of any zone and unit": [
        ([None if i is None else i * factor for i in INSTANTS], pa.timestamp(unit, zone))
        for unit, factor in (("s", 1), ("ms", 1_000), ("us", 1_000_000), ("ns", 1_000_000_000))
        for zone in ("UTC", "Europe/Berlin", "+05:30", "Etc/UTC")
    ],
    "dates": [([0, -1, None], pa.date32()), ([0, -86_400_000, None], pa.date64())],
    "times of any unit": [
        ([0, 1, None], pa.time32("s")),
        ([0, 1_000, None], pa.time32("ms")),
        ([0, 1_000_000, None], pa.time64("us")),
        ([0, 1_000_000_000, None], pa.time64("ns")),
    ],
    "durations of any unit": [([0, -1, None], pa.duration("s")), ([0, -1_000_000_000, None], pa.duration("ns"))],
    "lists of any layout": [
        ([[1, 2], None, [3, None]], pa.list_(pa.int64())),
        ([[1, 2], None, [3, None]], pa.large_list(pa.int8())),
        ([[1, 2], None, [3, None]], pa.list_view(pa.int16())),
        ([[1, 2], None, [3, None]], pa.large_list_view(pa.int32())),
        ([[1, 2], None, [3, None]], pa.list_(pa.uint8(), 2)),
    ],
    "structs of any field order": [
        ([{"x": 1, "y": "a"}], pa.struct([("x", pa.int8()), ("y", pa.string())])),
        ([{"x": 1, "y": "a"}], pa.struct([("y", pa.large_string()), ("x", pa.int64())])),
    ],
    "maps of any entry order": [
        ([[("k", 1), ("l", 2)]], pa.map_(pa.string(), pa.int8())),
        ([[("l", 2), ("k", 1)]], pa.map_(pa.large_string(), pa.int64())),
    ],
}


@pytest.mark.parametrize("columns", SAME.values(), ids=SAME.keys())
def test_equal_values_digest_equally(columns):
    """Width, layout, zone and unit are no part of a value."""
    first, *others = [one(*column) for column in columns]
    assert all(other == first for other in others)


DIFFERENT = {
    "1, 1.0, true, '1', 1 day": [
        ([1], pa.int64()),
        ([1.0], pa.float64()),
        ([True], pa.bool_()),
        (["1"], pa.string()),
        ([1], pa.date32()),
        ([1], pa.duration("us")),
        ([1], pa.timestamp("us")),
        ([1], pa.timestamp("us", "UTC")),
    ],
    "the scale of a decimal": [([Decimal("1.5")], pa.decimal128(9, 1)), ([Decimal("1.50")], pa.decimal128(9, 2))],
    "string and binary": [(["a"], pa.string()), ([b"a"], pa.binary())],
    "composed and decomposed letters": [(["é"], pa.string()), (["e\u0301"], pa.string())],
    "no list, no item, a null, two nulls, an empty list inside": [
        ([v], pa.list_(pa.list_(pa.int8()))) for v in (None, [], [None], [None, None], [[]], [[None]])
    ],
    "list order": [([[1, 2]], pa.list_(pa.int8())), ([[2, 1]], pa.list_(pa.int8()))],
    "list borders": [([v], pa.list_(pa.list_(pa.int8()))) for v in ([[1], [2]], [[1, 2]], [[1, 2], []], [[], [1, 2]])],
    "a null struct and one of nulls": [([v], pa.struct([("x", pa.int8())])) for v in (None, {"x": None}, {"x": 0})],
    "a map's pairs": [([v], pa.map_(pa.string(), pa.int8())) for v in ([("a", 1), ("b", 2)], [("a", 2), ("b", 1)])],
    "a nanosecond": [([0], pa.timestamp("ns")), ([1], pa.timestamp("ns")), ([1_000], pa.timestamp("ns"))],
}


@pytest.mark.parametrize("columns", DIFFERENT.values(), ids=DIFFERENT.keys())
def test_different_values_digest_differently(columns):
    """Families, borders and nulls are told apart, in both lanes."""
    digests = [one(*column)[0] for column in columns]
    assert len({zero for zero, _ in digests}) == len({lane for _, lane in digests}) == len(columns)


def test_a_new_column_of_nulls_changes_no_row():
    """Schema evolution needs no new digests, but the content id knows the new column."""
    old = pa.record_batch({"a": [1, 2]})
    new = pa.record_batch({"n": pa.nulls(2, pa.string()), "a": pa.array([1, 2], pa.int8())})
    assert pairs(row_digests(old)) == pairs(row_digests(new))
    assert content_id(digest([old]), old.schema) != content_id(digest([new]), new.schema)


def test_order_of_rows_and_columns_is_left_out():
    """The same rows in another order, split and column order have the same content id."""
    table = pa.table({"a": [3, 1, 2, 1], "b": ["x", None, "z", None]})
    other = table.take([1, 2, 0, 3]).select(["b", "a"])
    assert content_id(digest([table]), table.schema) == content_id(
        digest(other.to_batches(max_chunksize=1)), other.schema
    )


def test_digests_subtract():
    """Old − removed + added is the digest of the new rows."""
    table = pa.table({"a": [1, 2, 3, 4]})
    assert digest([table]) - digest([table.slice(1, 2)]) == digest([table.slice(0, 1)]) + digest([table.slice(3)])
    assert digest([]) == Digest()


def test_long_batches_equal_short_ones():
    """Chunks and blocks inside the implementation show nowhere, with nulls at their borders."""
    rows = 150_001
    numbers = np.arange(rows)
    absent = numbers % 16_384 == 0
    batch = pa.record_batch(
        {
            "i": pa.array(numbers, mask=absent),
            "s": pa.array((numbers % 7).astype("U1")),
            "l": pa.ListArray.from_arrays(pa.array(np.arange(rows + 1) * 2, pa.int32()), pa.array(np.arange(2 * rows))),
            "d": pa.DictionaryArray.from_arrays(pa.array(numbers % 3, mask=absent), ["x", None, "z"]),
        }
    )
    pieces = [row_digests(batch.slice(start, 9_973)) for start in range(0, rows, 9_973)]
    assert np.array_equal(row_digests(batch), np.concatenate(pieces))


def test_many_items_are_worked_off_in_pieces(monkeypatch):
    """Lists with more items than fit at once give the same words."""
    batch = pa.record_batch({"a": pa.array([[1, 2, 3], None, [], [4], list(range(50)), [None]] * 3)})
    whole = pairs(row_digests(batch))
    monkeypatch.setattr(_hashing_arrays, "_MOST_ITEMS", 3)
    assert pairs(row_digests(batch)) == whole


def test_items_under_null_lists_do_not_count():
    """What lies under a null list, struct or view is never read."""
    mask = pa.array([False, True, False])
    lists = pa.ListArray.from_arrays(pa.array([0, 1, 3, 4], pa.int32()), pa.array([1, 2, 3, 4]), mask=mask)
    assert one(lists) == one([[1], None, [4]], pa.list_(pa.int64()))
    structs = pa.StructArray.from_arrays([pa.array([1, 2, 3])], ["x"], mask=mask)
    assert one(structs) == one([{"x": 1}, None, {"x": 3}], pa.struct([("x", pa.int64())]))


def test_list_views_may_overlap_and_jump():
    """Views out of order, sharing items, sliced and null read as the lists they show."""
    views = pa.ListViewArray.from_arrays(
        pa.array([3, 0, 1, 5, 0], pa.int32()),
        pa.array([2, 3, 2, 0, 1], pa.int32()),
        pa.array([1, 2, 3, 4, 5]),
        mask=pa.array([False, False, False, False, True]),
    )
    assert one(views) == one([[4, 5], [1, 2, 3], [2, 3], [], None], pa.list_(pa.int64()))
    assert one(views.slice(2, 3)) == one([[2, 3], [], None], pa.list_(pa.int64()))


def test_a_dictionary_may_hold_nulls_and_strays():
    """Nulls in the dictionary, duplicates in it and any index under a null index are seen through."""
    indices = pa.Array.from_buffers(
        pa.int8(), 4, [pa.py_buffer(bytes([0b1011])), pa.py_buffer(np.array([1, 2, -77, 0], np.int8))]
    )
    array = pa.DictionaryArray.from_arrays(indices, pa.array(["a", None, "a"]), safe=False)
    assert one(array) == one([None, "a", None, "a"], pa.string())
    assert one(pa.DictionaryArray.from_arrays(pa.array([None, None], pa.int8()), pa.array([], pa.string()))) == one(
        [None, None], pa.string()
    )


def test_text_that_is_not_utf8_is_digested_by_its_bytes():
    """A string column with broken bytes (as foreign writers leave) neither raises nor loses them."""
    broken = pa.array([b"\xff", b"\xfe"]).view(pa.string())
    digests = row_digests(pa.record_batch({"a": broken}))
    assert digests[0, 0] != digests[1, 0]


def test_keys_digest_by_their_columns():
    """Key digests see the key columns alone, in any order, and name a missing one."""
    batch = pa.record_batch({"k": [1, 2], "j": ["a", "b"], "v": [0.5, 1.5]})
    assert np.array_equal(key_digests(batch, ["j", "k"]), row_digests(batch.select(["k", "j"])))
    with pytest.raises(SchemaError, match="'x' is missing"):
        key_digests(batch, ["x"])


def test_a_schema_chooses_columns():
    """With a schema, columns outside it do not count and missing ones are nulls."""
    batch = pa.record_batch({"a": [1, 2], "b": [3, 4]})
    schema = pa.schema([("a", pa.int8()), ("new", pa.string())])
    assert np.array_equal(row_digests(batch, schema), row_digests(batch.select(["a"])))
    assert digest([batch], schema) == digest([batch.select(["a"])])


def test_both_lanes_are_contiguous():
    """The array has a row per row and a contiguous column per lane."""
    digests = row_digests(pa.record_batch({"a": [1, 2, 3]}))
    assert digests.shape == (3, 2)
    assert digests[:, 0].flags.c_contiguous
    assert digests[:, 1].flags.c_contiguous


def test_two_columns_of_one_name_have_no_content_id():
    """Which of them is meant could not be said."""
    schema = pa.schema([("a", pa.int8()), ("a", pa.int8())])
    with pytest.raises(SchemaError, match="'a'"):
        content_id(Digest(), schema)


def test_a_drifted_plugin_is_refused(monkeypatch):
    """A polars-hash that computes something else raises instead of writing false ids."""
    _hashing_scalars._check_xxh3.cache_clear()
    monkeypatch.setattr(_hashing_scalars, "_XXH3_LOW", [1, 2, 3])
    with pytest.raises(ConfigError, match="polars-hash"):
        one(["a"], pa.string())
    monkeypatch.undo()
    assert one(["a"], pa.string())


def test_threads_do_not_meet():
    """Digests computed at once in several threads are right."""
    batch = pa.record_batch({"a": np.arange(50_000), "s": pa.array(np.arange(50_000).astype("U"))})
    expected, got = digest([batch]), []
    threads = [threading.Thread(target=lambda: got.append(digest([batch]))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == [expected] * 4
