"""The content id of a version, computed from what parts remember where the manifest has it pending."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataplat.lake.digest import Digest
from dataplat.lake.memos import Memos, computation_id

if TYPE_CHECKING:
    from dataplat.lake.objects import Objects
    from dataplat.lake.part import Part
    from dataplat.versioning.manifest import Manifest

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
    total = Digest()
    for part in manifest.parts():
        total += part.digest
        if part.deleted:
            total -= _digest_of_deleted(objects, part)
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
