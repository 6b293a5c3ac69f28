"""Predicates: read and checked, three-valued, literals fitted to the type of the column."""

# ruff: noqa: DTZ001  (columns without a zone hold local times)

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataplat.errors import PredicateError
from dataplat.lake.where import Where, parse_where

SCHEMA = pa.schema(
    [
        ("i", pa.int64()),
        ("i8", pa.int8()),
        ("u", pa.uint64()),
        ("f", pa.float64()),
        ("f32", pa.float32()),
        ("f16", pa.float16()),
        ("s", pa.string()),
        ("b", pa.bool_()),
        ("d", pa.date32()),
        ("ms", pa.timestamp("ms")),
        ("ns", pa.timestamp("ns")),
        ("tz", pa.timestamp("us", "Europe/Berlin")),
        ("off", pa.timestamp("us", "+05:30")),
        ("t", pa.time64("us")),
        ("du", pa.duration("us")),
        ("dec", pa.decimal128(10, 2)),
        ("l", pa.list_(pa.int64())),
        ("m", pa.map_(pa.string(), pa.int64())),
    ]
)
TYPES = {field.name: field.type for field in SCHEMA}


def table(**columns):
    """A table of some of the columns."""
    return pa.table({name: pa.array(values, TYPES[name]) for name, values in columns.items()})


def selected(text, rows):
    """Which rows are selected."""
    return parse_where(text, rows.schema).mask(rows).to_pylist()


# ------------------------------------------------------------------------------------------------------- meaning


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("i > 1", [False, True, False]),
        ("not i > 1", [True, False, False]),
        ("i <> 1", [False, True, False]),
        ("i is null", [False, False, True]),
        ("i is null or i = 1", [True, False, True]),
        ("i in (1, 5)", [True, False, False]),
        ("i not in (1, 5)", [False, True, False]),
        ("i not in (1, null)", [False, False, False]),
        ("i between 0 and 1", [True, False, False]),
        ("i = null", [False, False, False]),
        ("s like 'x%'", [True, False, False]),
        ("s not like 'x%'", [False, True, False]),
        ("coalesce(i, 9) = 9", [False, False, True]),
        ("true", [True, True, True]),
        ("false or null", [False, False, False]),
        ("l is not null and i + 1 = 2", [True, False, False]),
    ],
)
def test_null_is_not_selected(text, wanted):
    """Rows for which a predicate is null are not selected, neither by it nor by its negation."""
    rows = table(i=[1, 2, None], s=["xa", "y", None], l=[[1], None, None])
    assert selected(text, rows) == wanted


def test_a_batch_or_a_table_of_more_columns():
    """Other columns do not matter, nor does how the rows are chunked."""
    where = parse_where("i = 1", SCHEMA)
    rows = pa.table({"m": pa.nulls(3, TYPES["m"]), "i": pa.chunked_array([[1], [2, 1]])})
    assert where.columns == ("i",)
    assert where.mask(rows).to_pylist() == [True, False, True]
    assert where.mask(rows.combine_chunks().to_batches()[0]).to_pylist() == [True, False, True]
    assert where.mask(rows.slice(0, 0)).to_pylist() == []


