"""The content id: pending after deletes, computed from the deleted rows, remembered, and never trusted blindly."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from dataplat._lake import Lake
from dataplat.lake.content_id import content_id, digest
from dataplat.lake.stores import MemoryStore
from dataplat.testing.store_faults import CountingStore

ROWS = pa.table({"id": range(100), "x": [float(i) for i in range(100)]})


@pytest.fixture
def lake(memory_lake: Lake) -> Lake:
    """A lake whose dataset `d` has 99 of 100 rows, and a pending content id."""
    memory_lake.ingest(ROWS, "d", key="id")
    memory_lake.delete("d", "id = 7")
    return memory_lake


def expected() -> str:
    """The content id of the rows that are left."""
    rows = ROWS.filter(pa.compute.not_equal(ROWS["id"], 7))
    return content_id(digest(rows.to_batches()), rows.schema)


def memos(lake: Lake) -> list[str]:
    """The keys of all memos."""
    return [info.key for info in lake.store.list("memo/")]


def test_pending_until_asked(lake: Lake) -> None:
    """After a delete the id is not known without reading; asked, it is that of the rows that are left."""
    assert lake["d"].content_id_if_known is None
    assert lake["d"].content_id == expected()
    assert lake["d"].content_id_if_known == expected()


def test_only_the_deleted_rows_are_read(lake: Lake, reads: Any) -> None:
    """It costs the rows that went, once; the second time nothing at all."""
    lake.ingest(pa.table({"id": range(100, 200), "x": [0.0] * 100}), "d")
    with_deletes = lake["d"].parts[0]
    assert lake["d"].content_id
    assert reads.parts == {with_deletes.id}
    reads.clear()
    again = Lake(lake.store, "test", "memory")["d"]
    assert again.content_id == lake["d"].content_id
    assert reads.calls == []


@pytest.mark.parametrize(
    "damage", [lambda data: data[: len(data) // 2], lambda data: b"", lambda data: data[:-1] + b"?"]
)
def test_a_damaged_memo_is_none(lake: Lake, damage: Any) -> None:
    """A memo that is torn, empty or flipped is computed again, and mended."""
    assert lake["d"].content_id == expected()
    good = {key: lake.store.read(key) for key in memos(lake)}
    for key, data in good.items():
        lake.store.delete(key)
        lake.store.create(key, damage(data))
    assert lake["d"].content_id_if_known is None
    assert lake["d"].content_id == expected()
    assert {key: lake.store.read(key) for key in memos(lake)} == good


def test_losing_memos_costs_time_only(lake: Lake) -> None:
    """Without its memos the lake gives the same answer."""
    assert lake["d"].content_id == expected()
    assert memos(lake)
    for key in memos(lake):
        lake.store.delete(key)
    assert lake["d"].content_id == expected()


def test_it_is_known_again_after_a_replace(lake: Lake) -> None:
    """Replacing all rows settles the id without a memo."""
    lake.ingest(ROWS, "d", mode="replace")
    assert lake["d"].content_id_if_known == content_id(digest(ROWS.to_batches()), ROWS.schema)


def test_a_known_id_reads_no_memo(memory_lake: Lake) -> None:
    """Where the manifest has the digest the store is not asked."""
    memory_lake.ingest(ROWS, "d")
    store = CountingStore(memory_lake.store)
    version = Lake(store, "test", "memory")["d"]
    store.reset()
    assert version.content_id_if_known is not None
    assert store.calls["read"] == 0


def test_width_order_and_split_do_not_matter(new_lake: Any) -> None:
    """Equal rows give an equal id, whatever their types' widths, their order, and the parts in which they came."""
    one, other = new_lake(), new_lake()
    one.ingest(ROWS, "d")
    narrow = ROWS.cast(pa.schema([("id", pa.int16()), ("x", pa.float32())]))
    for start in (50, 0):
        other.ingest(narrow.slice(start, 50), "e")
    assert one["d"].content_id == other["e"].content_id
    assert one["d"].id != other["e"].id


def test_a_store_that_takes_no_memo_is_enough() -> None:
    """A lake that cannot be written still tells the content id."""
    inner = MemoryStore()
    from dataplat.errors import StoreError
    from dataplat.versioning.lakefile import create_lake

    create_lake(inner)
    lake = Lake(inner, "test", "memory")
    lake.ingest(ROWS, "d", key="id")
    lake.delete("d", "id = 7")

    class NoMemos(CountingStore):
        def read(self, key: str, byte_range: Any = None) -> bytes:
            if key.startswith("memo/"):
                raise StoreError("no answer")
            return super().read(key, byte_range)

        def create(self, key: str, data: Any) -> None:
            raise StoreError("read-only")

    assert Lake(NoMemos(inner), "test", "memory")["d"].content_id == expected()
