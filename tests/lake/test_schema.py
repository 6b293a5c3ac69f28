"""Schemas are plain, readable, and input is brought to them without loss or not at all."""

# ruff: noqa: DTZ001  (columns without a zone hold local times)

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from dataplat.errors import SchemaError, SchemaMismatch
from dataplat.lake.schema import (
    canonical_schema,
    conform,
    family,
    fresh_stored_name,
    parse_type,
    plain_columns,
    plain_schema,
    schema_from_json,
    schema_to_json,
    stored_as,
    stored_like,
    stored_name,
    type_text,
)

UNITS = st.sampled_from(["s", "ms", "us", "ns"])
ZONES = st.sampled_from([None, "UTC", "Europe/Berlin", "+05:30", "+00:00", "Etc/UTC"])
LEAVES = st.one_of(
    st.sampled_from(
        [
            pa.null(),
            pa.bool_(),
            pa.int8(),
            pa.uint16(),
            pa.int32(),
            pa.uint64(),
            pa.float16(),
            pa.float32(),
            pa.float64(),
        ]
    ),
    st.sampled_from(
        [pa.string(), pa.large_string(), pa.string_view(), pa.binary(), pa.large_binary(), pa.binary_view()]
    ),
    st.sampled_from([pa.binary(3), pa.date32(), pa.date64(), pa.time32("s"), pa.time32("ms"), pa.time64("us")]),
    st.builds(pa.timestamp, UNITS, ZONES),
    st.builds(pa.duration, UNITS),
    st.builds(pa.decimal128, st.integers(10, 38), st.integers(0, 10)),
    st.builds(pa.decimal256, st.integers(10, 76), st.integers(0, 10)),
    st.just(pa.dictionary(pa.int8(), pa.large_string())),
    st.just(pa.run_end_encoded(pa.int32(), pa.int64())),
    st.just(pa.uuid()),
)


def nested(inner):
    """Types made of `inner`."""
    return st.one_of(
        st.builds(pa.list_, inner),
        st.builds(pa.large_list, inner),
        st.builds(pa.list_view, inner),
        st.builds(pa.list_, inner, st.integers(1, 3)),
        st.builds(pa.map_, st.sampled_from([pa.string(), pa.int64()]), inner),
        st.lists(inner, min_size=1, max_size=3).map(
            lambda kinds: pa.struct(
                [pa.field(f"f{i}", kind, nullable=i > 0 or kind == pa.null()) for i, kind in enumerate(kinds)]
            )
        ),
    )


TYPES = st.recursive(LEAVES, nested, max_leaves=4)


@given(TYPES)
def test_canonical_is_stable_and_of_the_same_family(kind):
    """The canonical form of a canonical type is itself, and its values are of the same family."""
    once = canonical_schema(pa.schema([("a", kind)]))
    assert canonical_schema(once) == once
    assert family(once.field(0).type) == family(kind)


@given(TYPES, st.booleans())
def test_json_gives_the_schema_back(kind, nullable):
    """A canonical schema survives its JSON form, and its text needs no Arrow."""
    schema = canonical_schema(pa.schema([pa.field("a", kind, nullable=nullable or kind == pa.null())]))
    spelt = schema_to_json(schema)
    assert schema_from_json(spelt).equals(schema, check_metadata=True)
    assert isinstance(type_text(spelt[0]["type"]), str)


@pytest.mark.parametrize(
    ("given_type", "wanted"),
    [
        (pa.dictionary(pa.int8(), pa.large_string()), pa.string()),
        (pa.string_view(), pa.string()),
        (pa.large_list(pa.large_binary()), pa.list_(pa.binary())),
        (pa.uuid(), pa.binary(16)),
        (pa.timestamp("s", "+00:00"), pa.timestamp("ms", "UTC")),
        (pa.timestamp("us", "Europe/Berlin"), pa.timestamp("us", "Europe/Berlin")),
        (pa.date64(), pa.date32()),
        (pa.decimal32(5, 2), pa.decimal128(5, 2)),
        (pa.struct([pa.field("x", pa.int8(), nullable=False)]), pa.struct([("x", pa.int8())])),
    ],
)
def test_canonical_types(given_type, wanted):
    """Encodings, large types and spellings of UTC become the plain type of the same values."""
    assert canonical_schema(pa.schema([("a", given_type)])).field(0).type == wanted


