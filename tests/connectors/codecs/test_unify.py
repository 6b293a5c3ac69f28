"""Schemas that alternate within a stream, under one; rows that do not go with it aside."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataplat.connectors.codecs import Records, open_codec
from dataplat.connectors.codecs._unify import Apart, fit, fitted, together

KINDS = [pa.int8(), pa.int32(), pa.int64(), pa.uint8(), pa.float32(), pa.float64(), pa.string(), pa.bool_(), pa.null()]


def _field(name, kind, nullable):
    return pa.field(name, kind, nullable or pa.types.is_null(kind))


fields = st.builds(
    _field, st.sampled_from("abc"), st.sampled_from(KINDS) | st.sampled_from(KINDS).map(pa.list_), st.booleans()
)
schemas = st.lists(fields, max_size=3, unique_by=lambda field: field.name).map(pa.schema)


@given(schemas, schemas)
def test_both_go_under_it(ours, theirs):
    """What is together takes columns of both, is the same again with either, and never makes a null a never-null."""
    try:
        found = together(ours, theirs)
    except Apart:
        with pytest.raises(Apart) as apart:
            together(theirs, ours)
        assert {apart.value.column} <= {*ours.names} & {*theirs.names}
        return
    assert set(found.names) == {*ours.names, *theirs.names}
    for other in (ours, theirs):
        assert together(found, other) == found
        for field in found:
            if not field.nullable:
                assert not other.field(field.name).nullable


@given(schemas, schemas)
def test_empty_rows_fit(ours, theirs):
    """Rows of either can be given the columns of both."""
    try:
        found = together(ours, theirs)
    except Apart:
        return
    rows = pa.RecordBatch.from_pylist([], schema=theirs)
    assert fitted(rows, found).schema == found


values = st.one_of(
    st.integers(-(2**63), 2**64),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=4),
    st.booleans(),
    st.none(),
    st.lists(st.integers(0, 9), max_size=2),
    st.dictionaries(st.sampled_from("xy"), st.integers(0, 9)),
)
messages = st.dictionaries(st.sampled_from("abc"), values, max_size=3).map(lambda row: json.dumps(row).encode())
blocks = st.lists(st.lists(messages | st.just(b"{") | st.none(), min_size=1, max_size=6), min_size=1, max_size=4)


@given(blocks, st.none() | schemas.filter(lambda schema: all(field.nullable for field in schema)))
@settings(deadline=None, max_examples=200)
def test_each_record_is_a_row_or_a_reject(blocks, held):
    """Block after block: every record is a row or a reject, once, and the rows of all blocks go together."""
    codec, like = open_codec("json"), held
    for block in blocks:
        count = len(block)
        records = Records(
            "t",
            0,
            np.arange(count, dtype=np.int64),
            np.zeros(count, np.int64),
            pa.nulls(count, pa.binary()),
            pa.array(block, pa.binary()),
        )
        found = fit(codec.decode(records, like), held, like)
        rejected = [reject.index for reject in found.rejects]
        assert sorted([*found.rows.tolist(), *rejected]) == list(range(count))
        assert found.batch.num_rows == len(found.rows)
        assert rejected == sorted(rejected)
        if found.batch.num_rows:
            like = found.batch.schema if like is None else together(like, found.batch.schema)
            assert fitted(found.batch, like).num_rows == len(found.rows)
        for field in held or ():
            mine = like.field(field.name).type
            assert together(pa.schema([field]), pa.schema([pa.field(field.name, mine)])).field(0).type == mine
