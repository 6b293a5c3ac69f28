"""What is said of a column is so: held to plain Python over the same values."""

import math
import re
import statistics
from collections import Counter
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataplat.errors import SchemaError
from dataplat.validation.profile._measure import measured

FLOATS = st.lists(st.one_of(st.none(), st.floats(), st.sampled_from([0.0, -0.0, math.inf, math.nan])), max_size=30)
TEXTS = st.lists(st.one_of(st.none(), st.text(max_size=40), st.sampled_from(["A1", "é", "x" * 300])), max_size=30)


def one(values, kind=None):
    """Return the profile of one column of one part."""
    data = pa.table({"x": values if isinstance(values, pa.Array | pa.ChunkedArray) else pa.array(values, kind)})
    return measured(data.to_batches(), data.schema)["x"]


def shape(text):
    """Return the pattern of a text, character by character."""
    kinds = ((r"[A-Z]", "A"), (r"[a-z]", "a"), (r"[0-9]", "9"), (r"[\x00-\x1f\x7f]", "C"), (r"[^\x00-\x7f]", "U"))
    made = "".join(next((sign for kind, sign in kinds if re.match(kind, each)), each) for each in text[:32])
    return made + ("…" if len(text) > 32 else "")


@settings(deadline=None)
@given(FLOATS)
def test_floats_are_what_python_says(values):
    """Counts, ends, mean, deviation, quantiles and shares, with NaN, infinities, null and both zeros."""
    column = one(values, pa.float64())
    there = sorted(each for each in values if each is not None and not math.isnan(each))
    finite = [each for each in there if math.isfinite(each)]
    assert column.rows == len(values)
    assert column.nulls == values.count(None)
    assert column.nans == sum(each is not None and math.isnan(each) for each in values)
    assert column.infinite == (there.count(-math.inf), there.count(math.inf))
    assert column.zeros == there.count(0.0)
    assert column.negative == sum(each < 0 for each in there)
    assert (column.low, column.high) == ((there[0], there[-1]) if there else (None, None))
    assert dict(column.frequent()) == Counter(there)
    if finite:
        try:
            assert column.mean == statistics.mean(finite)
        except OverflowError:
            assert math.isinf(column.mean)
    if len(finite) > 1 and max(map(abs, finite)) < 1e150:
        assert column.deviation == pytest.approx(statistics.stdev(finite), rel=1e-12)
    for share in (0.1, 0.5, 1.0) if there else ():
        assert column.quantile(share) == there[max(math.ceil(share * len(there) - 1e-9), 1) - 1]
    for at in {*there, 0.5}:
        assert column.cdf(at) * column.there == pytest.approx(sum(each <= at for each in there))
        assert column.cdf(at, below=True) * column.there == pytest.approx(sum(each < at for each in there))


@settings(deadline=None)
@given(TEXTS, st.booleans())
def test_texts_are_what_python_says(values, encoded):
    """Counts, ends, lengths, values and patterns, as plain texts and as a dictionary."""
    array = pa.array(values, pa.string())
    column = one(array.dictionary_encode() if encoded else array)
    there = [each for each in values if each is not None]
    assert (column.rows, column.nulls) == (len(values), len(values) - len(there))
    assert column.distinct == len(set(there))
    assert column.values.rows == len(there)
    if len({each[:256] for each in there}) == len(set(there)):
        assert dict(column.frequent()) == {value[:256]: count for value, count in Counter(there).items()}
    assert dict(column.patterns.frequent) == Counter(map(shape, there))
    assert column.lengths.total == sum(map(len, there))
    if there:
        assert (column.low, column.high) == (min(there)[:256], max(there)[:256])
        assert (column.lengths.low, column.lengths.high) == (min(map(len, there)), max(map(len, there)))


@pytest.mark.parametrize("encode", [False, True])
def test_many_texts_over_many_batches(encode):
    """Texts of a part of many pieces, some values frequent among many rare ones, are counted together."""
    rng = np.random.default_rng(4)
    values = [f"often{number % 3}" if rng.random() < 0.5 else f"rare{rng.integers(10**6)}" for number in range(30_000)]
    chunks = [pa.array(values[start : start + 5_000]) for start in range(0, 30_000, 5_000)]
    column = one(pa.chunked_array([chunk.dictionary_encode() if encode else chunk for chunk in chunks]))
    true = Counter(values)
    assert column.distinct == len(true)
    assert dict(column.frequent()) == {value: count for value, count in true.items() if count * 256 >= 30_000}
    assert column.frequent_error == max(count for count in true.values() if count * 256 < 30_000)


@pytest.mark.parametrize(
    ("values", "kind", "low", "high", "mean"),
    [
        ([2**64 - 1, 0], pa.uint64(), 0, 2**64 - 1, (2**64 - 1) / 2),
        ([-128, 127], pa.int8(), -128, 127, -0.5),
        ([1.5, 2.5], pa.float16(), 1.5, 2.5, 2.0),
        ([Decimal("1.50"), Decimal("-2.25")], pa.decimal128(5, 2), "-2.25", "1.50", -0.375),
        ([Decimal(10) ** 60, Decimal(0)], pa.decimal256(76, 0), "0", "1" + "0" * 60, 5e59),
        ([Decimal("1E+3"), Decimal("5E+3")], pa.decimal128(5, -3), "1000", "5000", 3000.0),
        ([1, 3], pa.timestamp("s"), 1_000_000, 3_000_000, 2_000_000.0),
        ([1_999, 3_000], pa.timestamp("ns", "Europe/Paris"), 1, 3, 2.0),
        ([0, 86_400_000], pa.date64(), 0, 1, 0.5),
        ([1, 5], pa.time32("ms"), 1_000, 5_000, 3_000.0),
        ([-1, 1], pa.duration("us"), -1, 1, 0.0),
    ],
    ids=str,
)
def test_numbers_of_every_type(values, kind, low, high, mean):
    """Ends and means are in the unit that is told, and exact."""
    narrow = kind in {pa.date64(), pa.time32("ms")}
    plain = pa.array(values, pa.int32() if kind == pa.time32("ms") else pa.int64()).view(kind) if narrow else None
    column = one(pa.array(values, kind) if plain is None else plain)
    assert (column.low, column.high, column.mean) == (low, high, mean)
    assert column.distinct == 2
    assert column.nulls == 0


