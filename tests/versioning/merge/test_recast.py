"""Merges that give a column a type that one side's parts do not hold: its rows are written anew."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Literal

import pyarrow as pa
import pytest

from dataplat._lake import Lake
from dataplat.lake.content_id import content_id, digest


def rows(ids: range, kind: pa.DataType) -> pa.Table:
    """Rows whose `x` is their id, in another type."""
    return pa.table({"id": pa.array(ids, pa.int64()), "x": pa.array(ids, pa.int64()).cast(kind)})


@pytest.mark.parametrize("policy", ["ours", "theirs"])
@pytest.mark.parametrize("key", [None, "id"])
@pytest.mark.parametrize("kind", [pa.float64(), pa.decimal128(21, 2)])
def test_rows_of_the_side_whose_type_went(
    new_lake: Callable[[], Lake], kind: pa.DataType, key: str | None, policy: Literal["ours", "theirs"]
) -> None:
    """All rows are there, pruned right, deletes held, and the content id is that of the rows under the new type."""
    lake = new_lake()
    lake.ingest(rows(range(10), pa.int64()), "d", key=key)
    lake.branch("exp")
    one, other = ("exp", "main") if policy == "ours" else ("main", "exp")
    lake.ingest(rows(range(100, 110), pa.int64()), "d", branch=one)
    lake.delete("d", "id in (3, 103)", branch=one)
    lake.ingest(rows(range(10), kind), "d", mode="replace", branch=other)
    lake.merge("exp", policy=policy)
    version = lake["d"]
    found = version.to_arrow().sort_by("id")
    assert found.schema.field("x").type == kind
    assert found.column("id").to_pylist() == [id for id in (*range(10), *range(100, 110)) if id not in {3, 103}]
    assert [Decimal(x) for x in found.column("x").to_pylist()] == found.column("id").to_pylist()
    assert version.to_arrow(where="x >= 100").num_rows == 9
    assert version.content_id == content_id(digest(found.to_batches()), found.schema)
    assert (version.rows, lake.verify().ok) == (18, True)
