"""What a contract changes before it judges: done to rows as they come, as pandera does it, and the verdict is on that."""

import math
from pathlib import Path

import pandera.polars as pdr
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandera.config import ValidationDepth, config_context

import dataplat as dp
from dataplat.validation import Contract

SCHEMAS = [
    pdr.DataFrameSchema({"a": pdr.Column(int, coerce=True, nullable=True)}),
    pdr.DataFrameSchema({"a": pdr.Column(float, nullable=True)}, coerce=True),
    pdr.DataFrameSchema({"a": pdr.Column(str, coerce=True, nullable=True)}),
    pdr.DataFrameSchema({"a": pdr.Column(float, default=1.5, coerce=True, nullable=True)}),
    pdr.DataFrameSchema({"a": pdr.Column(float, coerce=True, nullable=True)}, strict="filter"),
    pdr.DataFrameSchema({"a": pdr.Column(pl.Float32, coerce=True, nullable=True), "b": pdr.Column(int, nullable=True)}),
    pdr.DataFrameSchema(
        {"a": pdr.Column(float, nullable=True), "c": pdr.Column(str, default="none")}, add_missing_columns=True
    ),
]


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from(range(len(SCHEMAS))),
    st.lists(st.one_of(st.none(), st.sampled_from([0.0, -0.0, 1.9, -1.9, 1e6, math.nan])), max_size=8),
)
def test_rows_become_what_pandera_makes_of_them(number, values):
    """Coerced, filled, added and left out as by pandera itself, wherever all values can be."""
    schema = SCHEMAS[number]
    if number == 0:
        values = [value for value in values if value is None or not math.isnan(value)]
    table = pa.table({"a": pa.array(values, pa.float64()), "b": pa.array(range(len(values)), pa.int64())})
    with config_context(validation_depth=ValidationDepth.SCHEMA_ONLY):
        expected = schema.validate(pl.DataFrame(pl.from_arrow(table)), lazy=True)
    transform = Contract(schema, name="s").transform
    assert transform is not None
    for batch in table.to_batches():
        changed, bad = transform.apply(batch)
        assert not bad
        got = pl.DataFrame(pl.from_arrow(changed))
        assert sorted(got.columns) == sorted(
            expected.columns
        )  # added ones come last, where pandera puts them in between
        assert got.select(expected.columns).equals(expected)
        assert changed.schema == transform.arrow_schema(batch.schema)


def test_an_ingest_lands_what_was_judged(tmp_path: Path):
    """Values are coerced and filled on the way in, the verdict is on what landed, and uncoercible ones are rejects."""
    schema = pdr.DataFrameSchema(
        {"a": pdr.Column(int, pdr.Check.ge(0), coerce=True), "b": pdr.Column(str, default="none")}, name="s"
    )
    lake = dp.open(tmp_path / "lake")
    rows = pa.table({"a": ["1", "x", "-3", "4"], "b": ["u", "v", "w", None]})
    result = lake.ingest(rows, "d", contract=schema)
    assert (result.rows_added, result.rows_rejected, result.rows_quarantined) == (2, 1, 1)
    assert lake["d"].to_arrow().to_pylist() == [{"a": 1, "b": "u"}, {"a": 4, "b": "none"}]
    (reject,) = lake["d.rejects"].to_arrow().to_pylist()
    assert (reject["row"], reject["column"], reject["raw"]) == (2, "a", b'{"a": "x", "b": "v"}')
    assert "cannot be coerced to Int64" in reject["error"]
    assert lake["d"].validate(schema).ok


def test_outside_an_ingest_data_is_only_judged():
    """Validate changes nothing: a value of another type fails, though it could be coerced."""
    schema = pdr.DataFrameSchema({"a": pdr.Column(int, coerce=True)}, name="s")
    assert not dp.validate(pa.table({"a": ["1"]}), schema).ok
    assert dp.validate(pa.table({"a": [1]}), schema).ok


def test_what_is_changed_is_in_the_id():
    """A contract that coerces or fills is another one than one that does not."""
    ids = {
        Contract(pdr.DataFrameSchema({"a": pdr.Column(int, **options)}, **more), name="s").id
        for options, more in [
            ({}, {}),
            ({"coerce": True}, {}),
            ({"default": 1}, {}),
            ({"default": 2}, {}),
            ({}, {"coerce": True}),
            ({}, {"add_missing_columns": True}),
            ({}, {"strict": "filter"}),
        ]
    }
    assert len(ids) == 7


def test_a_type_that_never_fits_rejects_every_row(tmp_path: Path):
    """Where no value of a column can be coerced, all rows are rejects, and the branch holds none."""
    schema = pdr.DataFrameSchema({"a": pdr.Column(int, coerce=True)}, name="s")
    lake = dp.open(tmp_path / "lake")
    result = lake.ingest(pa.table({"a": ["x", "y"]}), "d", contract=schema)
    assert (result.rows_added, result.rows_rejected) == (0, 2)
    with pytest.raises(dp.SourceError, match="cannot be coerced"):
        lake.ingest(pa.table({"a": ["x", "y"]}), "e", contract=schema, on_error="fail")
