"""Verdicts equal pandera's own, failing rows included, on the values that comparisons stumble over."""

import math

import pandera.polars as pdr
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandera.config import ValidationDepth, config_context
from pandera.errors import SchemaErrors

from dataplat.validation import Contract
from dataplat.validation._memory import Memory
from dataplat.validation._unique import find_repeats
from dataplat.validation.subject import TableSubject

FLOATS = st.one_of(
    st.none(),
    st.sampled_from([math.nan, math.inf, -math.inf, 0.0, -0.0, 1.0, -1.0, 5e-324]),
    st.floats(allow_nan=True, width=64),
)
INTEGERS = st.one_of(st.none(), st.sampled_from([0, 1, -1, 2**63 - 1, -(2**63)]), st.integers(-3, 3))
TEXT = st.one_of(
    st.none(), st.sampled_from(["", "a", "ab", "é", "e\u0301", "日本", "a\nb", "\0", "🙂"]), st.text(max_size=4)
)

BOUNDS = st.sampled_from([-1.0, -0.0, 0.0, 1.0, math.inf, -math.inf, math.nan])
WHOLE = st.sampled_from([-1, 0, 1, 2**62])
WORDS = st.sampled_from(["", "a", "é", "日", "b"])
PATTERNS = st.sampled_from(["", "a", "^a", "a$", ".", "[^a]", "é+", "日?", r"\w+", r"a\nb"])

PANDERA_CHECKS = {
    "float": (
        st.builds(pdr.Check.ge, BOUNDS)
        | st.builds(pdr.Check.gt, BOUNDS)
        | st.builds(pdr.Check.le, BOUNDS)
        | st.builds(pdr.Check.lt, BOUNDS)
        | st.builds(pdr.Check.eq, BOUNDS)
        | st.builds(pdr.Check.ne, BOUNDS)
        | st.builds(pdr.Check.in_range, st.sampled_from([-math.inf, -1.0, 0.0]), st.sampled_from([0.0, 1.0, math.inf]))
        | st.builds(pdr.Check.isin, st.lists(BOUNDS, max_size=3))
        | st.builds(pdr.Check.notin, st.lists(BOUNDS, max_size=3))
    ),
    "int": (
        st.builds(pdr.Check.ge, WHOLE)
        | st.builds(pdr.Check.lt, WHOLE, ignore_na=st.booleans())
        | st.builds(pdr.Check.ne, WHOLE, ignore_na=st.booleans())
        | st.builds(pdr.Check.in_range, st.just(-1), WHOLE.filter(lambda x: x >= 0), st.booleans(), st.booleans())
        | st.builds(pdr.Check.isin, st.lists(WHOLE, max_size=3))
    ),
    "str": (
        st.builds(pdr.Check.str_matches, PATTERNS, ignore_na=st.booleans())
        | st.builds(pdr.Check.str_contains, PATTERNS)
        | st.builds(pdr.Check.str_startswith, WORDS)
        | st.builds(pdr.Check.str_endswith, WORDS)
        | st.builds(pdr.Check.str_length, st.integers(0, 2), st.integers(2, 4))
        | st.builds(pdr.Check.str_length, exact_value=st.integers(0, 2))
        | st.builds(pdr.Check.isin, st.lists(WORDS, max_size=3))
        | st.builds(pdr.Check.notin, st.lists(WORDS, max_size=3), ignore_na=st.booleans())
        | st.builds(pdr.Check.eq, WORDS)
        | st.builds(pdr.Check.gt, WORDS)
    ),
}
COLUMNS = {
    "float": (pl.Float64, pa.float64(), FLOATS),
    "int": (pl.Int64, pa.int64(), INTEGERS),
    "str": (pl.String, pa.string(), TEXT),
}


@st.composite
def cases(draw):
    """Draw a schema of one column and data for it."""
    kind = draw(st.sampled_from(sorted(COLUMNS)))
    dtype, arrow, values = COLUMNS[kind]
    checks = draw(st.lists(PANDERA_CHECKS[kind], max_size=3))
    column = pdr.Column(dtype, checks, nullable=draw(st.booleans()), unique=draw(st.booleans()))
    rows = draw(st.lists(values, max_size=12))
    return pdr.DataFrameSchema({"x": column}), pa.table({"x": pa.array(rows, arrow)})


