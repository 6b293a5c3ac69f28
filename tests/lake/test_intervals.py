"""Pruning: statistics prove what they can, and what they rule out never held a match."""

from __future__ import annotations

import math
from decimal import Decimal

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from dataplat.errors import PredicateError
from dataplat.lake.objects import Objects, Stage
from dataplat.lake.part import ColumnStats
from dataplat.lake.parts import PartWriter
from dataplat.lake.scan import scan, to_table
from dataplat.lake.stores import MemoryStore
from dataplat.lake.where import parse_where

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


INTS = st.integers(-3, 3)
FLOATS = st.floats() | st.sampled_from([0.0, -0.0, 0.1, 1.5, float("nan"), float("inf"), 1e300])
MOMENTS = st.integers(-3, 3) | st.integers(-(10**15), 10**15)
VALUES = {
    "i": st.integers(-(2**63), 2**63 - 1) | INTS | st.integers(2**53, 2**53 + 3),
    "i8": st.integers(-128, 127),
    "u": st.integers(0, 2**64 - 1) | st.integers(0, 3),
    "f": FLOATS,
    "f16": st.floats(width=16) | st.sampled_from([0.0999755859375, 1.5]),
    "f32": st.floats(width=32) | st.sampled_from([0.1, 1.5, float("nan")]),
    "s": st.text("ab\u00e9\U0001f600", max_size=3) | st.text("a", min_size=250, max_size=260),
    "b": st.booleans(),
    "d": st.integers(-1000, 1000),
    "ms": st.integers(-3, 3) | st.integers(-(10**12), 10**12),
    "ns": MOMENTS,
    "tz": MOMENTS,
    "t": st.integers(0, 86_399_999_999),
    "du": MOMENTS,
    "dec": st.decimals(-100, 100, places=2),
}
NUMBERS = st.one_of(
    st.integers(-(2**63), 2**63 - 1),
    INTS,
    st.integers(2**53, 2**53 + 3),
    FLOATS.filter(math.isfinite),
    st.decimals(-100, 100, places=2),
    st.sampled_from([Decimal("0.1"), Decimal("1.5")]),
)


def as_literal(name, value):
    """A value of a column as a Polars literal of its type."""
    kind = TYPES[name]
    if name in {"d", "ms", "ns", "tz", "t", "du"}:
        return pl.lit(pl.Series(pa.array([value], kind)))
    return pl.lit(value)


@st.composite
def compared(draw, name):
    """A predicate over one column."""
    literals = NUMBERS if name in {"i", "i8", "u", "f", "f16", "f32", "dec"} else VALUES[name]
    column = pl.col(name)
    match draw(st.sampled_from(["test", "test", "between", "in", "null", "special"])):
        case "between":
            closed = draw(st.sampled_from(["both", "left", "right", "none"]))
            return column.is_between(as_literal(name, draw(literals)), as_literal(name, draw(literals)), closed)
        case "in":
            kind = TYPES[name]
            values = draw(st.lists(VALUES[name] | st.none(), max_size=3))
            return column.is_in(pl.Series(pa.array(values, kind)).implode(), nulls_equal=draw(st.booleans()))
        case "null":
            return draw(st.sampled_from([column.is_null(), column.is_not_null()]))
        case "special" if name == "s":
            return column.str.starts_with(draw(VALUES[name]))
        case "special" if name == "b":
            return column
    test = draw(st.sampled_from(["eq", "ne", "lt", "le", "gt", "ge", "eq_missing"]))
    left, right = column, as_literal(name, draw(literals))
    return getattr(left, test)(right) if draw(st.booleans()) else getattr(right, test)(left)


