"""Replace: the rows given are the dataset, or its slice, and only the difference lands."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import hypothesis.strategies as st
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings

import dataplat as dp
from dataplat._lake import Lake
from dataplat.lake.content_id import content_id, digest


def head(lake: Lake) -> int:
    """The number of the last record of `main`."""
    return lake.refs.head("main").number


def test_the_same_rows_are_no_version(memory_lake: Lake) -> None:
    """The same rows in another order, batching and column order make no version, no commit, no bytes."""
    memory_lake.ingest(pa.table({"a": [1, 2, 2], "b": ["x", "y", "y"]}), "d")
    before = head(memory_lake)
    other = pa.concat_tables([pa.table({"b": ["y"], "a": [2]}), pa.table({"b": ["x", "y"], "a": [1, 2]})])
    result = memory_lake.ingest(other, "d", mode="replace")
    assert result.nothing_to_do
    assert result.notes == ("d holds exactly these rows already: no new version",)
    assert result.new_bytes == 0
    assert head(memory_lake) == before
    assert memory_lake["d"].schema.names == ["a", "b"]


def test_only_the_difference_lands(memory_lake: Lake) -> None:
    """Rows that are there stay where they lie; new ones are one small part, missing ones deletes."""
    memory_lake.ingest(pa.table({"a": range(1000)}), "d")
    [old] = memory_lake["d"].parts
    result = memory_lake.ingest(pa.table({"a": [*range(1, 1000), 5000]}), "d", mode="replace")
    assert (result.rows_added, result.rows_deleted) == (1, 1)
    kept, new = memory_lake["d"].parts
    assert (kept.id, kept.deleted, new.rows) == (old.id, 1, 1)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    first=st.lists(st.tuples(st.integers(0, 3), st.sampled_from("xy")), max_size=8),
    second=st.lists(st.tuples(st.integers(0, 3), st.sampled_from("xy")), max_size=8),
    day=st.none() | st.integers(0, 3),
)
def test_a_bag_becomes_what_was_given(
    new_lake: Callable[[], Lake], first: list[tuple[int, str]], second: list[tuple[int, str]], day: int | None
) -> None:
    """Duplicates counted, the dataset (or its slice) is afterwards exactly what was given, and so is its content id."""

    def table(rows: list[tuple[int, str]]) -> pa.Table:
        kinds = pa.schema([("day", pa.int64()), ("s", pa.string())])
        return pa.table({"day": [row[0] for row in rows], "s": [row[1] for row in rows]}, kinds)

    lake = new_lake()
    lake.ingest(table(first), "d")
    given_rows = second if day is None else [(day, s) for _, s in second]
    lake.ingest(table(given_rows), "d", mode="replace", where=None if day is None else f"day = {day}")
    stays = [] if day is None else [row for row in first if row[0] != day]
    now = lake["d"].to_arrow()
    assert sorted(tuple(row.values()) for row in now.to_pylist()) == sorted(stays + given_rows)
    assert lake["d"].content_id == content_id(digest(now.to_batches()), now.schema)


def test_a_slice_alone_is_replaced(memory_lake: Lake, reads: Any) -> None:
    """With `where` other rows stay, and parts that it cannot match are not read."""
    for day in (1, 2, 3):
        memory_lake.ingest(pa.table({"day": [day, day], "v": [1, 2]}), "d")
    second = memory_lake["d"].parts[1]
    reads.clear()
    memory_lake.ingest(pa.table({"day": [2], "v": [9]}), "d", mode="replace", where="day = 2")
    assert reads.parts == {second.id}
    rows = sorted(tuple(row.values()) for row in memory_lake["d"].to_arrow().to_pylist())
    assert rows == [(1, 1), (1, 2), (2, 9), (3, 1), (3, 2)]
    now = memory_lake["d"].to_arrow()
    assert memory_lake["d"].content_id_if_known == content_id(digest(now.to_batches()), now.schema)


def test_rows_outside_the_slice_are_refused(memory_lake: Lake) -> None:
    """A row that `where` does not select, null included, is an error that names the first."""
    memory_lake.ingest(pa.table({"day": [1, 2]}), "d")
    for bad in (3, None):
        with pytest.raises(dp.PredicateError, match=r"1 input rows lie outside the slice.*input row 2"):
            memory_lake.ingest(pa.table({"day": [2, bad]}), "d", mode="replace", where="day = 2")
    assert memory_lake["d"].rows == 2


def test_a_slice_by_a_column_that_comes_now(memory_lake: Lake) -> None:
    """`where` may name a column that only the input has: no row that is there is selected."""
    memory_lake.ingest(pa.table({"id": [1]}), "d")
    memory_lake.ingest(pa.table({"id": [2], "c": [7]}), "d", mode="replace", where="c = 7")
    assert memory_lake["d"].to_arrow().to_pylist() == [{"id": 1, "c": None}, {"id": 2, "c": 7}]


def test_a_key_outside_the_slice_is_refused(memory_lake: Lake) -> None:
    """A key names one row of the dataset, not one of the slice."""
    memory_lake.ingest(pa.table({"id": [1, 2], "day": [1, 2]}), "d", key="id")
    with pytest.raises(dp.KeyViolation, match="id = 2"):
        memory_lake.ingest(pa.table({"id": [2], "day": [1]}), "d", mode="replace", where="day = 1")
    assert memory_lake["d"].rows == 2


def test_repeated_keys_are_refused(memory_lake: Lake) -> None:
    """A key may not repeat among the rows given, nor may one copy be a row that is there."""
    memory_lake.ingest(pa.table({"id": [1, 2], "v": [1, 2]}), "d", key="id")
    for rows in ({"id": [3, 3], "v": [1, 2]}, {"id": [1, 1], "v": [1, 1]}, {"id": [1, 1], "v": [1, 9]}):
        with pytest.raises(dp.KeyViolation):
            memory_lake.ingest(pa.table(rows), "d", mode="replace")
    with pytest.raises(dp.KeyViolation, match="null or NaN"):
        memory_lake.ingest(pa.table({"id": [None, 1], "v": [1, 1]}), "d", mode="replace")


def test_another_key_may_be_set(memory_lake: Lake) -> None:
    """Replacing all rows may set another key, which all rows are held to, those that stay too."""
    memory_lake.ingest(pa.table({"id": [1, 2], "v": [5, 5]}), "d", key="id")
    with pytest.raises(dp.KeyViolation):
        memory_lake.ingest(pa.table({"id": [1, 2], "v": [5, 5]}), "d", mode="replace", key="v")
    memory_lake.ingest(pa.table({"id": [1, 2], "v": [5, 6]}), "d", mode="replace", key="v")
    assert memory_lake["d"].key == ("v",)
    with pytest.raises(dp.KeyViolation, match="has the key v, not id"):
        memory_lake.ingest(pa.table({"id": [1], "v": [5]}), "d", mode="upsert", key="id")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (pa.array([None, 5], pa.int64()), pa.array([None, "x"])),
        (pa.array([None, "x"]), pa.array([None, 5], pa.int64())),
        (pa.array([None, 5], pa.int64()), pa.array([None, 5.0])),
        (pa.array([0, 2**62], pa.timestamp("us")), pa.array([0, 1], pa.timestamp("ns"))),
        (pa.array([0, 2**64 - 1], pa.uint64()), pa.array([0, -1], pa.int64())),
        (pa.array([None, 1]), pa.nulls(2)),
        (pa.nulls(2), pa.array([None, 1])),
    ],
    ids=lambda array: str(array.type),
)
def test_columns_of_another_kind(memory_lake: Lake, before: pa.Array, after: pa.Array) -> None:
    """A column may become another type: what stays can be read, and later rows, too."""
    memory_lake.ingest(pa.table({"a": [1, 2], "b": before}), "d")
    new = pa.table({"a": [1, 2], "b": after})
    memory_lake.ingest(new, "d", mode="replace")
    assert memory_lake["d"].to_arrow().to_pylist() == new.to_pylist()
    memory_lake.ingest(pa.table({"a": [3], "b": after[1:]}), "d")
    rows = memory_lake["d"].to_arrow()
    assert memory_lake["d"].content_id == content_id(digest(rows.to_batches()), rows.schema)
    assert memory_lake.verify().ok


def test_a_column_that_goes_may_come_back_as_another(memory_lake: Lake) -> None:
    """After a column is gone, one of its name and another type may come."""
    memory_lake.ingest(pa.table({"a": [1, 2], "b": [None, 5]}), "d")
    memory_lake.ingest(pa.table({"a": [1, 2]}), "d", mode="replace")
    memory_lake.ingest(pa.table({"a": [3], "b": ["x"]}), "d")
    assert memory_lake["d"].to_arrow().column("b").to_pylist() == [None, None, "x"]
