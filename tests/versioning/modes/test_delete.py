"""Delete: the rows that a predicate selects no longer count."""

from __future__ import annotations

from typing import Any

import polars as pl
import pyarrow as pa
import pytest

import dataplat as dp
from dataplat._lake import Lake
from dataplat.lake.content_id import content_id, digest


def test_selected_rows_go_and_nulls_stay(memory_lake: Lake) -> None:
    """Rows that `where` selects go; where it is null it selects nothing; earlier versions keep all."""
    memory_lake.ingest(pa.table({"a": [1, 2, None]}), "d")
    result = memory_lake.delete("d", "a > 1", message="gone")
    assert (result.rows_deleted, result.version.rows if result.version else 0) == (1, 2)
    assert memory_lake["d"].to_arrow().column("a").to_pylist() == [1, None]
    assert memory_lake["d@main~1"].rows == 3
    assert memory_lake.log("d")[0].message == "gone"


def test_a_polars_expression_does_as_well(memory_lake: Lake) -> None:
    """`where` may be a Polars expression."""
    memory_lake.ingest(pa.table({"a": [1, 2, 3]}), "d")
    memory_lake.delete("d", pl.col("a").is_in([1, 3]))
    assert memory_lake["d"].to_arrow().column("a").to_pylist() == [2]


def test_no_match_is_no_commit(memory_lake: Lake) -> None:
    """Where nothing matches nothing is committed, and the result says so."""
    memory_lake.ingest(pa.table({"a": [1]}), "d")
    before = memory_lake.refs.head("main").number
    result = memory_lake.delete("d", "a > 5")
    assert result.nothing_to_do
    assert result.notes == ("no row matches: nothing was deleted",)
    assert memory_lake.refs.head("main").number == before


@pytest.mark.parametrize("where", ["true", "a >= 0 or a is null"])
def test_all_rows_may_go(memory_lake: Lake, where: str) -> None:
    """A dataset of which all rows were deleted is an empty one, whose content id is known."""
    memory_lake.ingest(pa.table({"a": [1, None]}), "d")
    memory_lake.delete("d", where)
    version = memory_lake["d"]
    assert (version.rows, version.parts) == (0, [])
    empty = pa.table({"a": pa.array([], pa.int64())})
    assert version.content_id_if_known == content_id(digest(empty.to_batches()), empty.schema)


def test_a_part_without_rows_is_dropped(memory_lake: Lake) -> None:
    """A part of which no row is left leaves the manifest; one of which some are left gets a bitmap."""
    memory_lake.ingest(pa.table({"a": [1, 2]}), "d")
    memory_lake.ingest(pa.table({"a": [3, 4]}), "d")
    first, second = memory_lake["d"].parts
    memory_lake.delete("d", "a <= 3")
    [left] = memory_lake["d"].parts
    assert (left.id, left.deleted) == (second.id, 1)
    assert first.id != second.id


def test_deletes_add_up(memory_lake: Lake) -> None:
    """Rows deleted before do not count again, and do not come back."""
    memory_lake.ingest(pa.table({"a": [1, 2, 3, 4]}), "d")
    memory_lake.delete("d", "a = 1")
    assert memory_lake.delete("d", "a <= 2").rows_deleted == 1
    assert memory_lake["d"].to_arrow().column("a").to_pylist() == [3, 4]
    assert memory_lake["d"].parts[0].deleted == 2


def test_only_the_columns_of_where_are_read(memory_lake: Lake, reads: Any) -> None:
    """A delete reads the columns that `where` names, of parts that it may match."""
    memory_lake.ingest(pa.table({"a": [1, 2], "b": ["x", "y"]}), "d")
    memory_lake.ingest(pa.table({"a": [8, 9], "b": ["x", "y"]}), "d")
    second = memory_lake["d"].parts[1]
    reads.clear()
    memory_lake.delete("d", "a = 9")
    assert reads.parts == {second.id}
    assert set(reads.columns) == {"a"}


def test_what_cannot_be_deleted(memory_lake: Lake) -> None:
    """A predicate that names no column, or is none, is an error, and so is a dataset that is not there."""
    memory_lake.ingest(pa.table({"amount": [1]}), "d")
    with pytest.raises(dp.PredicateError, match="amount"):
        memory_lake.delete("d", "amonut > 0")
    with pytest.raises(dp.PredicateError):
        memory_lake.delete("d", "amount >")
    with pytest.raises(dp.DatasetNotFound, match="there are: d"):
        memory_lake.delete("e", "true")


def test_the_same_part_twice(memory_lake: Lake) -> None:
    """Of a part that a version holds twice both copies lose the rows."""
    for _ in range(2):
        memory_lake.ingest(pa.table({"a": [1, 2]}), "d")
    memory_lake.delete("d", "a = 1")
    assert memory_lake["d"].to_arrow().column("a").to_pylist() == [2, 2]
