"""Types of a lake as Spark has them, and back."""

import pyarrow as pa
import pytest
from pyspark.sql import types as st

from dataplat.connectors.spark.types import arrow_for_spark, handed, landed, spark_schema
from dataplat.errors import SchemaError, SchemaMismatch
from dataplat.lake.canonical import family_tree
from dataplat.lake.schema import canonical_schema, conform


def test_what_spark_is_given_comes_back_as_the_same_values(kind, values):
    """Every type that Spark knows: its own type, and from there the values that the lake has, of the same family."""
    schema = canonical_schema(pa.schema([("c", kind)]))
    batch = pa.RecordBatch.from_arrays([pa.array(values, schema.field(0).type)], schema=schema)
    given = spark_schema(schema)
    back = landed(given)
    shown = handed(batch, back)
    assert shown.schema.equals(back)
    assert conform(shown, schema).equals(batch)
    assert family_tree(back.field(0).type) == family_tree(kind)


def test_integers_too_wide_for_spark_are_decimals():
    """The widest unsigned integers keep their values as decimals, which a column of integers takes back."""
    schema = pa.schema([("c", pa.uint64())])
    batch = pa.record_batch({"c": pa.array([0, 2**64 - 1, None], pa.uint64())})
    assert spark_schema(schema)["c"].dataType == st.DecimalType(20, 0)
    shown = handed(batch, landed(spark_schema(schema)))
    assert shown.column(0).to_pylist() == [0, 2**64 - 1, None]
    assert conform(shown, schema).equals(batch)


@pytest.mark.parametrize(
    ("kind", "named"),
    [
        (pa.decimal256(50, 2), "'c' is decimal256"),
        (pa.decimal128(5, -2), "'c' is decimal128"),
        (pa.struct([("in", pa.list_(pa.decimal256(50, 2)))]), "'c.in"),
    ],
)
def test_types_that_spark_lacks_are_refused_by_name(kind, named):
    """The column is named, however deep it lies, and what to do about it."""
    with pytest.raises(SchemaError, match=named) as caught:
        arrow_for_spark(pa.schema([("c", kind)]))
    assert "columns" in str(caught.value)


@pytest.mark.parametrize(
    "array",
    [
        pa.array([1], pa.timestamp("ns")),
        pa.array([1], pa.timestamp("ns", "UTC")),
        pa.array([1], pa.time64("ns")),
        pa.array([1], pa.duration("ns")),
        pa.array([[1]], pa.list_(pa.timestamp("ns"))),
    ],
    ids=lambda array: str(array.type),
)
def test_nanoseconds_are_never_cut_off(array):
    """A value that Spark cannot hold is an error with the column's name, not another value."""
    batch = pa.record_batch({"when": array})
    with pytest.raises(SchemaMismatch, match="'when' holds values that Spark has no type for"):
        handed(batch, landed(spark_schema(batch.schema)))


REFUSED = [
    (st.VariantType(), "'c' is variant"),
    (st.YearMonthIntervalType(), "'c' is interval"),
    (st.CalendarIntervalType(), "'c' is interval"),
    (st.StructType([st.StructField("in", st.ArrayType(st.VariantType()))]), "'c.in"),
    (st.MapType(st.StructType([st.StructField("k", st.LongType())]), st.LongType()), "map whose keys are struct"),
    (st.ArrayType(st.MapType(st.ArrayType(st.LongType()), st.LongType())), "map whose keys are array"),
    (st.MapType(st.StringType(), st.YearMonthIntervalType()), "'c"),
]


@pytest.mark.parametrize(("kind", "named"), REFUSED, ids=lambda value: str(value)[:40])
def test_types_that_a_lake_lacks_are_refused_by_name(kind, named):
    """Intervals of months, variants and maps by struct: refused with the path of the column and what to do."""
    with pytest.raises(SchemaMismatch, match=named):
        landed(st.StructType([st.StructField("c", kind)]))