@pytest.mark.parametrize(
    ("text", "column", "values", "wanted"),
    [
        ("ms >= '2024-01-02'", "ms", [datetime(2024, 1, 1), datetime(2024, 1, 2)], [False, True]),
        ("'2024-01-02' <= ms", "ms", [datetime(2024, 1, 1), datetime(2024, 1, 2)], [False, True]),
        ("ms = '2024-01-01 10:00:00.25'", "ms", [datetime(2024, 1, 1, 10, 0, 0, 250_000)], [True]),
        ("ms between '2024-01-01' and '2024-01-02T12:00'", "ms", [datetime(2024, 1, 2, 12), datetime(2024, 1, 3)], [True, False]),
        ("ms in ('2024-01-01', '2024-01-03')", "ms", [datetime(2024, 1, 1), datetime(2024, 1, 2)], [True, False]),
        ("ms > timestamp '2024-01-01 00:00:00'", "ms", [datetime(2024, 1, 1), datetime(2024, 1, 2)], [False, True]),
        ("ms > date '2024-01-01'", "ms", [datetime(2024, 1, 1), datetime(2024, 1, 2)], [False, True]),
        ("ns = '1970-01-01 00:00:00.000000001'", "ns", [0, 1], [False, True]),
        ("ns > timestamp '1970-01-01 00:00:00'", "ns", [0, 1], [False, True]),
        ("d = '2024-01-01'", "d", [date(2024, 1, 1), date(2024, 1, 2)], [True, False]),
        ("d - interval '1 day' = '2024-01-01'", "d", [date(2024, 1, 1), date(2024, 1, 2)], [False, True]),
        ("tz >= '2024-01-01'", "tz", [datetime(2023, 12, 31, 22, 59, tzinfo=UTC), datetime(2023, 12, 31, 23, tzinfo=UTC)], [False, True]),
        ("tz = '2024-10-27 02:30+01:00'", "tz", [datetime(2024, 10, 27, 1, 30, tzinfo=UTC)], [True]),
        ("off = '2024-01-01'", "off", [datetime(2024, 1, 1, tzinfo=UTC)], [True]),
        ("t > '12:00:00.5'", "t", [time(12), time(13)], [False, True]),
        ("du > interval '1 day'", "du", [timedelta(hours=3), timedelta(days=2)], [False, True]),
        ("dec = 1.10", "dec", [Decimal("1.10"), Decimal("1.11")], [True, False]),
        ("f32 = 0.1", "f32", [0.1, 0.2], [True, False]),
        ("u = 18446744073709551615", "u", [2**64 - 1, 1], [True, False]),
    ],
)  # fmt: skip
def test_literals_mean_what_they_say(text, column, values, wanted):
    """Text compared with a date or time is read in the column's type and zone; no comparison rounds a column."""
    assert selected(text, table(**{column: values})) == wanted


@pytest.mark.parametrize(
    "expr",
    [
        pl.col("ms") > datetime(2024, 1, 1),
        pl.col("ms").is_between(date(2024, 1, 1), date(2024, 2, 1)),
        pl.col("ms").is_in(["2024-01-02"]),
        pl.col("ms").is_in([datetime(2024, 1, 2)]),
        (pl.col("ms") >= pl.lit("2024-01-02")).alias("x"),
        pl.when(pl.col("ms").is_null()).then(statement=False).otherwise(pl.col("ms").dt.day() == 2),
    ],
)
def test_polars_expressions(expr):
    """A Polars expression works as SQL text does, and so does what a commit keeps of it."""
    rows = table(ms=[datetime(2024, 1, 2), datetime(2023, 1, 1), None])
    where = parse_where(expr, SCHEMA)
    assert where.mask(rows).to_pylist() == [True, False, False]
    again = Where.loads(where.text, SCHEMA)
    assert again == where
    assert again.mask(rows).to_pylist() == [True, False, False]


@pytest.mark.parametrize(
    "kind",
    [
        pa.null(), pa.binary(3), pa.time32("ms"), pa.timestamp("us", "-03:00"), pa.timestamp("us", "Mars/Phobos"), pa.decimal128(38, 10),
        pa.list_(pa.timestamp("us", "+05:30")), pa.list_(pa.int8(), 2), pa.struct([("x", pa.timestamp("us", "+05:30"))]),
        pa.map_(pa.string(), pa.list_(pa.timestamp("ms", "+01:00"))),
    ],
)  # fmt: skip
def test_columns_of_any_type(kind):
    """Columns of types that Polars does not have in that form can be asked about."""
    rows = pa.table({"a": pa.nulls(2, kind)})
    assert selected("a is null", rows) == [True, True]


@pytest.mark.parametrize("kind", [pa.decimal256(60, 2), pa.decimal128(5, -2), pa.list_(pa.decimal256(60, 2))])
def test_types_that_polars_does_not_have(kind):
    """A column that Polars cannot take is refused by name, not by a panic."""
    with pytest.raises(PredicateError, match=r"column 'a' of type decimal\(.* cannot be in a where"):
        parse_where("a is null", pa.schema([("a", kind)]))