def test_metadata_is_dropped():
    """Neither the schema's nor a field's metadata is kept."""
    schema = pa.schema([pa.field("a", pa.int8(), metadata={"x": "y"})], metadata={"pandas": "…"})
    assert canonical_schema(schema).equals(pa.schema([("a", pa.int8())]), check_metadata=True)


@pytest.mark.parametrize(
    ("schema", "says"),
    [
        (pa.schema([("a", pa.int8()), ("a", pa.int8())]), "'a' occurs twice"),
        (pa.schema([("a", pa.int8()), ("", pa.int8())]), "column 1 of the schema has no name"),
        (pa.schema([("a", pa.struct([]))]), "struct without fields"),
        (pa.schema([("a", pa.list_(pa.int8(), 0))]), "fixed size 0"),
        (pa.schema([("a", pa.struct([("x", pa.int8()), ("x", pa.int8())]))]), "'x' occurs twice in struct 'a'"),
        (pa.schema([("a", pa.dense_union([pa.field("x", pa.int8())]))]), "union"),
        (pa.schema([("a", pa.month_day_nano_interval())]), "month_day_nano_interval"),
    ],
)
def test_what_cannot_be_held_is_refused(schema, says):
    """Names that are empty or twice there, and types that Parquet cannot hold, are refused with the reason."""
    with pytest.raises(SchemaError, match=says):
        canonical_schema(schema)


@pytest.mark.parametrize("word", ["int", "decimal(99, 2)", "timestamp[h]", "binary[x]", "time[us, UTC]", ""])
def test_unknown_words_are_named(word):
    """A type that is not known says so and lists those that are."""
    with pytest.raises(SchemaError, match="types are null, bool"):
        parse_type(word)


def one(values, kind):
    """A table of one column."""
    return pa.table({"a": pa.array(values, kind)})


FITS = [
    ([1, None], pa.int64(), pa.int8(), [1, None]),
    ([1, None], pa.int8(), pa.float64(), [1.0, None]),
    ([2**62, None], pa.int64(), pa.float64(), [2.0**62, None]),
    ([1.0, -0.0], pa.float64(), pa.int64(), [1, 0]),
    ([1.5, None], pa.float64(), pa.float32(), [1.5, None]),
    ([1, 99999], pa.int64(), pa.decimal128(5, 0), [Decimal(1), Decimal(99999)]),
    ([Decimal("1.50")], pa.decimal128(5, 2), pa.decimal128(9, 1), [Decimal("1.5")]),
    ([Decimal("1.50")], pa.decimal128(5, 2), pa.float64(), [1.5]),
    ([Decimal("2.00")], pa.decimal128(5, 2), pa.int8(), [2]),
    ([0.5], pa.float64(), pa.decimal128(5, 1), [Decimal("0.5")]),
    ([date(2024, 1, 2)], pa.date32(), pa.timestamp("us"), [datetime(2024, 1, 2)]),
    ([datetime(2024, 1, 2)], pa.timestamp("us"), pa.date32(), [date(2024, 1, 2)]),
    ([None, None], pa.null(), pa.list_(pa.int8()), [None, None]),
    ([[1], None, []], pa.list_view(pa.int64()), pa.list_(pa.int8()), [[1], None, []]),
    ([[1, 2], None], pa.list_(pa.int64()), pa.list_(pa.int8(), 2), [[1, 2], None]),
    ([[1, 2], None], pa.list_(pa.int64(), 2), pa.list_(pa.int8()), [[1, 2], None]),
    (
        [{"x": 1, "y": None}, None],
        pa.struct([("x", pa.int64()), ("y", pa.null())]),
        pa.struct([("y", pa.string()), ("x", pa.int8())]),
        [{"y": None, "x": 1}, None],
    ),
    (
        [[("k", 1)], None, []],
        pa.map_(pa.string(), pa.int64()),
        pa.map_(pa.string(), pa.float64()),
        [[("k", 1.0)], None, []],
    ),
]