@pytest.mark.parametrize(
    "kind",
    [
        pa.float64(),
        pa.int64(),
        pa.string(),
        pa.bool_(),
        pa.date32(),
        pa.decimal128(5, 2),
        pa.list_(pa.int8()),
        pa.null(),
    ],
    ids=str,
)
@pytest.mark.parametrize("rows", [0, 3])
def test_nothing_is_told_of_nothing(kind, rows):
    """Of no rows, and of nulls alone, every question has an answer that says so."""
    column = one(pa.nulls(rows, kind))
    assert (column.rows, column.nulls, column.there) == (rows, rows, 0)
    assert column.low is column.high is column.mean is column.deviation is None
    assert not column.distinct
    assert column.frequent() == ()
    if column.numeric:
        assert column.quantile(0.5) is None
        assert column.cdf(0) == 0
        assert column.histogram([0, 1, 2]).tolist() == [0, 0]


def test_all_nan_is_not_null():
    """NaN are counted as such, and are missing."""
    column = one([math.nan, math.nan])
    assert (column.nulls, column.nans, column.missing, column.distinct) == (0, 2, 1.0, 0)


def test_nested_columns_have_counts_and_lengths():
    """Of lists and maps how many items they have; of structs how many there are."""
    lists = one([[1, 2], None, [], [None]])
    assert (lists.nulls, lists.lengths.bins.tolist(), lists.lengths.mean) == (1, [0, 1, 2], 1.0)
    maps = one(pa.array([[("a", 1)], None, [("a", 1), ("b", 2)]], pa.map_(pa.string(), pa.int8())))
    assert (maps.nulls, maps.lengths.low, maps.lengths.high) == (1, 1, 2)
    structs = one([{"a": 1}, None])
    assert (structs.nulls, structs.distinct, structs.family) == (1, None, "struct")
    sliced = one(pa.array([[1], [1, 2], [1, 2, 3], None]).slice(1))
    assert (sliced.lengths.low, sliced.lengths.total) == (2, 5)


def test_booleans_are_counted():
    """True, false and null."""
    column = one([True, False, None, True])
    assert column.frequent() == ((True, 2), (False, 1))
    assert (column.zeros, column.nulls) == (1, 1)


def test_bytes_are_shown_in_hexadecimal():
    """Bytes have lengths and values, and no order."""
    column = one([b"\xff\x00", b"", None, b"\xff\x00"])
    assert column.frequent() == (("ff00", 2), ("", 1))
    assert (column.lengths.high, column.low) == (2, None)


def test_encodings_are_seen_through():
    """A value is the same whatever it lies in: dictionary, runs, views, another width."""
    plain = one(["a", "b", "a"])
    for other in (
        pa.array(["a", "b", "a"], pa.large_string()),
        pa.array(["a", "b", "a"], pa.string_view()),
        pa.array(["a", "b", "a"]).dictionary_encode(),
    ):
        assert one(other).frequent() == plain.frequent()
        assert one(other).values.hashes.tolist() == plain.values.hashes.tolist()
    numbers = one(pa.array([1, 1, 2], pa.int64()))
    for other in (
        pa.array([1, 1, 2], pa.uint64()),
        pa.array([1, 1, 2], pa.int8()).dictionary_encode(),
        pa.RunEndEncodedArray.from_arrays([2, 3], pa.array([1, 2], pa.int16())),
    ):
        assert one(other).values.hashes.tolist() == numbers.values.hashes.tolist()
        assert one(other).mean == numbers.mean


def test_long_lengths_are_counted_by_powers_of_two():
    """A length beyond 256 is in a bin that says between which it lies."""
    column = one(["x" * 256, "x" * 257, "x" * 512, "x" * 513, "x" * 5_000])
    assert column.lengths.bins.tolist() == [256, 257, 258, 261]
    assert column.lengths.counts.tolist() == [1, 2, 1, 1]


def test_what_has_no_order_has_no_quantiles():
    """To ask for some is an error that says why."""
    column = one(["a"])
    for ask in (lambda: column.quantile(0.5), lambda: column.cdf(1), lambda: column.histogram([0, 1])):
        with pytest.raises(SchemaError, match="string values, which have no quantiles"):
            ask()


def test_types_without_values_are_refused():
    """A column that dataplat cannot hold cannot be profiled either."""
    union = pa.UnionArray.from_sparse(pa.array([0], pa.int8()), [pa.array([1])])
    with pytest.raises(SchemaError, match="no canonical values"):
        one(union)


@settings(deadline=None)
@given(st.lists(st.integers(-50, 50), min_size=1, max_size=60), st.lists(st.integers(-60, 60), min_size=2, max_size=8))
def test_histograms_can_be_read_at_any_edges(values, edges):
    """From each edge to before the next, and at the last: as numpy has it."""
    edges = sorted(set(edges))
    if len(edges) > 1:
        assert one(values).histogram(edges).tolist() == np.histogram(values, edges)[0].tolist()
