"""How the schema of a dataset grows: wider where every value fits, never in a way that old rows do not survive."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import dataplat as dp
from dataplat._lake import Lake
from dataplat.ingest._schema import landed_schema
from dataplat.versioning.modes import holds

US, NS = pa.timestamp("us"), pa.timestamp("ns")


@pytest.mark.parametrize(
    ("ours", "theirs", "landed"),
    [
        (pa.int32(), pa.int64(), pa.int64()),
        (pa.int64(), pa.int32(), pa.int64()),
        (pa.int8(), pa.uint8(), pa.int16()),
        (pa.uint32(), pa.int8(), pa.int64()),
        (pa.uint64(), pa.int64(), pa.uint64()),
        (pa.int64(), pa.uint64(), pa.int64()),
        (pa.int8(), pa.uint64(), pa.int64()),
        (pa.float32(), pa.float64(), pa.float64()),
        (pa.float64(), pa.int64(), pa.float64()),
        (pa.int64(), pa.float64(), pa.int64()),
        (pa.decimal128(5, 2), pa.decimal128(10, 2), pa.decimal128(10, 2)),
        (pa.decimal128(5, 2), pa.decimal128(10, 4), pa.decimal128(5, 2)),
        (pa.timestamp("s"), US, US),
        (US, NS, US),
        (NS, US, NS),
        (US, pa.date32(), US),
        (pa.date32(), US, pa.date32()),
        (pa.timestamp("us", "UTC"), pa.timestamp("ms", "Europe/Berlin"), pa.timestamp("us", "UTC")),
        (pa.null(), pa.string(), pa.string()),
        (pa.string(), pa.null(), pa.string()),
        (pa.string(), pa.large_string(), pa.string()),
        (pa.string(), pa.dictionary(pa.int32(), pa.string()), pa.string()),
    ],
    ids=str,
)
def test_what_a_column_becomes(ours: pa.DataType, theirs: pa.DataType, landed: pa.DataType) -> None:
    """A column takes the wider type only if every value that may be there fits it; else it keeps its own."""
    result = landed_schema(pa.schema([("a", ours)]), pa.schema([("a", theirs)]), whole=False)
    assert result.field("a").type == landed
    assert holds(landed, ours)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (pa.int64(), pa.string()),
        (pa.string(), pa.int64()),
        (pa.bool_(), pa.int64()),
        (US, pa.timestamp("us", "UTC")),
        (pa.binary(), pa.string()),
        (pa.time64("us"), US),
        (pa.list_(pa.int64()), pa.int64()),
    ],
    ids=str,
)
def test_kinds_that_do_not_go_together(ours: pa.DataType, theirs: pa.DataType) -> None:
    """Another kind of type is an error that names column and types; replacing all rows may change it."""
    before, after = pa.schema([("a", ours)]), pa.schema([("a", theirs)])
    with pytest.raises(dp.SchemaMismatch, match="column 'a' is .* in the dataset and .* in the input"):
        landed_schema(before, after, whole=False)
    assert landed_schema(before, after, whole=True) == after


def test_columns_that_are_missing_or_new() -> None:
    """A missing column is an error that guesses; a new one is added behind the others, nullable."""
    before = pa.schema([("amount", pa.int64()), ("day", pa.date32())])
    with pytest.raises(dp.SchemaMismatch, match="no column 'amount'.*amonut"):
        landed_schema(before, pa.schema([("amonut", pa.int64()), ("day", pa.date32())]), whole=False)
    new = pa.schema([pa.field("new", pa.string(), nullable=False), *before])
    assert landed_schema(before, new, whole=False) == pa.schema([*before, ("new", pa.string())])


def test_a_whole_replace_keeps_the_order_of_the_same_columns() -> None:
    """The same columns in another order are the same schema; other columns are the input's."""
    before = pa.schema([("a", pa.int64()), ("b", pa.string())])
    swapped = pa.schema([("b", pa.string()), ("a", pa.int32())])
    assert landed_schema(before, swapped, whole=True) == before
    other = pa.schema([("b", pa.string()), ("c", pa.int32())])
    assert landed_schema(before, other, whole=True) == other


def test_a_typed_file_widens_the_dataset(memory_lake: Lake, tmp_path: object) -> None:
    """A Parquet file of a wider type makes the column wider, and old rows stay as they are."""
    for kind, value in ((pa.int32(), 1), (pa.int64(), 2**40)):
        path = f"{tmp_path}/{kind}.parquet"
        pq.write_table(pa.table({"a": pa.array([value], kind)}), path)
        result = memory_lake.ingest(path, "d")
    assert memory_lake["d"].schema.field("a").type == pa.int64()
    assert memory_lake["d"].to_arrow().column("a").to_pylist() == [1, 2**40]
    assert result.notes == ("the schema changed",)


