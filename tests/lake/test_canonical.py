"""Families: which Arrow types hold the same values."""

from __future__ import annotations

import subprocess
import sys

import pyarrow as pa
import pytest

from dataplat.errors import SchemaError
from dataplat.lake.canonical import family, family_tree, plain

FAMILIES = {
    "null": [pa.null()],
    "bool": [pa.bool_()],
    "int": [pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()],
    "float": [pa.float16(), pa.float32(), pa.float64()],
    "decimal": [pa.decimal32(5, 2), pa.decimal64(10, 0), pa.decimal128(38, 10), pa.decimal256(76, -3)],
    "string": [pa.string(), pa.large_string(), pa.string_view(), pa.json_()],
    "binary": [pa.binary(), pa.large_binary(), pa.binary_view(), pa.binary(16), pa.uuid()],
    "date": [pa.date32(), pa.date64()],
    "time": [pa.time32("s"), pa.time32("ms"), pa.time64("us"), pa.time64("ns")],
    "timestamp": [pa.timestamp(unit) for unit in ("s", "ms", "us", "ns")],
    "timestamp_tz": [pa.timestamp("us", "UTC"), pa.timestamp("ns", "Europe/Berlin"), pa.timestamp("s", "+02:00")],
    "duration": [pa.duration(unit) for unit in ("s", "ms", "us", "ns")],
    "list": [
        pa.list_(pa.int8()),
        pa.large_list(pa.int8()),
        pa.list_view(pa.int8()),
        pa.large_list_view(pa.int8()),
        pa.list_(pa.int8(), 3),
    ],
    "map": [pa.map_(pa.string(), pa.int8())],
    "struct": [pa.struct([("a", pa.int8())]), pa.struct([])],
}


@pytest.mark.parametrize(
    ("kind", "name"), [(kind, name) for name, kinds in FAMILIES.items() for kind in kinds], ids=str
)
def test_every_type_has_its_family(kind, name):
    """Width, unit, zone, layout and extension do not change the family."""
    assert family(kind) == name
    assert family(pa.dictionary(pa.int16(), kind)) == name
    assert family(pa.run_end_encoded(pa.int32(), kind)) == name


@pytest.mark.parametrize(
    "kind", [pa.month_day_nano_interval(), pa.sparse_union([pa.field("a", pa.int8())])], ids=["interval", "union"]
)
def test_a_type_without_canonical_values_is_refused(kind):
    """Unions and calendar intervals raise SchemaError, also inside other types."""
    with pytest.raises(SchemaError, match="no canonical values"):
        family(kind)
    with pytest.raises(SchemaError, match="no canonical values"):
        family_tree(pa.list_(kind))


def test_plain_sees_through_nested_encodings():
    """A dictionary of an extension type is the storage type."""
    assert plain(pa.dictionary(pa.int8(), pa.uuid())) == pa.binary(16)


def test_a_tree_spells_the_children_sorted_and_quoted():
    """Field order of a struct is left out; names are JSON strings, so that no name can forge a type."""
    kind = pa.struct([("b", pa.list_view(pa.float32())), ('a":int,"c', pa.map_(pa.string(), pa.decimal128(9, 2)))])
    assert family_tree(kind) == r'struct<"a\":int,\"c":map<string,decimal>,"b":list<float>>'


def test_the_table_is_light():
    """Importing it loads neither Arrow nor Polars nor numpy."""
    code = "import sys, dataplat.lake.canonical; print([m for m in ('pyarrow', 'polars', 'numpy') if m in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


def test_numbers_are_hashed_without_polars():
    """Digesting numbers does not pay for the import of Polars."""
    code = (
        "import sys, pyarrow as pa; from dataplat.lake.content_id import digest;"
        "digest([pa.record_batch({'a': [1, 2], 'b': [0.5, None]})]); print('polars' in sys.modules)"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "False"
