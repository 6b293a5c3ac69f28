"""Keys in their types and as bytes (PIT 11, 12)."""

from __future__ import annotations

import math
from datetime import UTC, date
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataplat.errors import ConfigError, SchemaError
from dataplat.feature_store.definitions import Entity
from dataplat.feature_store.keys import LONGEST, encode, encoder, typed_keys, value_encoder
from dataplat.lake.content_id import key_digests

VALUES: dict[str, st.SearchStrategy[Any]] = {
    "string": st.text(max_size=8) | st.text(min_size=240, max_size=300),
    "int64": st.integers(-(2**63), 2**63 - 1),
    "int16": st.integers(-(2**15), 2**15 - 1),
    "uint64": st.integers(0, 2**64 - 1),
    "float64": st.floats(),
    "bool": st.booleans(),
    "binary": st.binary(max_size=8),
    "date": st.dates(),
    "timestamp[us, UTC]": st.datetimes(timezones=st.just(UTC)),
    "decimal(10, 2)": st.decimals(-1000, 1000, places=2),
}


@st.composite
def keys(draw: st.DrawFn) -> tuple[list[Entity], list[tuple[Any, ...]]]:
    """Draw entities and keys of them."""
    dtypes = draw(st.lists(st.sampled_from(sorted(VALUES)), max_size=3))
    entities = [Entity(f"e{at}", dtype) for at, dtype in enumerate(dtypes)]
    rows = st.tuples(*(st.none() | VALUES[dtype] for dtype in dtypes))
    return entities, draw(st.lists(rows, min_size=1, max_size=6))


def table(entities: list[Entity], rows: list[tuple[Any, ...]]) -> pa.Table:
    """Return keys as a table, in the types of their entities."""
    from dataplat.lake.schema import parse_type

    columns = {
        each.name: pa.array([row[at] for row in rows], parse_type(each.dtype)) for at, each in enumerate(entities)
    }
    return pa.table(columns) if columns else pa.table({"x": [0] * len(rows)}).select([])


@settings(deadline=None, max_examples=150)
@given(keys())
def test_11_bytes_are_equal_where_digests_are(drawn: tuple[list[Entity], list[tuple[Any, ...]]]) -> None:
    """Two keys are the same bytes exactly when they are the same key; one with a null has none (PIT 11, 12)."""
    entities, rows = drawn
    found = typed_keys(entities, table(entities, rows), {each.name: each.name for each in entities}, "the spine")
    bytes_of = encode(found).to_pylist()
    assert [each is None for each in bytes_of] == [None in row for row in rows]
    if entities:
        digests = [tuple(each) for each in key_digests(found, found.schema.names).tolist()]
        there = [at for at, each in enumerate(bytes_of) if each is not None]
        assert all((bytes_of[a] == bytes_of[b]) == (digests[a] == digests[b]) for a in there for b in there)
    assert all(each is None or len(each) <= LONGEST for each in bytes_of)


@settings(deadline=None, max_examples=150)
@given(keys())
def test_one_key_is_encoded_as_many_are(drawn: tuple[list[Entity], list[tuple[Any, ...]]]) -> None:
    """What a request encodes is what materialisation wrote."""
    entities, rows = drawn
    one = encoder(entities, b"\x07")
    many = encode(table(entities, rows)).to_pylist()
    wanted = [None if each is None else b"\x07" + each for each in many]
    assert [one(row) for row in rows] == wanted
    if len(entities) == 1:
        alone = value_encoder(entities[0], b"\x07")
        assert [alone(row[0]) for row in rows] == wanted


def test_11_neighbours_do_not_run_together() -> None:
    """('1', '23') is not ('12', '3')."""
    one = encoder([Entity("a"), Entity("b")])
    assert one(("1", "23")) != one(("12", "3"))


def test_numbers_order_as_their_bytes() -> None:
    """Neighbouring integers lie next to each other in a store."""
    one = encoder([Entity("a", "int64")])
    values = [-(2**63), -5, -1, 0, 1, 255, 256, 2**63 - 1]
    assert sorted(values, key=lambda value: one([value]) or b"") == values


