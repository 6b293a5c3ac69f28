"""Before-images: the rows that count in one version and no longer in the next, kept when they were read once.

An upsert or a delete only marks old rows. Whoever asks for the content id has them read, for the digest; kept as a memo (as
Parquet, beside the lake's objects) they make a diff of the two versions as quick as the rows that differ are few. A
lost or damaged image costs time only. It holds rows: whoever erases rows has to call `forget`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dataplat.lake.memos import Memos, computation_id

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

    from dataplat.lake.objects import Objects
    from dataplat.lake.stores import Store
    from dataplat.versioning._difference import PartsDifference

IMAGE: Final = computation_id("before-image", 1)
_MOST: Final = 64 << 20  # bytes in memory: more rows are read again rather than kept


def rows_gone(objects: Objects, differs: PartsDifference, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """Yield the rows of parts that were dropped, and those that other deletes hide, projected to `schema`."""
    from dataplat.lake.scan import scan
    from dataplat.lake.take import rows_deleted_between

    if differs.dropped:
        yield from scan(objects, [part for part in differs.dropped if part.live], schema)
    yield from rows_deleted_between(objects, differs.changed, schema)


def count_gone(objects: Objects, differs: PartsDifference) -> int:
    """Return how many rows `rows_gone` yields; only bitmaps are read."""
    from dataplat.lake.take import positions_deleted_between

    deleted = (len(positions_deleted_between(objects, old, new)) for old, new in differs.changed)
    return sum(part.live for part in differs.dropped) + sum(deleted)


def keep(objects: Objects, before: str, after: str, rows: pa.Table) -> None:
    """Remember the rows of version `before` that `after` has not, unless they are many."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    if rows.nbytes > _MOST:
        return
    sink = pa.BufferOutputStream()
    pq.write_table(rows.combine_chunks(), sink, compression="zstd", write_statistics=False)
    Memos(objects.store).put_bytes(sink.getvalue().to_pybytes(), IMAGE, before, after)


def load(objects: Objects, before: str, after: str, count: int) -> pa.Table | None:
    """Return the rows of version `before` that `after` has not, if they are remembered and are `count`."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    data = Memos(objects.store).get_bytes(IMAGE, before, after)
    if data is None:
        return None
    try:
        table = pq.read_table(pa.BufferReader(data), use_threads=False)
    except (pa.ArrowException, OSError):
        return None
    return table if table.num_rows == count else None


def forget(store: Store) -> int:
    """Delete all before-images, and return how many there were: they may hold rows that have to be gone."""
    keys = [entry.key for entry in store.list(f"memo/{IMAGE}/")]
    for key in keys:
        store.delete(key)
    return len(keys)
