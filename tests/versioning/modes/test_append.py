"""Append: rows come on top; where there is a key it only inserts."""

from __future__ import annotations

import math
from typing import Any

import pyarrow as pa
import pytest

import dataplat as dp
from dataplat._lake import Lake
from dataplat.lake.content_id import content_id, digest


def test_rows_come_on_top_in_their_order(memory_lake: Lake) -> None:
    """Appended rows follow those that were there, and no old part is touched."""
    memory_lake.ingest(pa.table({"a": [3, 1]}), "d")
    old = memory_lake["d"].parts
    memory_lake.ingest(pa.table({"a": [2, 1]}), "d")
    assert memory_lake["d"].to_arrow().column("a").to_pylist() == [3, 1, 2, 1]
    assert memory_lake["d"].parts[:1] == old


def test_the_content_id_is_known_at_once(memory_lake: Lake, reads: Any) -> None:
    """The content id after an append is a sum of digests: nothing is read for it."""
    memory_lake.ingest(pa.table({"a": [1]}), "d")
    memory_lake.ingest(pa.table({"a": [2]}), "d")
    reads.clear()
    both = pa.table({"a": [2, 1]})
    assert memory_lake["d"].content_id_if_known == content_id(digest(both.to_batches()), both.schema)
    assert reads.calls == []


def test_without_key_nothing_is_read(memory_lake: Lake, reads: Any) -> None:
    """An append to a dataset without key looks at no row that is there."""
    memory_lake.ingest(pa.table({"a": [1]}), "d")
    reads.clear()
    memory_lake.ingest(pa.table({"a": [1]}), "d")
    assert reads.calls == []


def test_an_existing_key_is_refused(memory_lake: Lake) -> None:
    """A key that is there already is an error that shows it, and nothing lands."""
    memory_lake.ingest(pa.table({"id": [1, 2], "a": ["x", "y"]}), "d", key="id")
    with pytest.raises(dp.KeyViolation, match=r"1 input rows have the key of another row.*id = 2.*upsert"):
        memory_lake.ingest(pa.table({"id": [3, 2], "a": ["z", "y"]}), "d")
    assert memory_lake["d"].rows == 2


def test_a_deleted_key_may_come_again(memory_lake: Lake) -> None:
    """A key whose row was deleted is free."""
    memory_lake.ingest(pa.table({"id": [1, 2]}), "d", key="id")
    memory_lake.delete("d", "id = 2")
    memory_lake.ingest(pa.table({"id": [2]}), "d")
    assert memory_lake["d"].to_arrow().column("id").to_pylist() == [1, 2]


@pytest.mark.parametrize(
    ("ids", "said"),
    [
        (pa.array([1, None, 3]), "'id'; the first is input row 2"),
        (pa.array([1.0, 2.0, math.nan]), "'id'; the first is input row 3"),
        (pa.array([1, 2, 2]), "1 input rows repeat a key, for example id = 2"),
    ],
)
def test_keys_that_are_none(memory_lake: Lake, ids: pa.Array, said: str) -> None:
    """Null, NaN and repeated keys are refused, with row or value, and the dataset does not come to be."""
    with pytest.raises(dp.KeyViolation, match=said):
        memory_lake.ingest(pa.table({"id": ids}), "d", key="id")
    assert memory_lake.datasets() == []


def test_only_parts_that_may_hold_a_key_are_read(memory_lake: Lake, reads: Any) -> None:
    """Of parts whose bounds exclude all incoming keys no row is read; of the others the key column only."""
    for start in (0, 100, 200):
        memory_lake.ingest(pa.table({"id": [start, start + 9], "a": ["x", "y"]}), "d", key="id")
    middle = memory_lake["d"].parts[1]
    reads.clear()
    memory_lake.ingest(pa.table({"id": [104, 105], "a": ["z", "z"]}), "d")
    assert reads.parts == {middle.id}
    assert set(reads.columns) == {"id"}
