"""Changes that were planned before a compaction land after it, without being planned anew: deletes follow the rows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import hypothesis.strategies as st
import pyarrow as pa
import pytest
from hypothesis import given, settings

from dataplat._lake import Lake
from dataplat.errors import CommitConflict
from dataplat.lake.content_id import content_id, digest
from dataplat.lake.objects import Objects, Stage
from dataplat.lake.scan import scan
from dataplat.lake.stores import MemoryStore
from dataplat.lake.where import parse_where
from dataplat.versioning.lakefile import create_lake
from dataplat.versioning.modes import Base, delete_where
from dataplat.versioning.publish import PlannedChange, commit

SCHEMA = pa.schema([("id", pa.int64()), ("v", pa.string())])


@pytest.fixture
def lake() -> Lake:
    """A lake whose dataset `d` has ids 0 to 23 in six parts, some of them deleted."""
    return fed()


def fed() -> Lake:
    """Make such a lake."""
    store = MemoryStore()
    create_lake(store)
    lake = Lake(store, "test", "memory")
    for at in range(6):
        lake.ingest(table(range(at * 4, at * 4 + 4)), "d", key="id")
    lake.delete("d", "id % 7 = 3")
    return lake


def table(ids: range | list[int], v: str = "a") -> pa.Table:
    """Rows of these ids."""
    return pa.table({"id": list(ids), "v": [v] * len(ids)}, SCHEMA)


def rows(lake: Lake) -> list[tuple[int, str]]:
    """The rows of `d`, by id."""
    found = lake["d"].to_arrow().sort_by("id")
    return list(zip(found.column("id").to_pylist(), found.column("v").to_pylist(), strict=True))


@contextmanager
def deleting(lake: Lake, where: str) -> Iterator[PlannedChange]:
    """Plan a delete; leaving the block commits it."""
    manifest = lake["d"].manifest
    with Stage(lake.store) as stage:
        objects = Objects(lake.store, stage)
        condition = parse_where(where, manifest.schema)
        base = Base(manifest, manifest.schema, manifest.key, manifest.sort, objects, stage)
        change = PlannedChange(
            dataset="d",
            mode="delete",
            base_version=manifest.id,
            edit=delete_where(base, condition).edit,
            where=where,
            where_matches=lambda parts: any(
                batch.num_rows for batch in scan(objects, parts, manifest.schema, columns=[], where=condition)
            ),
        )
        yield change
        commit(lake.io, "main", [change], stage)


def assert_sound(lake: Lake) -> None:
    """Every stored digest, count and statistic is that of the rows."""
    assert lake.verify().ok
    found = lake["d"].to_arrow()
    assert lake["d"].content_id == content_id(digest(found.to_batches()), found.schema)


def while_compacting(lake: Lake, batches: list[pa.Table], rounds: int) -> pa.RecordBatchReader:
    """A stream that can be read once, during which the dataset is compacted."""

    def read() -> Iterator[pa.RecordBatch]:
        for batch in batches:
            yield from batch.to_batches()
            for at in range(rounds):
                lake.ingest(table([1_000 * len(rows(lake)) + at]), "d")
                assert lake.compact("d").commit is not None

    return pa.RecordBatchReader.from_batches(SCHEMA, read())


@pytest.mark.parametrize("rounds", [1, 3])
def test_an_upsert_that_cannot_be_read_again(lake: Lake, rounds: int) -> None:
    """A stream upserts while others append and compact: its rows replace those of their keys, wherever they went."""
    stream = while_compacting(lake, [table([0, 5, 9, 23, 50], "b")], rounds)
    lake.ingest(stream, "d", mode="upsert")
    expected = {i: "a" for i in range(24) if i % 7 != 3} | dict.fromkeys([0, 5, 9, 23, 50], "b")
    assert [row for row in rows(lake) if row[0] < 1_000] == sorted(expected.items())
    assert lake["d"].rows == len(expected) + rounds
    assert_sound(lake)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 23), st.integers(1, 24),
    st.lists(st.sampled_from(["compact", "append", "delete", "upsert"]), min_size=1, max_size=5),
)  # fmt: skip
def test_a_delete_follows_the_rows(start: int, count: int, meanwhile: list[str]) -> None:
    """Whatever happens between, rows that a delete was planned for are gone, and no others."""
    lake = fed()
    where = f"id >= {start} and id < {start + count}"
    try:
        with deleting(lake, where):
            for at, step in enumerate(meanwhile):
                if step == "compact":
                    lake.compact("d")
                elif step == "append":
                    lake.ingest(table([100 + at]), "d")
                elif step == "delete":
                    lake.delete("d", f"id % 5 = {at}")
                else:
                    lake.ingest(table([at, 30 + at], "b"), "d", mode="upsert")
            expected = [row for row in rows(lake) if not start <= row[0] < start + count]
    except CommitConflict:
        assert "upsert" in meanwhile  # rows that came may match; nothing else is a reason
        return
    assert rows(lake) == expected
    assert_sound(lake)


def test_what_it_deletes_entirely_is_dropped(lake: Lake) -> None:
    """A part that a compaction wrote, and of which all rows are deleted, goes."""
    with deleting(lake, "id >= 0"):
        lake.compact("d")
    assert (lake["d"].rows, lake["d"].manifest.n_parts) == (0, 0)


def test_a_compaction_says_where_rows_went(lake: Lake) -> None:
    """Its commit holds, for each run, rows and deletes of what it read, and rows of what it wrote."""
    before = lake["d"].manifest.parts()
    lake.compact("d")
    (moved,) = lake.refs.head("main").commit.changes["d"].moved
    (after,) = lake["d"].manifest.parts()
    assert moved.inputs == tuple((part.place, part.live, part.deletes) for part in before)
    assert moved.outputs == ((after.place, after.rows),)
