"""Write the rows of a version as files of one format."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from dataplat.errors import SchemaError
from dataplat.lake.scan import scan
from dataplat.lake.schema import plain_schema
from dataplat.versioning.export._pieces import write_piece

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dataplat.lake.objects import Objects
    from dataplat.versioning.manifest import Manifest


def write_parquet(objects: Objects, manifest: Manifest, folder: Path, link: str) -> int:
    """Write one Parquet file a part; parts without deletes and of the version's own columns as they are."""
    schema = plain_schema(manifest.schema)
    parts = [part for part in manifest.parts() if part.live]
    for number, part in enumerate(parts):
        write_piece(objects, part, manifest, schema, folder / f"part-{number:05d}.parquet", link)
    if not parts:
        pq.write_table(schema.empty_table(), folder / "part-00000.parquet")
    return max(len(parts), 1)


def write_csv(objects: Objects, manifest: Manifest, folder: Path, _link: str) -> int:
    """Write one CSV file; nulls are empty, strings quoted, so that what is read back is equal."""
    nested = [field.name for field in manifest.schema if pa.types.is_nested(field.type)]
    if nested:
        message = f"CSV cannot hold the nested columns {', '.join(nested)}: export as ndjson, arrow or parquet"
        raise SchemaError(message)
    try:
        with pyarrow.csv.CSVWriter(folder / "data.csv", plain_schema(manifest.schema)) as writer:
            for batch in _rows(objects, manifest):
                writer.write_batch(batch)
    except pa.ArrowInvalid as error:  # bytes that are no text
        raise SchemaError(f"CSV cannot hold these values: {error}. Export as arrow or parquet.") from error
    return 1


def write_arrow(objects: Objects, manifest: Manifest, folder: Path, _link: str) -> int:
    """Write one Arrow IPC file."""
    schema = plain_schema(manifest.schema)
    with pa.OSFile(str(folder / "data.arrow"), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
        for batch in _rows(objects, manifest):
            writer.write_batch(batch)
    return 1


def write_ndjson(objects: Objects, manifest: Manifest, folder: Path, _link: str) -> int:
    """Write one JSON object a line; bytes, NaN and infinities are refused, since JSON has none."""
    import polars as pl

    for field in manifest.schema:
        if any(map(_not_in_json, _types(field.type))):
            raise SchemaError(f"JSON cannot hold column {field.name!r} ({field.type}): export as arrow or parquet")
    with (folder / "data.ndjson").open("wb") as sink:
        for batch in _rows(objects, manifest):
            for name, column in zip(batch.schema.names, batch.columns, strict=True):
                _refuse_not_finite(column, name)
            pl.DataFrame(batch).write_ndjson(sink)
    return 1


def _types(kind: pa.DataType) -> Iterator[pa.DataType]:
    """Yield a type and those inside it."""
    yield kind
    for i in range(kind.num_fields):
        yield from _types(kind.field(i).type)


def _not_in_json(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_binary(kind) or pa.types.is_decimal256(kind)
    )  # of the latter it is Polars that cannot write it


def _refuse_not_finite(column: pa.Array, name: str) -> None:
    if pa.types.is_floating(column.type):
        if pc.any(pc.invert(pc.is_finite(column))).as_py():
            message = f"column {name!r} holds NaN or an infinity, which JSON cannot: export as parquet, arrow or csv"
            raise SchemaError(message)
    elif pa.types.is_struct(column.type) or pa.types.is_map(column.type):
        for child in (column.keys, column.items) if pa.types.is_map(column.type) else column.flatten():
            _refuse_not_finite(child, name)
    elif pa.types.is_nested(column.type):
        _refuse_not_finite(column.flatten(), name)


def _rows(objects: Objects, manifest: Manifest) -> Iterator[pa.RecordBatch]:
    return scan(objects, manifest.parts(), manifest.schema)
