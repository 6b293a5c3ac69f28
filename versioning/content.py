"""The content id of a version, computed from what parts remember where the manifest has it pending."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

from dataplat.errors import IntegrityError, ObjectNotFound, VersionNotFound
from dataplat.lake.digest import Digest
from dataplat.lake.memos import Memos, computation_id

if TYPE_CHECKING:
    from dataplat.lake.objects import Objects
    from dataplat.lake.part import Part
    from dataplat.versioning.manifest import Manifest

_THREADS: Final = 2  # row groups in memory at once
_DELETED_ROWS = computation_id("digest of deleted rows", 1)
_VERSION = computation_id("digest of version", 1)


def content_id_of(objects: Objects, manifest: Manifest, base: str | None = None) -> str:
    """Return the content id; where it is pending the deleted rows are read once, and remembered.

    `base` is the version that this one was made from: where its digest is known, only what differs is read.
    """
    return _named(digest_of(objects, manifest, base), manifest)


def known_content_id(objects: Objects, manifest: Manifest) -> str | None:
    """Return the content id if no row needs to be read for it, else None."""
    digest = manifest.digest or _remembered(objects, manifest)
    return None if digest is None else _named(digest, manifest)


def digest_of(objects: Objects, manifest: Manifest, base: str | None = None) -> Digest:
    """Return the digest of all live rows: the sum over the parts, less that of the rows deleted from them.

    With a `base` whose digest is known it is that of the base, plus what came and less what went, whose rows are kept
    as a before-image.
    """
    known = manifest.digest or _remembered(objects, manifest)
    if known is None:
        known = None if base is None else _digest_since(objects, base, manifest)
        known = _digest_of_parts(objects, manifest) if known is None else known
        Memos(objects.store).put(known.encode(), _VERSION, manifest.id)
    return known


def _digest_since(objects: Objects, base: str, manifest: Manifest) -> Digest | None:
    from dataplat.versioning.before_image import balance
    from dataplat.versioning.manifest import load_manifest

    try:
        before = load_manifest(objects, base)
        known = before.digest or _remembered(objects, before)
        if known is None or before.root.renames or manifest.root.renames:
            return None
        change = balance(objects, before, manifest, lambda part: digest_of_live(objects, manifest, part))
    except (ObjectNotFound, VersionNotFound, IntegrityError):  # collected, or damaged: all that is needed is ours
        return None
    return None if change is None else known + change


def _digest_of_parts(objects: Objects, manifest: Manifest) -> Digest:
    parts = manifest.parts()
    reads = parts if manifest.root.renames else [part for part in parts if part.deleted]
    total = sum((part.digest for part in parts if not (manifest.root.renames or part.deleted)), Digest())
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="dataplat-digest") as pool:
        return sum(pool.map(lambda part: digest_of_live(objects, manifest, part), reads), total)


def digest_of_live(objects: Objects, manifest: Manifest, part: Part) -> Digest:
    """Return the digest of the rows of `part` that count in `manifest`; rows deleted from it are read once."""
    whole = _digest_of_projected(objects, manifest, part) if manifest.root.renames else part.digest
    return whole - _digest_of_deleted(objects, manifest, part) if part.deleted else whole


def _named(digest: Digest, manifest: Manifest) -> str:
    from dataplat.lake.content_id import content_id

    return content_id(digest, manifest.schema)


def _remembered(objects: Objects, manifest: Manifest) -> Digest | None:
    text = Memos(objects.store).get(_VERSION, manifest.id)
    return None if text is None else Digest.decode(text)


def _digest_of_deleted(objects: Objects, manifest: Manifest, part: Part) -> Digest:
    def compute() -> str:
        from dataplat.lake.content_id import digest
        from dataplat.lake.take import deleted_rows

        return digest(deleted_rows(objects, part, manifest.schema if manifest.root.renames else None)).encode()

    computation = _projected("digest of deleted rows", manifest) if manifest.root.renames else _DELETED_ROWS
    text: str = Memos(objects.store).remembered(computation, part.id, part.deletes, compute)
    return Digest.decode(text)


def _digest_of_projected(objects: Objects, manifest: Manifest, part: Part) -> Digest:
    """Return the digest of all rows written in `part`, under the names and without the dropped columns of `manifest`."""

    def compute() -> str:
        from dataplat.lake._part_open import open_part
        from dataplat.lake.content_id import digest
        from dataplat.lake.scan import scan

        held = set(open_part(objects, part).schema.names)
        if held.isdisjoint(_renamed(manifest)) and held.isdisjoint(manifest.root.gone):
            return part.digest.encode()
        columns = [name for name, stored in manifest.root.names.items() if stored in held]
        return digest(scan(objects, [part.with_deletes(None, 0)], manifest.schema, columns=columns)).encode()

    text: str = Memos(objects.store).remembered(_projected("digest of part", manifest), part.id, None, compute)
    return Digest.decode(text)


def _projected(name: str, manifest: Manifest) -> str:
    """Return the id of a digest as `manifest` reads parts: columns that came since, and wider types, change none."""
    return computation_id(name, 1, renamed=_renamed(manifest), gone=manifest.root.gone)


def _renamed(manifest: Manifest) -> dict[str, str]:
    return {stored: name for name, stored in manifest.root.names.items() if stored != name}