def pandera_says(schema, table):
    """Return pandera's failing rows as a sorted list of (check, check number, row)."""
    try:
        with config_context(validation_depth=ValidationDepth.SCHEMA_AND_DATA):
            schema.validate(pl.DataFrame(pl.from_arrow(table)), lazy=True)
    except SchemaErrors as errors:
        cases = errors.failure_cases.select("check", "check_number", "index").rows()
        return sorted(cases, key=str)
    return []


def dataplat_says(contract, table, size):
    """Return our failing rows in the same form, from batches of `size` rows."""
    batches = table.to_batches(max_chunksize=size)
    report = contract.validate(pa.Table.from_batches(batches, table.schema))
    found = []
    for outcome in report.failed:
        assert outcome.status == "failed", outcome
        assert outcome.failing == len(outcome.examples)
        found += [(outcome.name, outcome.number, example.position) for example in outcome.examples]
    return sorted(found, key=str)


@settings(max_examples=200, deadline=None)
@given(cases(), st.integers(1, 13))
def test_same_failing_rows_as_pandera(case, size):
    """Every check fails on the rows on which it fails in pandera, whatever the batches."""
    schema, table = case
    try:
        contract = Contract(schema, name="s")
    except ValueError as error:  # contradictory bounds
        assert "no value of column" in str(error)  # noqa: PT017
        return
    assert dataplat_says(contract, table, size) == pandera_says(schema, table)


@settings(max_examples=80, deadline=None)
@given(cases(), st.integers(1, 13))
def test_good_rows_are_a_fixed_point(case, size):
    """Good rows and bad rows are the input, and the good ones pass the row checks again."""
    schema, table = case
    schema.columns["x"].unique = False
    try:
        contract = Contract(schema, name="s")
    except ValueError:
        return
    for batch in table.to_batches(max_chunksize=size):
        verdict = contract.check_batch(batch)
        good, bad = verdict.split(batch)
        assert good.num_rows + bad.num_rows == batch.num_rows
        assert bad.num_rows == verdict.bad
        assert all(bad["failures"].to_pylist())
        assert contract.check_batch(good).ok


REPEATED = {
    "float": FLOATS,
    "int": INTEGERS,
    "text": TEXT,
    "list": st.none() | st.lists(st.sampled_from([1.0, -0.0, 0.0]), max_size=2),
    "struct": st.none() | st.fixed_dictionaries({"a": st.sampled_from([None, 1]), "b": st.sampled_from(["", None])}),
    "binary": st.binary(max_size=1),
    "bool": st.none() | st.booleans(),
}


@settings(max_examples=80, deadline=None)
@given(st.data(), st.integers(1, 20), st.sampled_from([2, 3, 8, 1000]), st.sampled_from([1, 2, 1000]))
@pytest.mark.parametrize("kind", sorted(REPEATED))
def test_repeats_equal_is_duplicated(kind, data, size, digests, classes):
    """Uniqueness in bounded memory finds the rows that polars finds in one piece, whatever the budget."""
    types = {
        "float": pa.float64(),
        "int": pa.int64(),
        "text": pa.string(),
        "list": pa.list_(pa.float64()),
        "struct": pa.struct({"a": pa.int64(), "b": pa.string()}),
        "binary": pa.binary(),
        "bool": pa.bool_(),
    }
    rows = data.draw(st.lists(st.tuples(REPEATED[kind], st.sampled_from([None, 0, 1])), max_size=30))
    table = pa.table(
        {"x": pa.array([x for x, _ in rows], types[kind]), "y": pa.array([y for _, y in rows], pa.int64())}
    )
    for columns in (["x"], ["x", "y"]):
        chunked = pa.Table.from_batches(table.to_batches(max_chunksize=size), table.schema)
        found = find_repeats(TableSubject(chunked), columns, Memory(None), digests=digests, classes=classes)
        frame = pl.DataFrame(pl.from_arrow(table.select(columns)))
        expected = frame.is_duplicated() if frame.height else pl.Series([], dtype=pl.Boolean)
        assert found.rows == table.num_rows
        assert found.failing == expected.sum()
        assert [e.position for e in found.examples] == expected.arg_true().to_list()
