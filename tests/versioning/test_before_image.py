"""Before-images: kept with the content id, read instead of parts, worth nothing but time, and never believed blindly."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from dataplat._lake import Lake
from dataplat.lake.content_id import content_id, digest
from dataplat.versioning import before_image

ROWS = pa.table({"id": range(100), "x": [float(i) for i in range(100)]})


@pytest.fixture
def lake(memory_lake: Lake) -> Lake:
    """A lake in which three of 100 rows were upserted and one deleted, its content ids asked for."""
    memory_lake.ingest(ROWS, "d", key="id")
    memory_lake.ingest(pa.table({"id": [3, 50, 200], "x": [-1.0, -2.0, -3.0]}), "d", mode="upsert")
    assert memory_lake["d"].content_id
    memory_lake.delete("d", "id = 200 or id = 7")
    assert memory_lake["d"].content_id
    return memory_lake


def images(lake: Lake) -> list[str]:
    """The keys of all images."""
    return [info.key for info in lake.store.list(f"memo/{before_image.IMAGE}/")]


def test_the_id_is_that_of_the_rows(lake: Lake) -> None:
    """The digest of the base, less what went and more what came, is that of the rows there are."""
    rows = lake["d"].to_arrow()
    assert lake["d"].content_id == content_id(digest(rows.to_batches()), rows.schema)


def test_a_diff_reads_the_image_instead_of_old_parts(lake: Lake, reads: Any) -> None:
    """Only the part that came is opened; of a delete no part at all, in either direction."""
    new = lake["d@main~1"].parts[-1].id
    reads.clear()
    diff = lake.diff("d@main~2", "d@main~1")
    assert sorted(diff.changed.column("id").to_pylist()) == [3, 50]
    assert reads.parts == {new}
    reads.clear()
    assert sorted(lake.diff("d@main~1", "d").removed.column("id").to_pylist()) == [7, 200]
    assert sorted(lake.diff("d", "d@main~1").added.column("id").to_pylist()) == [7, 200]
    assert reads.calls == []


@pytest.mark.parametrize("damage", [lambda data: data[:-9], lambda data: b"", lambda data: data[:-1] + b"?"])
def test_a_damaged_image_is_none(lake: Lake, damage: Any) -> None:
    """Whatever happened to an image, the diff is the same."""
    whole = lake.diff("d@main~2", "d@main~1").to_arrow()
    for key in images(lake):
        data = lake.store.read(key)
        lake.store.delete(key)
        lake.store.create(key, damage(data))
    assert lake.diff("d@main~2", "d@main~1").to_arrow().sort_by("id") == whole.sort_by("id")


def test_images_are_forgotten_as_a_whole(lake: Lake) -> None:
    """Who erases rows deletes all images, and loses time only."""
    whole = lake.diff("d@main~2", "d").to_dict()
    assert before_image.forget(lake.store) == len([1, 1])
    assert images(lake) == []
    assert lake.diff("d@main~2", "d").to_dict() == whole


def test_rows_that_came_back_are_counted_anew(lake: Lake) -> None:
    """Where a rollback brings deleted rows back, the digest comes from the parts."""
    first = lake["d@main~2"].content_id
    lake.rollback("d@main~2")
    assert lake["d"].content_id == first


def test_a_base_that_is_pending_is_no_help(memory_lake: Lake) -> None:
    """Without the digest of the base the id is computed from all parts, and no image is kept."""
    memory_lake.ingest(ROWS, "d", key="id")
    memory_lake.delete("d", "id < 5")
    memory_lake.delete("d", "id < 10")
    rows = memory_lake["d"].to_arrow()
    assert memory_lake["d"].content_id == content_id(digest(rows.to_batches()), rows.schema)
    assert images(memory_lake) == []
