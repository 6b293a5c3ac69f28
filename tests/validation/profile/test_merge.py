"""A merged profile is a function of the set of parts: any order and grouping gives the same bytes."""

from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataplat.errors import SchemaError
from dataplat.validation.profile._column import merge
from dataplat.validation.profile._encode import decode, encode
from dataplat.validation.profile._measure import measured
from dataplat.validation.profile._profile import merge_columns

FLOATS = st.one_of(st.none(), st.floats(), st.sampled_from([0.0, -0.0, 1.0, 2.0, float("nan")]))
TEXTS = st.one_of(st.none(), st.text(max_size=40), st.sampled_from(["", "AA", "é", "AB-12", "x" * 300]))
TIMES = st.one_of(st.none(), st.integers(-(2**62), 2**62), st.integers(1_700_000_000_000_000, 1_700_000_900_000_000))

SCHEMA = pa.schema(
    [
        ("f", pa.float64()),
        ("i", pa.int64()),
        ("s", pa.string()),
        ("t", pa.timestamp("us")),
        ("b", pa.bool_()),
        ("d", pa.decimal128(38, 2)),
        ("day", pa.date32()),
        ("l", pa.list_(pa.int8())),
    ]
)


def rows(**strategies):
    """Return a strategy of rows, as tuples in the order of the schema."""
    kinds = {
        "f": FLOATS,
        "i": st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1), st.integers(0, 3)),
        "s": TEXTS,
        "t": TIMES,
        "b": st.one_of(st.none(), st.booleans()),
        "d": st.one_of(st.none(), st.integers(-(10**37), 10**37), st.integers(-3, 3)),
        "day": st.one_of(st.none(), st.integers(-700_000, 2_900_000)),
        "l": st.one_of(st.none(), st.lists(st.just(1), max_size=3)),
    }
    return st.tuples(*(strategies.get(name, kind) for name, kind in kinds.items()))


def table(found):
    """Return rows as a table."""
    columns = list(zip(*found, strict=True)) if found else [()] * len(SCHEMA)
    arrays = []
    for field, values in zip(SCHEMA, columns, strict=True):
        if field.name == "d":
            values = [None if each is None else Decimal(each).scaleb(-2) for each in values]
        if field.name in {"t", "day"}:
            plain = pa.array(values, pa.int64() if field.name == "t" else pa.int32())
            arrays.append(plain.view(field.type))
        else:
            arrays.append(pa.array(values, field.type))
    return pa.Table.from_arrays(arrays, schema=SCHEMA)


def profile_of(data):
    """Return the profile of one part."""
    return measured(data.to_batches(), data.schema)


def data_of(columns):
    """Return profiles as bytes, to be compared."""
    return {name: encode(column) for name, column in columns.items()}


def merged_by(draw, parts):
    """Merge in a tree that is drawn, until one is left."""
    waiting = list(parts)
    while len(waiting) > 1:
        waiting = draw(st.permutations(waiting))
        number = draw(st.integers(2, len(waiting)))
        waiting = [merge_columns(waiting[:number]), *waiting[number:]]
    return waiting[0]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_tree_gives_the_same_bytes(data):
    """However rows are cut into parts, all merges of these parts are equal to that of all at once."""
    cut = data.draw(st.lists(st.lists(rows(), max_size=12), min_size=2, max_size=6))
    parts = [profile_of(table(some)) for some in cut]
    assert data_of(merged_by(data.draw, parts)) == data_of(merge_columns(parts))


@settings(max_examples=15, deadline=None)
@given(st.data())
def test_any_tree_of_large_parts_gives_the_same_bytes(data):
    """Where points, values and slots have to be left out, what is left does not depend on the way."""
    seed = data.draw(st.integers(0, 2**32))
    rng = np.random.default_rng(seed)
    parts = []
    for _ in range(data.draw(st.integers(3, 7))):
        size = int(rng.choice([0, 3, 700, 5_000, 40_000]))
        parts.append(
            measured(
                pa.table(
                    {
                        "f": rng.normal(size=size),
                        "z": rng.zipf(1.3, size).clip(max=10**6),
                        "t": pa.array(rng.integers(0, int(rng.choice([10**4, 10**9, 10**15])), size)).view(
                            pa.timestamp("us")
                        ),
                    }
                ).to_batches(),
                pa.schema([("f", pa.float64()), ("z", pa.int64()), ("t", pa.timestamp("us"))]),
            )
        )
    assert data_of(merged_by(data.draw, parts)) == data_of(merge_columns(parts))


@settings(max_examples=60, deadline=None)
@given(st.lists(rows(), max_size=40), st.integers(1, 9))
def test_batches_make_no_difference(found, size):
    """A part is what its rows are, however they come in batches, and in whatever order."""
    data = table(found)
    one = data_of(measured(data.to_batches(max_chunksize=size), data.schema))
    assert one == data_of(profile_of(data))
    assert one == data_of(profile_of(table(found[::-1])))


@settings(max_examples=60, deadline=None)
@given(st.lists(rows(), max_size=40))
def test_bytes_are_read_back(found):
    """What is written is read back to the same profile."""
    for column in profile_of(table(found)).values():
        data = encode(column)
        again = decode(data)
        assert encode(again) == data
        assert (again.mean, again.distinct, again.frequent()) == (column.mean, column.distinct, column.frequent())


@pytest.mark.parametrize("data", [b"", b"\x90", b"\x91\x01", b"junk"])
def test_damaged_bytes_are_refused(data):
    """What is no profile is refused as such."""
    with pytest.raises(ValueError, match="no profile"):
        decode(data)


@settings(max_examples=40, deadline=None)
@given(st.lists(rows(), min_size=1, max_size=40), st.integers(0, 40))
def test_counts_of_parts_are_counts_of_all(found, at):
    """Of columns of few values, a profile of two parts is what one of all rows is."""
    whole = profile_of(table(found))
    both = merge_columns([profile_of(table(found[:at])), profile_of(table(found[at:]))])
    for name, column in whole.items():
        other = both[name]
        exact = (
            "rows",
            "nulls",
            "nans",
            "infinite",
            "zeros",
            "negative",
            "total",
            "squares",
            "low",
            "high",
            "distinct",
        )
        assert [getattr(other, each) for each in exact] == [getattr(column, each) for each in exact]
        assert other.frequent() == column.frequent()
        if column.lengths is not None:
            assert (other.lengths.total, other.lengths.counts.tolist()) == (
                column.lengths.total,
                column.lengths.counts.tolist(),
            )


def test_other_columns_are_refused():
    """Profiles of columns that differ are not merged."""
    with pytest.raises(SchemaError, match="columns that differ cannot be merged"):
        merge([profile_of(pa.table({"x": [each]}))["x"] for each in (1, "a")])
    with pytest.raises(SchemaError, match="other columns"):
        merge_columns([profile_of(pa.table({name: [1]})) for name in "xy"])
