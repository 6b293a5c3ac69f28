"""Upsert: rows replace those of equal key; the cost follows the rows given."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings

import dataplat as dp
from dataplat._lake import Lake
from dataplat.lake.content_id import content_id, digest
from dataplat.lake.stores import MemoryStore
from dataplat.testing.store_faults import CountingStore
from dataplat.versioning.lakefile import create_lake


def rows_of(lake: Lake, dataset: str = "d") -> list[tuple[Any, ...]]:
    """The rows of a dataset, sorted."""
    return sorted(tuple(row.values()) for row in lake[dataset].to_arrow().to_pylist())


def test_replaces_and_inserts(memory_lake: Lake) -> None:
    """Rows of a key that is there are replaced, others come on top, and both are counted."""
    memory_lake.ingest(pa.table({"id": [1, 2], "a": ["x", "y"]}), "d", key="id")
    result = memory_lake.ingest(pa.table({"id": [2, 3], "a": ["Y", "z"]}), "d", mode="upsert")
    assert rows_of(memory_lake) == [(1, "x"), (2, "Y"), (3, "z")]
    assert (result.rows_in, result.rows_added, result.rows_deleted) == (2, 2, 1)


def test_the_content_id_waits_until_asked(memory_lake: Lake) -> None:
    """After an upsert the content id is pending; asked, it is that of the rows alone."""
    memory_lake.ingest(pa.table({"id": [1, 2], "a": ["x", "y"]}), "d", key="id")
    memory_lake.ingest(pa.table({"id": [2], "a": ["Y"]}), "d", mode="upsert")
    assert memory_lake["d"].content_id_if_known is None
    rows = pa.table({"id": [2, 1], "a": ["Y", "x"]})
    assert memory_lake["d"].content_id == content_id(digest(rows.to_batches()), rows.schema)


def test_only_new_keys_leave_the_content_id_known(memory_lake: Lake) -> None:
    """An upsert that replaces nothing is an append, as far as the content id goes."""
    memory_lake.ingest(pa.table({"id": [1]}), "d", key="id")
    memory_lake.ingest(pa.table({"id": [2]}), "d", mode="upsert")
    assert memory_lake["d"].content_id_if_known is not None


def test_needs_a_key(memory_lake: Lake) -> None:
    """Without a key there is nothing to match by; the error says how to give one."""
    with pytest.raises(dp.KeyViolation, match=r"upsert needs a key.*--key"):
        memory_lake.ingest(pa.table({"id": [1]}), "d", mode="upsert")


@pytest.mark.parametrize("sort", [None, "a"])
@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    before=st.dictionaries(st.integers(0, 9), st.integers(0, 9), max_size=6),
    rows=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), unique=True, max_size=12),
)
def test_the_newest_of_several_rows_wins(
    new_lake: Callable[[], Lake], sort: str | None, before: dict[int, int], rows: list[tuple[int, int]]
) -> None:
    """With an order column the row with its greatest value counts, wherever it stands and however parts are sorted."""
    lake = new_lake()
    text = {"a": [f"{(7 * n) % 10}" for _, n in rows], "id": [key for key, _ in rows], "n": [n for _, n in rows]}
    kinds = pa.schema([("a", pa.string()), ("id", pa.int64()), ("n", pa.int64())])
    if before:
        there = {"a": ["-"] * len(before), "id": list(before), "n": list(before.values())}
        lake.ingest(pa.table(there, kinds), "d", key="id", sort=sort)
    lake.ingest(pa.table(text, kinds), "d", mode="upsert", key="id", order="n", sort=sort)
    newest: dict[int, int] = {}
    for key, n in rows:
        newest[key] = max(n, newest.get(key, -1))
    assert {row["id"]: row["n"] for row in lake["d"].to_arrow().to_pylist()} == before | newest
    assert lake["d"].rows == len(before | newest)
    assert lake["d"].content_id == content_id(digest(lake["d"].batches()), kinds)


@pytest.mark.parametrize(
    ("order", "said"),
    [
        ([1, 1], "id = 7 have the same value in the order column 'n'"),
        ([None, 1], "the order column 'n' is null or NaN in 1 rows"),
        ([math.nan, 1.0], "the order column 'n' is null or NaN in 1 rows"),
    ],
)
def test_an_order_that_does_not_decide(memory_lake: Lake, order: list[Any], said: str) -> None:
    """Where the order column ties or has no value nobody knows which row counts, so nothing lands."""
    with pytest.raises(dp.KeyViolation, match=said):
        memory_lake.ingest(pa.table({"id": [7, 7], "n": order}), "d", mode="upsert", key="id", order="n")
    assert memory_lake.datasets() == []


KINDS = [
    pa.array([True, False]),
    pa.array([b"a", b"b"]),
    pa.array(["a", "ä"]),
    pa.array([Decimal("1.10"), Decimal("2.20")], pa.decimal128(10, 2)),
    pa.array([dt.date(2020, 1, 1), dt.date(2021, 1, 1)]),
    pa.array([1, 2], pa.timestamp("ns", "UTC")),
    pa.array([1, 2], pa.timestamp("us", "Europe/Berlin")),
    pa.array([0.0, 1.5], pa.float32()),
    pa.array(np.array([1, 2], np.float16)),
    pa.array([1, 2], pa.duration("us")),
    pa.array([1, 2], pa.time64("ns")),
    pa.array([2**63 + 1, 1], pa.uint64()),
    pa.array([{"x": 1}, {"x": None}]),
    pa.array([[1], []], pa.list_(pa.int64())),
]


@pytest.mark.parametrize("keys", KINDS, ids=lambda keys: str(keys.type))
def test_a_key_may_have_any_type(memory_lake: Lake, keys: pa.Array) -> None:
    """Whatever type a key has, its rows are found again, by an upsert and by a diff."""
    memory_lake.ingest(pa.table({"k": keys, "v": [1, 2]}), "d", key="k")
    memory_lake.ingest(pa.table({"k": keys[1:], "v": [3]}), "d", mode="upsert")
    assert sorted(memory_lake["d"].to_arrow().column("v").to_pylist()) == [1, 3]
    summary = memory_lake.diff("d@main~1", "d").summary
    assert (summary.added, summary.removed, summary.changed) == (0, 0, 1)
    with pytest.raises(dp.KeyViolation):
        memory_lake.ingest(pa.table({"k": keys[:1], "v": [4]}), "d")


def test_minus_zero_is_zero(memory_lake: Lake) -> None:
    """Keys are equal as canonical values are: −0.0 finds 0.0."""
    memory_lake.ingest(pa.table({"k": [0.0], "v": [1]}), "d", key="k")
    memory_lake.ingest(pa.table({"k": [-0.0], "v": [2]}), "d", mode="upsert")
    assert memory_lake["d"].to_arrow().column("v").to_pylist() == [2]


def test_keys_of_several_columns(memory_lake: Lake) -> None:
    """All columns of a key count."""
    memory_lake.ingest(pa.table({"a": [1, 1, 2], "b": ["x", "y", "x"], "v": [1, 2, 3]}), "d", key=["a", "b"])
    memory_lake.ingest(pa.table({"a": [1], "b": ["y"], "v": [9]}), "d", mode="upsert")
    assert rows_of(memory_lake) == [(1, "x", 1), (1, "y", 9), (2, "x", 3)]


def test_few_rows_read_few_and_write_few(reads: Any) -> None:
    """Ten rows into three parts: the key column of the one part that may hold them, and a handful of objects."""
    inner = MemoryStore()
    create_lake(inner)
    lake = Lake(inner, "test", "memory")
    for start in (0, 10_000, 20_000):
        lake.ingest(pa.table({"id": range(start, start + 1000), "a": ["x" * 50] * 1000}), "d", key="id")
    middle = lake["d"].parts[1]
    store = CountingStore(inner)
    reads.clear()
    keys = range(10_010, 10_020)
    Lake(store, "test", "memory").ingest(pa.table({"id": keys, "a": ["y"] * 10}), "d", mode="upsert")
    assert reads.parts == {middle.id}
    assert set(reads.columns) == {"id"}
    # one part, its deletes, the manifest's root and segment, the commit, and the record of the branch
    assert store.calls["create"] == 6
    assert store.bytes["create"] < 12_000
