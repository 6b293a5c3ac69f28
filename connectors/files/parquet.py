"""Parquet files as a source."""

# ruff: noqa: ARG001 (formats are called alike, whether they use every option or not)

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq

from dataplat.connectors.files._arrange import arranged
from dataplat.connectors.files._entry import Entry
from dataplat.connectors.files._options import FileOptions, Typing
from dataplat.connectors.files._widen import plain
from dataplat.errors import SourceError

BATCH_ROWS = 131_072


def sniff(entry: Entry, options: FileOptions) -> pa.Schema:
    """Return the schema in the file's footer."""
    with entry.seekable() as path, _open(path, entry.label) as file:
        return pa.schema([(field.name, plain(field.type)) for field in file.schema_arrow])


def _open(path: object, label: str) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path, page_checksum_verification=True, pre_buffer=False)
    except (pa.ArrowException, OSError) as error:
        raise SourceError(f"{label} is no Parquet file that can be read: {error}") from error


def read(entry: Entry, typing: Typing, options: FileOptions) -> Iterator[pa.RecordBatch]:
    """Yield the file's rows as `typing.schema`, page checksums verified where it has them."""
    with entry.seekable() as path, _open(path, entry.label) as file:
        row = 0
        batches = file.iter_batches(batch_size=BATCH_ROWS, use_threads=True)
        while True:
            try:
                batch = next(batches, None)
            except (pa.ArrowException, OSError) as error:
                raise SourceError(f"{entry.label} is damaged behind row {row:,}: {error}") from error
            if batch is None:
                return
            yield arranged(batch, typing.schema, entry.label, row)
            row += batch.num_rows