@st.composite
def cases(draw):
    """A table of two columns, and a predicate over them."""
    names = draw(st.lists(st.sampled_from(sorted(VALUES)), min_size=1, max_size=2, unique=True))
    size = draw(st.integers(0, 16))
    rows = {}
    for name in names:
        cells = draw(st.lists(VALUES[name], min_size=1, max_size=3))  # few values: whole row groups are alike
        rows[name] = [draw(st.sampled_from([*cells, None])) for _ in range(size)]
        if draw(st.booleans()):
            rows[name].sort(key=lambda value: (value is None, repr(value)))
    leaves = st.one_of([compared(name) for name in names])
    tree = st.recursive(
        leaves,
        lambda inner: (
            st.builds(lambda a, b, both: a & b if both else a | b, inner, inner, st.booleans())
            | st.builds(lambda a: ~a, inner)
        ),
        max_leaves=4,
    )
    return pa.table({name: pa.array(values, TYPES[name]) for name, values in rows.items()}), draw(tree)


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=200, deadline=None)
@given(cases(), st.integers(1, 5), st.integers(1, 3))
def test_pruning_never_loses_a_row(case, row_group_rows, row_groups):
    """For any table and predicate, the pruned scan of its parts is the mask over all of its rows."""
    rows, expr = case
    try:
        where = parse_where(expr, rows.schema)
        wanted = rows.filter(where.mask(rows))
    except PredicateError:
        assume(False)
    store = MemoryStore()
    with Stage(store) as stage:
        writer = PartWriter(stage, rows.schema, row_group_rows=row_group_rows, target_rows=row_group_rows * row_groups, threads=0, with_digests=False)  # fmt: skip
        for batch in rows.to_batches():
            writer.write(batch)
        parts = writer.close()
        objects = Objects(store, stage)
        found = to_table(objects, parts, writer.schema, where=where, threads=0)
    assert found.to_pydict().__repr__() == wanted.to_pydict().__repr__()  # NaN by its name


@pytest.mark.parametrize(
    ("text", "prunes"),
    [
        ("i > 20", True),
        ("i >= 20", False),
        ("i < 10", True),
        ("i = 15", False),
        ("i = 9", True),
        ("not i > 5", True),
        ("i between 21 and 30", True),
        ("i in (1, 2, 30)", True),
        ("i in (1, 20)", False),
        ("i is null", True),
        ("i is not null", False),
        ("i > 20 or i < 10", True),
        ("i > 20 and abs(i) = 1", True),
        ("i > 20 or abs(i) = 1", False),
        ("abs(i) > 20", False),
        ("s like 'c%'", True),
        ("s like 'b%'", False),
        ("s not like 'b%'", True),
        ("s > 'cab'", True),
        ("s is null", False),
        ("ms > '2024-01-02'", True),
        ("'2024-01-02' > ms", False),
        ("b", True),
        ("not b", False),
        ("f > 2.5", False),
        ("f < 1", True),
        ("dec > 2.5", True),
        ("dec = 1.5", False),
        ("false", True),
        ("l is null", False),
        ("null", True),
        ("i <> 15", False),
    ],
)  # fmt: skip
def test_what_statistics_prove(text, prunes):
    """Bounds, nulls and NaN prove what they can prove, and nothing more."""
    stats = {
        "i": ColumnStats(0, 0, 10, 20),
        "s": ColumnStats(1, 0, "ba", "bz"),
        "ms": ColumnStats(0, 0, 1_704_067_200 * 10**9, 1_704_153_600 * 10**9),
        "b": ColumnStats(0, 0, low=False, high=False),
        "f": ColumnStats(0, 1, 1.0, 2.0),
        "dec": ColumnStats(0, 0, "1.00", "2.50"),
    }
    assert parse_where(text, SCHEMA).may_match(stats, 5, TYPES) is not prunes


def test_nothing_is_proved_without_statistics():
    """A column without statistics may hold anything."""
    assert parse_where("i > 20 and s = 'x' and not b", SCHEMA).may_match({}, 5, TYPES)


def test_a_pruned_part_is_not_read():
    """Parts and row groups that cannot match cost no read."""
    store = MemoryStore()
    with Stage(store) as stage:
        writer = PartWriter(stage, pa.schema([("i", pa.int64())]), target_rows=4, row_group_rows=2, threads=0)
        writer.write(pa.record_batch({"i": list(range(12))}))
        parts = writer.close()
        stage.flush()
    read = []

    class Watched(Objects):
        def read(self, object_id, suffix, *, verify=True):
            read.append(object_id)
            return super().read(object_id, suffix, verify=verify)

    where = parse_where("i = 6", writer.schema)
    assert [batch.to_pydict() for batch in scan(Watched(store), parts, writer.schema, where=where)] == [{"i": [6]}]
    assert read == [parts[1].id]