@pytest.mark.parametrize(("values", "old", "new", "wanted"), FITS)
def test_what_fits_is_cast(values, old, new, wanted):
    """A value changes its type where the new type holds it exactly."""
    found = conform(one(values, old), pa.schema([("a", new)]))
    found.validate(full=True)
    assert found.schema == pa.schema([("a", new)])
    assert found.column(0).to_pylist() == wanted


LOSES = [
    ([1, 300], pa.int64(), pa.int8(), "row 2: 300"),
    ([1, 2**53 + 1], pa.int64(), pa.float64(), "row 2: 9007199254740993"),
    ([2**63 - 1], pa.int64(), pa.float64(), "row 1"),
    ([1.0, 1.5], pa.float64(), pa.int64(), "row 2: 1.5"),
    ([1.0, float("nan")], pa.float64(), pa.int64(), "row 2: nan"),
    ([1.5, 0.1], pa.float64(), pa.float32(), "row 2: 0.1"),
    ([0.5, 0.1], pa.float64(), pa.decimal128(5, 1), "row 2: 0.1"),
    ([Decimal("0.5"), Decimal("0.1")], pa.decimal128(5, 1), pa.float64(), "row 2: Decimal"),
    ([Decimal("1.55")], pa.decimal128(5, 2), pa.decimal128(9, 1), "row 1"),
    ([datetime(2024, 1, 2), datetime(2024, 1, 2, 3)], pa.timestamp("us"), pa.date32(), "row 2"),
    ([1, 1001], pa.timestamp("us"), pa.timestamp("ms"), "row 1"),
    ([[1, 2], [1]], pa.list_(pa.int64()), pa.list_(pa.int64(), 2), r"row 2: \[1\]"),
    ([[1.0], [1.0, 0.1]], pa.list_(pa.float64()), pa.list_(pa.float32()), "row 2"),
    ([{"x": 1}, {"x": 300}], pa.struct([("x", pa.int64())]), pa.struct([("x", pa.int8())]), "row 2"),
]


@pytest.mark.parametrize(("values", "old", "new", "says"), LOSES)
def test_what_would_be_lost_is_named(values, old, new, says):
    """A value that the new type cannot hold exactly is refused with column, row and value."""
    with pytest.raises(SchemaMismatch, match=f"column 'a', {says}"):
        conform(one(values, old), pa.schema([("a", new)]))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (pa.string(), pa.int64()),
        (pa.int64(), pa.string()),
        (pa.binary(), pa.string()),
        (pa.timestamp("us"), pa.timestamp("us", "UTC")),
        (pa.bool_(), pa.int8()),
        (pa.int64(), pa.timestamp("us")),
        (pa.struct([("x", pa.int8())]), pa.struct([("y", pa.int8())])),
    ],
)
def test_families_do_not_mix(old, new):
    """Types of unlike families are refused by name, whatever the values."""
    with pytest.raises(SchemaMismatch, match=r"column 'a' is .* in the input, but .* is wanted"):
        conform(one([None], old), pa.schema([("a", new)]))


def test_rows_are_counted_through_chunks():
    """The row in a message counts from the first row of the table, not of a chunk."""
    table = pa.table({"a": pa.chunked_array([[1, 2], [3, 400]])})
    with pytest.raises(SchemaMismatch, match="row 4: 400"):
        conform(table, pa.schema([("a", pa.int8())]))


