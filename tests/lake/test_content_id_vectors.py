"""The vectors hold the content id's format for ever: a change here is a new format, never a new expectation."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from dataplat.lake import _hashing, content_id
from dataplat.testing import content_id as oracle
from dataplat.testing._xxh3 import xxh3_128

VECTORS = Path(__file__).parent / "vectors"
CASES = [
    pytest.param(case, id=f"{path.stem}: {case['claim']}")
    for path in sorted(VECTORS.glob("*.json"))
    if path.stem != "primitives"
    for case in json.loads(path.read_text("utf-8"))
]


def type_of(spelt):
    """Read a type: a name of pyarrow's, or a list of a constructor's name and its arguments."""
    if isinstance(spelt, str):
        return getattr(pa, spelt)()
    name, *arguments = spelt
    if name == "struct":
        return pa.struct([pa.field(key, type_of(kind)) for key, kind in arguments[0].items()])
    if name in ("list_", "map_"):
        return getattr(pa, name)(*map(type_of, arguments))
    return getattr(pa, name)(*arguments)


def value_of(value, kind):
    """Read a value: numbers as they are, floats and decimals as strings, bytes in hexadecimal, maps as pairs."""
    if value is None:
        return None
    if pa.types.is_list(kind):
        return [value_of(item, kind.value_type) for item in value]
    if pa.types.is_map(kind):
        return [(value_of(key, kind.key_type), value_of(item, kind.item_type)) for key, item in value]
    if pa.types.is_struct(kind):
        return {field.name: value_of(value[field.name], field.type) for field in kind}
    for test, read in (
        (pa.types.is_floating, float),
        (pa.types.is_decimal, Decimal),
        (pa.types.is_binary, bytes.fromhex),
    ):
        if test(kind):
            return read(value)
    return value


def table_of(table):
    """Build the record batch that a vector describes."""
    schema = pa.schema([pa.field(name, type_of(kind)) for name, kind in table["types"].items()])
    arrays = [pa.array([value_of(v, f.type) for v in table["columns"][f.name]], f.type) for f in schema]
    return pa.record_batch(arrays, schema=schema)


@pytest.mark.parametrize("case", CASES)
def test_vectors_hold(case):
    """Row digests, their sum and the content id are those of the vector, fast and slow."""
    for table in case["tables"]:
        batch = table_of(table)
        rows = [f"{lane0:016x} {lane1:016x}" for lane0, lane1 in content_id.row_digests(batch).tolist()]
        assert rows == table["row_digests"]
        assert content_id.digest([batch]).encode() == table["digest"]
        assert content_id.content_id(content_id.digest([batch]), batch.schema) == table["content_id"]
        assert [f"{lane0:016x} {lane1:016x}" for lane0, lane1 in oracle.row_digests(batch)] == table["row_digests"]
        assert oracle.content_id([batch], batch.schema) == table["content_id"]


def test_primitives_hold():
    """Constants, mixers and XXH3-128 are those of the vectors."""
    vectors = json.loads((VECTORS / "primitives.json").read_text("utf-8"))
    for label, lanes in vectors["constants"].items():
        assert "{:016x} {:016x}".format(*_hashing.lane_words(label)) == lanes
    for word, lanes in vectors["mix"].items():
        mixed = [_hashing.mix(lane, np.array([int(word, 16)], np.uint64))[0] for lane in (0, 1)]
        assert "{:016x} {:016x}".format(*mixed) == lanes
        assert "{:016x} {:016x}".format(*(_hashing.mix_int(lane, int(word, 16)) for lane in (0, 1))) == lanes
    for text, lanes in vectors["xxh3_128"].items():
        assert "{:016x} {:016x}".format(*xxh3_128(text.encode())) == lanes


def test_the_vectors_differ_where_they_must():
    """No two tables of the vectors have one id, but those that are equal by definition."""
    equal = {"instants count in microseconds, whatever zone and unit", "lists: order, empties and nulls count"}
    for case in (param.values[0] for param in CASES):
        ids = [table["content_id"] for table in case["tables"]]
        assert len(set(ids)) == len(ids) or case["claim"] in equal or "order does not" in case["claim"]