def test_text_is_kept_as_given():
    """What a commit keeps of SQL is the SQL."""
    assert parse_where("  i > 1 ", SCHEMA).text == "i > 1"
    assert Where.loads("i > 1", SCHEMA) == parse_where("i > 1", SCHEMA)


# ------------------------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "the where is empty"),
        ("i > 1 and", "cannot be read"),
        ("i = 1; drop table x", "cannot be read"),
        ("amount = 1", "names a column 'amount' that is not there; there are: i, i8"),
        ("I = 1", "'I' that is not there; did you mean 'i'"),
        ('s = "x"', r"text is written in single quotes: 'x'"),
        ("i", "gives Int64, not true or false"),
        ("i = 'x'", "does not fit the columns"),
        ("sum(i) > 1", "one row at a time, and Agg does not"),
        ("i > avg(i)", "one row at a time"),
        ("i in (select 1)", "one row at a time"),
        ("row_number() over () > 1", "one row at a time"),
        ("current_date > d", r"asks the clock \(current_date\)"),
        ("ms < now()", r"asks the clock \(now\)"),
        ("ms = 'yesterday'", "write '2024-12-31' or"),
        ("ms = 5", "Int32 cannot be compared with a date or time"),
        ("ms = '2024-01-01 00:00:00.0005'", r"finer than column 'ms' of type timestamp\[ms\]"),
        ("ns = '2024-01-01 00:00:00.0000000005'", "finer than nanoseconds"),
        ("ns = '9999-01-01'", "out of the range"),
        ("ms = '2024-01-01 00:00Z'", "has no zone; leave the zone out"),
        ("d = '2024-01-01 12:00'", "finer than column 'd' of type date"),
        ("t = '25:00'", "write '23:59:58'"),
        ("du > '1 day'", "write INTERVAL '1 day'"),
        ("tz = '2024-10-27 02:30'", "happens twice or never in Europe/Berlin"),
        ("tz = '2024-03-31 02:30'", "happens twice or never in Europe/Berlin"),
        ("d > time '12:00'", "cannot be compared with column 'd' of type date"),
        ('{"Column":', "neither SQL nor the JSON"),
    ],
)
def test_what_cannot_be_a_predicate(text, says):
    """A predicate that cannot be read, or would not mean one thing, says what is wrong and what to write."""
    with pytest.raises(PredicateError, match=says):
        parse_where(text, SCHEMA)


def test_a_column_named_as_a_word_of_sql():
    """A column whose name means something to SQL is written in double quotes, and the error says so."""
    schema = pa.schema([("user", pa.int64())])
    with pytest.raises(PredicateError, match="the column 'user' is written \"user\", in double quotes"):
        parse_where("user = 1", schema)
    assert parse_where('"user" = 1', schema).columns == ("user",)


def test_a_quoted_clock_is_text():
    """The words of the clock inside quotes are only words."""
    assert parse_where("s = 'now()'", SCHEMA).columns == ("s",)


@pytest.mark.parametrize(
    "expr",
    [
        pl.col("i").shift(1) > 1,
        pl.col("i").cum_sum() > 1,
        pl.col("i") - pl.col("i").mean() > 0,
        pl.col("i").rank() > 1,
        pl.col("i").diff() > 1,
        pl.col("i").forward_fill() > 1,
        pl.col("i").fill_null(strategy="mean") > 1,
        pl.col("i").is_duplicated(),
        pl.col("i").is_first_distinct(),
        pl.col("i").rolling_mean(3) > 1,
        pl.col("i").shuffle() > 1,
        pl.col("i").reverse() > 1,
        pl.col("i").sort() > 1,
        pl.col("i").rle_id() > 1,
        pl.col("i").interpolate() > 1,
        pl.col("i").has_nulls(),
        pl.col("b").any(),
        (pl.col("i") > 1).over("s"),
        pl.len() > 1,
        pl.col("i").is_in(pl.col("u")),
        pl.int_range(pl.len()) > 1,
        pl.col("s").str.join() == "x",
    ],
)
def test_expressions_that_look_at_other_rows(expr):
    """An expression whose value for a row depends on other rows is refused: batches would change what it selects."""
    with pytest.raises(PredicateError, match=r"one row at a time|not with another column"):
        parse_where(expr, SCHEMA)


