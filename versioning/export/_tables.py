"""Write the rows of a version as files of one format."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from dataplat.errors import SchemaError
from dataplat.lake.scan import scan
from dataplat.versioning.export._copy import bring

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dataplat.lake.objects import Objects
    from dataplat.lake.part import Part
    from dataplat.versioning.manifest import Manifest


def write_parquet(objects: Objects, manifest: Manifest, folder: Path, link: str) -> int:
    """Write one Parquet file a part; parts without deletes and of the version's own schema as they are."""
    parts = [part for part in manifest.parts() if part.live]
    for number, part in enumerate(parts):
        path = folder / f"part-{number:05d}.parquet"
        if not _bring_part(objects, part, manifest.schema, path, link):
            with pq.ParquetWriter(path, manifest.schema, compression="zstd", write_page_checksum=True) as writer:
                for batch in scan(objects, [part], manifest.schema):
                    writer.write_batch(batch)
    if not parts:
        pq.write_table(manifest.schema.empty_table(), folder / "part-00000.parquet")
    return max(len(parts), 1)


def _bring_part(objects: Objects, part: Part, schema: pa.Schema, path: Path, link: str) -> bool:
    source = objects.local_path(part.id, ".parquet")
    if part.deleted or source is None or not pq.read_schema(source).equals(schema):
        return False
    bring(source, path, link)
    return True


def write_csv(objects: Objects, manifest: Manifest, folder: Path, _link: str) -> int:
    """Write one CSV file; nulls are empty, strings quoted, so that what is read back is equal."""
    nested = [field.name for field in manifest.schema if pa.types.is_nested(field.type)]
    if nested:
        message = f"CSV cannot hold the nested columns {', '.join(nested)}: export as ndjson, arrow or parquet"
        raise SchemaError(message)
    with pyarrow.csv.CSVWriter(folder / "data.csv", manifest.schema) as writer:
        for batch in _rows(objects, manifest):
            writer.write_batch(batch)
    return 1


def write_arrow(objects: Objects, manifest: Manifest, folder: Path, _link: str) -> int:
    """Write one Arrow IPC file."""
    with pa.OSFile(str(folder / "data.arrow"), "wb") as sink, pa.ipc.new_file(sink, manifest.schema) as writer:
        for batch in _rows(objects, manifest):
            writer.write_batch(batch)
    return 1


def write_ndjson(objects: Objects, manifest: Manifest, folder: Path, _link: str) -> int:
    """Write one JSON object a line; NaN and infinities are refused, since JSON has none."""
    import polars as pl

    with (folder / "data.ndjson").open("wb") as sink:
        for batch in _rows(objects, manifest):
            _refuse_not_finite(batch)
            frame = pl.DataFrame(batch)
            frame.write_ndjson(sink)
    return 1


def _refuse_not_finite(batch: pa.RecordBatch) -> None:
    import pyarrow.compute as pc

    for name in batch.schema.names:
        column = batch.column(name)
        if pa.types.is_floating(column.type) and pc.any(pc.invert(pc.is_finite(column))).as_py():
            message = f"column {name} holds NaN or an infinity, which JSON cannot: export as parquet, arrow or csv"
            raise SchemaError(message)


def _rows(objects: Objects, manifest: Manifest) -> Iterator[pa.RecordBatch]:
    return scan(objects, manifest.parts(), manifest.schema)
