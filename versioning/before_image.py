"""Before-images: the rows that count in one version and no longer in the next, kept when they were read once.

An upsert or a delete only marks old rows. Whoever asks for the content id has them read, for the digest; kept as a memo (as
Parquet, beside the lake's objects) they make a diff of the two versions as quick as the rows that differ are few. A
lost or damaged image costs time only. It holds rows: whoever erases rows has to call `forget`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dataplat.lake.canonical import family_tree
from dataplat.lake.digest import Digest
from dataplat.lake.memos import Memos, computation_id
from dataplat.versioning._difference import PartsDifference, difference

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pyarrow as pa

    from dataplat.lake.objects import Objects
    from dataplat.lake.part import Part
    from dataplat.lake.stores import Store
    from dataplat.versioning.manifest import Manifest

IMAGE: Final = computation_id("before-image", 1)
_MOST: Final = 64 << 20  # bytes in memory: more rows are read again rather than kept
_MOST_ROWS: Final = 500_000  # that went: of more the digest is computed from all parts, in less memory


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


def balance(
    objects: Objects, before: Manifest, after: Manifest, digest_of_live: Callable[[Part], Digest]
) -> Digest | None:
    """Return what the digest of `after` is more than that of `before`, and keep the rows that went as their image.

    None where it cannot be told by that: columns that went or have other values now, rows that came back, or more
    rows that went than fit into memory.
    """
    import pyarrow as pa

    from dataplat.lake.content_id import digest
    from dataplat.lake.schema import plain_schema

    differs = difference(before, after)
    if not _same_values(before.schema, after.schema) or _came_back(objects, differs):
        return None
    if count_gone(objects, differs) > _MOST_ROWS:
        return None
    rows = pa.Table.from_batches(rows_gone(objects, differs, before.schema), plain_schema(before.schema))
    keep(objects, before.id, after.id, rows)
    return sum(map(digest_of_live, differs.added), Digest()) - digest(rows.combine_chunks().to_batches())


def _same_values(before: pa.Schema, after: pa.Schema) -> bool:
    """Whether values of `before` have the same digests in `after`: all columns are there, of their families."""
    return all(
        field.name in after.names and family_tree(after.field(field.name).type) == family_tree(field.type)
        for field in before
    )


def _came_back(objects: Objects, differs: PartsDifference) -> bool:
    from dataplat.lake.take import positions_deleted_between

    return any(positions_deleted_between(objects, new, old) for old, new in differs.changed)


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
