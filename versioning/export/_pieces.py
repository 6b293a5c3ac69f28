"""Parts as Parquet files of an export: as they are where they can be, else rewritten without deletes."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from dataplat.errors import SchemaError, SchemaMismatch
from dataplat.lake.scan import scan
from dataplat.lake.schema import conform, plain_schema, schema_to_json, stored_name
from dataplat.lake.verified import verified_paths
from dataplat.versioning.export._copy import bring

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dataplat.lake.objects import Objects
    from dataplat.lake.part import Part
    from dataplat.versioning.manifest import Manifest


@dataclass(frozen=True, slots=True)
class Piece:
    """One live part as a file of an export. Equal names mean equal rows in equal columns."""

    part: Part
    name: str


def pieces(manifest: Manifest, schema: pa.Schema) -> list[Piece]:
    """Return the files that hold the version's rows as `schema`, in row order, named by what they hold."""
    spelt = json.dumps([schema_to_json(schema), _stored_names(manifest.schema)])
    seen: dict[tuple[str, str | None], int] = {}
    found = []
    for part in manifest.parts():
        if part.live:
            held = part.id, part.deletes
            seen[held] = seen.get(held, 0) + 1  # the same bytes may be in a version twice
            form = hashlib.sha256(f"{part.deletes}\n{seen[held]}\n{spelt}".encode()).hexdigest()
            found.append(Piece(part, f"{part.id[:32]}-{form[:12]}.parquet"))
    return found


def stored_file(objects: Objects, part: Part, manifest: Manifest, schema: pa.Schema) -> Path | None:
    """Return the local file of a part whose rows are exactly those of the version, as `schema`, else None."""
    source = objects.local_path(part.id, ".parquet")
    if part.deleted or source is None or _stored_names(manifest.schema) != manifest.schema.names:
        return None
    return source if source.exists() and pq.read_schema(source).equals(schema) else None


def write_piece(
    objects: Objects, part: Part, manifest: Manifest, schema: pa.Schema, path: Path, link: str = "copy"
) -> None:
    """Write the live rows of a part as the Parquet file `path`: a copy or link of it where it is that already."""
    source = stored_file(objects, part, manifest, schema)
    if source is not None:
        verified_paths(objects, [part])  # a copy would hand damage on
        bring(source, path, link)
        return
    with pq.ParquetWriter(path, schema, compression="zstd", write_page_checksum=True) as writer:
        for batch in rows(objects, [part], manifest, schema):
            writer.write_batch(batch)


def place_piece(
    objects: Objects, piece: Piece, manifest: Manifest, schema: pa.Schema, folder: Path, link: str = "copy"
) -> Path:
    """Return the piece's file in `folder`, written whole where it is not there yet."""
    target = folder / piece.name
    if not target.exists():
        fresh = folder / f".{piece.name}.partial-{os.getpid()}"
        fresh.unlink(missing_ok=True)
        try:
            write_piece(objects, piece.part, manifest, schema, fresh, link)
            fresh.replace(target)
        finally:
            fresh.unlink(missing_ok=True)
    return target


def rows(
    objects: Objects, parts: list[Part], manifest: Manifest, schema: pa.Schema | None = None
) -> Iterator[pa.RecordBatch]:
    """Yield the live rows of `parts` as `schema`, or as the version's own; raise `SchemaError` where one does not fit."""
    plain = plain_schema(manifest.schema)
    for batch in scan(objects, parts, manifest.schema):
        bare = pa.RecordBatch.from_arrays(batch.columns, schema=plain)
        try:
            yield bare if schema is None or schema.equals(plain) else conform(bare, schema)
        except SchemaMismatch as error:
            raise SchemaError(f"a value does not fit the type that the format has for it: {error}") from error


def _stored_names(schema: pa.Schema) -> list[str]:
    return [stored_name(field) for field in schema]