def test_columns_are_matched_by_name():
    """Order does not matter; a missing or unknown column is named with the nearest one."""
    schema = pa.schema([("amount", pa.int64()), ("b", pa.int64())])
    assert conform(pa.table({"b": [1], "amount": [2]}), schema).column_names == ["amount", "b"]
    with pytest.raises(SchemaMismatch, match=r"'amuont' is not in the dataset; did you mean 'amount'\?"):
        conform(pa.table({"b": [1], "amuont": [2]}), schema)
    with pytest.raises(SchemaMismatch, match="'b' is missing in the input"):
        conform(pa.table({"amount": [2]}), schema)


def test_null_in_a_column_that_has_none():
    """A null in a column that is declared as never null is named by row."""
    with pytest.raises(SchemaMismatch, match="'a', row 2: null"):
        conform(one([1, None], pa.int64()), pa.schema([pa.field("a", pa.int64(), nullable=False)]))


def test_nan_is_not_null():
    """NaN stays NaN through every float type."""
    found = conform(one([float("nan"), None], pa.float64()), pa.schema([("a", pa.float32())]))
    assert np.isnan(found.column(0)[0].as_py())
    assert found.column(0).null_count == 1


def test_frames_of_pandas_and_polars():
    """What pandas and Polars hand over (large types, views, dictionaries) becomes the plain schema."""
    import pandas as pd
    import polars as pl

    schema = pa.schema([("a", pa.int64()), ("s", pa.string()), ("c", pa.string())])
    wanted = {"a": [1, 2], "s": ["x", None], "c": ["u", "u"]}
    frame = pl.DataFrame(wanted, schema_overrides={"c": pl.Categorical})
    for table in (
        frame.to_arrow(compat_level=pl.CompatLevel.newest()),
        frame.to_arrow(),
        pa.Table.from_pandas(pd.DataFrame(wanted).astype({"c": "category"})),
    ):
        assert canonical_schema(table.schema) == schema
        assert conform(table, schema).to_pydict() == wanted


@given(TYPES, st.integers(0, 3))
def test_conform_keeps_nulls_of_any_type(kind, rows):
    """An all-null column of any type becomes the canonical type with as many nulls."""
    assume(kind == pa.run_end_encoded(pa.int32(), pa.int64()) or "run_end" not in str(kind))  # pa.nulls breaks them
    table = pa.table({"a": pa.nulls(rows, kind)})
    found = conform(table, canonical_schema(table.schema))
    found.validate(full=True)
    assert found.column(0).null_count == rows


def test_stored_names_go_through_json_and_never_to_users():
    """A stored name that differs is written beside the name, and plain schemas do not show it."""
    schema = pa.schema([stored_as(pa.field("b", pa.int64()), "a"), stored_as(pa.field("c", pa.int64()), "c")])
    columns = schema_to_json(schema)
    assert [column.get("stored") for column in columns] == ["a", None]
    assert schema_from_json(columns).equals(schema, check_metadata=True)
    assert plain_schema(schema).equals(pa.schema([("b", pa.int64()), ("c", pa.int64())]), check_metadata=True)
    assert plain_columns(columns) == schema_to_json(plain_schema(schema))


def test_new_columns_take_no_stored_name_that_is_taken():
    """Columns keep the stored name they have; new ones take their own name, or one that nobody has."""
    old = pa.schema([stored_as(pa.field("b", pa.int64()), "a")])
    names = ["b", "a", "x", "y"]
    new = stored_like(pa.schema([(name, pa.int64()) for name in names]), old, gone=["x"])
    stored = [stored_name(field) for field in new]
    assert (stored[0], stored[3]) == ("a", "y")
    assert all(name.startswith(f"{plain}~") for name, plain in zip(stored[1:3], names[1:3], strict=True))
    first = fresh_stored_name("x", {"x"})
    assert first == fresh_stored_name("x", {"x", "a", "other"})  # two branches that add it add one column
    assert fresh_stored_name("x", {"x", first}) not in {"x", first}