def test_python_in_an_expression_is_never_run():
    """A stored predicate can hold no pickled function."""
    text = '{"AnonymousFunction":{"input":[{"Column":"i"}],"function":[1,2,3],"options":{},"fmt_str":"map"}}'
    with pytest.raises(PredicateError, match="AnonymousFunction"):
        Where.loads(text, SCHEMA)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_literals_that_json_cannot_hold(value):
    """NaN and infinity cannot be kept by a commit, so the predicate says what to use instead."""
    with pytest.raises(PredicateError, match="is_nan"):
        parse_where(pl.col("f") > value, SCHEMA)


def test_failures_on_values_are_predicate_errors():
    """A cast that does not fit a value is reported as the predicate's fault."""
    with pytest.raises(PredicateError, match="cannot be evaluated"):
        selected("cast(s as int) = 1", table(s=["1", "x"]))


# --------------------------------------------------------------------------------------------------- against Python


def oracle(node, row):
    """What a predicate means for one row, in three-valued logic."""
    match node:
        case ("and" | "or" as op, left, right):
            a, b = oracle(left, row), oracle(right, row)
            decisive = op == "or"
            return decisive if decisive in (a, b) else None if None in (a, b) else not decisive
        case ("not", inner):
            return None if (found := oracle(inner, row)) is None else not found
        case ("null", name):
            return row[name] is None
        case ("in", name, values):
            found = [oracle(("=", name, value), row) for value in values]
            return True if True in found else None if None in found else False
        case (op, name, value):
            if row[name] is None or value is None:
                return None
            return {
                "=": row[name] == value, "<>": row[name] != value, "<": row[name] < value, "<=": row[name] <= value,
                ">": row[name] > value, ">=": row[name] >= value, "like": op == "like" and row[name].startswith(value),
            }[op]  # fmt: skip
    raise AssertionError(node)


def sql(node):
    """The same predicate as SQL."""
    match node:
        case ("and" | "or" as op, left, right):
            return f"({sql(left)} {op} {sql(right)})"
        case ("not", inner):
            return f"(not {sql(inner)})"
        case ("null", name):
            return f"{name} is null"
        case ("in", name, values):
            return f"{name} in ({', '.join(map(literal, values))})"
        case ("like", name, value):
            return f"{name} like '{value}%'"
        case (op, name, value):
            return f"{name} {op} {literal(value)}"
    raise AssertionError(node)


def literal(value):
    """A value as SQL."""
    return "null" if value is None else f"'{value}'" if isinstance(value, str) else str(value)


INTS = st.integers(-3, 3)
WORDS = st.text("ab", max_size=2)
TESTS = st.sampled_from(["=", "<>", "<", "<=", ">", ">="])
LEAVES = st.one_of(
    st.tuples(TESTS, st.just("i"), INTS),
    st.tuples(TESTS, st.just("s"), WORDS),
    st.tuples(st.just("like"), st.just("s"), WORDS),
    st.tuples(st.just("null"), st.sampled_from(["i", "s"])),
    st.tuples(st.just("in"), st.just("i"), st.lists(INTS | st.none(), min_size=1, max_size=3).filter(any)),
    st.tuples(st.just("in"), st.just("s"), st.lists(WORDS, min_size=1, max_size=3)),
)
NODES = st.recursive(
    LEAVES,
    lambda inner: st.tuples(st.sampled_from(["and", "or"]), inner, inner) | st.tuples(st.just("not"), inner),
    max_leaves=5,
)
ROWS = st.lists(st.fixed_dictionaries({"i": INTS | st.none(), "s": WORDS | st.none()}), min_size=1, max_size=12)


@given(NODES, ROWS)
def test_three_valued_logic(node, rows):
    """SQL selects exactly the rows for which three-valued logic says true."""
    found = parse_where(sql(node), SCHEMA).mask(
        pa.Table.from_pylist(rows, pa.schema([SCHEMA.field("i"), SCHEMA.field("s")]))
    )
    assert found.to_pylist() == [oracle(node, row) is True for row in rows]