def test_encodings_and_widths_are_adapted() -> None:
    """Dictionaries, large strings, runs and narrower integers hold the same keys."""
    entities = [Entity("a"), Entity("n", "int64")]
    plain = pa.table({"x": pa.array(["a", None, "b"]), "y": pa.array([1, 2, 300], pa.int64())})
    other = pa.table(
        {
            "x": pa.chunked_array([["a", None], ["b"]], pa.string()).dictionary_encode(),
            "y": pa.array([1, 2, 300], pa.int16()),
        }
    )
    large = pa.table({"x": pa.array(["a", None, "b"], pa.large_string()), "y": pa.array([1, 2, 300], pa.uint64())})
    columns = {"a": "x", "n": "y"}
    found = [encode(typed_keys(entities, each, columns, "t")).to_pylist() for each in (plain, other, large)]
    assert found[0] == found[1] == found[2]
    nothing = pa.table({"x": pa.nulls(1), "y": pa.nulls(1)})
    assert encode(typed_keys(entities, nothing, columns, "t")).to_pylist() == [None]


@pytest.mark.parametrize(
    ("column", "said"),
    [
        (pa.array([None, 7]), r"weather\.origin holds 7 \(int64\), which is no key of entity airport \(string\)"),
        (pa.array([1.5]), r"weather\.origin holds 1\.5 \(double\)"),
        (pa.array([True]), r"holds True \(bool\)"),
        (pa.array([["a"]]), r"holds \['a'\]"),
    ],
)
def test_what_is_no_key_is_refused(column: pa.Array, said: str) -> None:
    """Column, value and type are named."""
    with pytest.raises(SchemaError, match=said):
        typed_keys([Entity("airport")], pa.table({"origin": column}), {"airport": "origin"}, "weather")


def test_a_value_that_does_not_fit_is_named() -> None:
    """With its row."""
    with pytest.raises(SchemaError, match=r"s\.n, row 1: 40000 is no key of entity n \(int16\)"):
        typed_keys([Entity("n", "int16")], pa.table({"n": pa.array([1, 40000])}), {"n": "n"}, "s")


def test_a_missing_column_is_named() -> None:
    """With those there are."""
    with pytest.raises(
        SchemaError, match=r"the spine has no column 'airport', the key of entity airport; did you mean"
    ):
        typed_keys([Entity("airport")], pa.table({"airports": ["x"]}), {"airport": "airport"}, "the spine")


@pytest.mark.parametrize(
    ("dtype", "value"),
    [
        ("string", 7),
        ("string", b"x"),
        ("string", "\ud800"),
        ("int64", "7"),
        ("int64", 2**63),
        ("int64", 1.0),
        ("int64", True),
        ("date", "x"),
        ("int16", 40000),
    ],
)
def test_a_value_of_another_type_is_refused(dtype: str, value: Any) -> None:
    """An integer is no string, True no 1; the entity and the value are named."""
    with pytest.raises(SchemaError, match=r"airport"):
        encoder([Entity("airport", dtype)])([value])


def test_other_values_of_a_type_are_taken() -> None:
    """A float entity takes 3 for 3.0, and all zeros and NaN are one."""
    one = encoder([Entity("a", "float64")])
    assert one([3]) == one([3.0])
    assert one([-0.0]) == one([0.0])
    assert one([math.nan]) == one([-math.nan])
    assert encoder([Entity("a", "date")])([date(2026, 1, 1)]) is not None
    assert encoder([Entity("a", "decimal(5, 2)")])([Decimal("1.5")]) is not None


def test_what_cannot_be_a_key_is_refused() -> None:
    """Lists are no keys: it is said where the entity is declared."""
    with pytest.raises(ConfigError, match="^entity a: keys cannot be"):
        Entity("a", {"list": "string"})  # type: ignore[arg-type]