@pytest.mark.parametrize(
    ("kind", "fits", "does_not"),
    [
        (pa.int64(), 2.0, 2.5),
        (pa.float64(), 2**53, 2**53 + 1),
        (pa.date32(), dt.datetime(2020, 1, 1), dt.datetime(2020, 1, 1, 1)),  # noqa: DTZ001  (naive is meant)
        (pa.decimal128(5, 2), Decimal("1.500"), Decimal("1.505")),
    ],
    ids=str,
)
def test_a_value_fits_exactly_or_is_refused(
    memory_lake: Lake, kind: pa.DataType, fits: object, does_not: object
) -> None:
    """Where the dataset's type stays each value must fit it exactly: nothing is rounded or cut off."""
    memory_lake.ingest(pa.table({"a": pa.array([None], kind)}), "d")
    memory_lake.ingest(pa.table({"a": [fits]}), "d")
    assert memory_lake["d"].schema.field("a").type == kind
    with pytest.raises(dp.SchemaMismatch, match="'a', row 1:"):
        memory_lake.ingest(pa.table({"a": [does_not]}), "d")
    assert memory_lake["d"].rows == 2


def test_text_is_read_by_the_types_of_the_dataset(memory_lake: Lake, write: object) -> None:
    """What looks like a number stays text where the dataset has text, and what is no number is rejected."""
    memory_lake.ingest(pa.table({"a": ["x"], "n": [1]}), "d")
    path = write("a.csv", "a,n\n007,5\n008,many\n")  # type: ignore[operator]
    result = memory_lake.ingest(path, "d")
    assert memory_lake["d"].to_arrow().to_pylist()[1:] == [{"a": "007", "n": 5}]
    assert result.rows_rejected == 1


@pytest.mark.parametrize("name", ["key", "sort", "order"])
def test_named_columns_must_be_there(memory_lake: Lake, name: str) -> None:
    """A key, sort or order column that the input lacks is an error that guesses which was meant."""
    options = {"key": "id", "mode": "upsert"} | {name: "amount"}
    with pytest.raises(dp.SchemaMismatch, match=f"the {name} column 'amount' is not in the input.*amout"):
        memory_lake.ingest(pa.table({"id": [1], "amout": [1]}), "d", **options)


@pytest.mark.parametrize(("name", "mode"), [("sort", "append"), ("order", "upsert")])
def test_columns_without_an_order(memory_lake: Lake, name: str, mode: str) -> None:
    """Lists have no order, so rows can be neither sorted by them nor told newer."""
    rows = pa.table({"id": [1, 1], "l": [[1], [2]]})
    with pytest.raises(dp.SchemaMismatch, match=f"the {name} column 'l' is list<.*no order"):
        memory_lake.ingest(rows, "d", mode=mode, key="id", **{name: "l"})
    with pytest.raises(dp.SchemaMismatch, match="no order"):
        memory_lake.plan_ingest(rows, "d", mode=mode, key="id", **{name: "l"})


def test_no_column_is_nothing_to_land(memory_lake: Lake) -> None:
    """A table without columns, whatever rows it says it has, is refused."""
    for empty in (pa.table({}), pd.DataFrame(index=[1, 2, 3])):
        with pytest.raises(dp.SchemaMismatch, match="the input has no column"):
            memory_lake.ingest(empty, "d")


def test_never_null_is_held(memory_lake: Lake, write: object) -> None:
    """A null in a column that is declared as never null is one reject in text, and an error with its row in a frame."""
    fields = [{"name": "a", "type": "int64", "nullable": False}, {"name": "b", "type": "int64"}]
    with pytest.raises(dp.SchemaMismatch, match="'a', row 2: null"):
        memory_lake.ingest(pa.table({"a": [1, None], "b": [1, 2]}), "d", schema=fields)
    assert memory_lake.datasets() == []
    path = write("a.csv", "a,b\n1,1\n,2\n")  # type: ignore[operator]
    with pytest.raises(dp.SourceError, match="line 3, column 'a': null"):
        memory_lake.ingest(path, "d", schema=fields, on_error="fail")
    assert memory_lake.datasets() == []
    result = memory_lake.ingest(path, "d", schema=fields)
    assert (result.rows_added, result.rows_rejected) == (1, 1)


@pytest.mark.parametrize("kind", ["float32", "decimal(5, 0)", "int64", "string"])
def test_types_that_are_asked_for_hold_every_value(memory_lake: Lake, tmp_path: object, kind: str) -> None:
    """A file whose values a given type would round or spell otherwise is refused."""
    pq.write_table(pa.table({"a": [1.0, 0.1]}), f"{tmp_path}/a.parquet")
    with pytest.raises(dp.SchemaMismatch, match=r"a\.parquet: column 'a'"):
        memory_lake.ingest(f"{tmp_path}/a.parquet", "d", schema={"a": kind})
