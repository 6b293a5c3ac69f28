"""The content id of a version, computed from what parts remember where the manifest has it pending."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

from dataplat.lake.digest import Digest
from dataplat.lake.memos import Memos, computation_id

if TYPE_CHECKING:
    from dataplat.lake.objects import Objects
    from dataplat.lake.part import Part
    from dataplat.versioning.manifest import Manifest

_THREADS: Final = 2  # row groups in memory at once
_DELETED_ROWS = computation_id("digest of deleted rows", 1)
_VERSION = computation_id("digest of version", 1)


def content_id_of(objects: Objects, manifest: Manifest) -> str:
    """Return the content id; where it is pending the deleted rows are read once, and remembered."""
    return _named(digest_of(objects, manifest), manifest)


def known_content_id(objects: Objects, manifest: Manifest) -> str | None:
    """Return the content id if no row needs to be read for it, else None."""
    digest = manifest.digest or _remembered(objects, manifest)
    return None if digest is None else _named(digest, manifest)


def digest_of(objects: Objects, manifest: Manifest) -> Digest:
    """Return the digest of all live rows: the sum over the parts, less that of the rows deleted from them."""
    known = manifest.digest or _remembered(objects, manifest)
    if known is not None:
        return known
    parts = manifest.parts()
    total = sum((part.digest for part in parts), Digest())
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="dataplat-digest") as pool:
        deleted = pool.map(lambda part: _digest_of_deleted(objects, part), [part for part in parts if part.deleted])
        total -= sum(deleted, Digest())
    Memos(objects.store).put(total.encode(), _VERSION, manifest.id)
    return total


def _named(digest: Digest, manifest: Manifest) -> str:
    from dataplat.lake.content_id import content_id

    return content_id(digest, manifest.schema)


def _remembered(objects: Objects, manifest: Manifest) -> Digest | None:
    text = Memos(objects.store).get(_VERSION, manifest.id)
    return None if text is None else Digest.decode(text)


def _digest_of_deleted(objects: Objects, part: Part) -> Digest:
    def compute() -> str:
        from dataplat.lake.content_id import digest
        from dataplat.lake.take import deleted_rows

        return digest(deleted_rows(objects, part)).encode()

    text: str = Memos(objects.store).remembered(_DELETED_ROWS, part.id, part.deletes, compute)
    return Digest.decode(text)
