"""Arrow IPC files and streams, and Feather."""

# ruff: noqa: ARG001 (formats are called alike, whether they use every option or not)

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pyarrow as pa
import pyarrow.feather
import pyarrow.ipc

from dataplat.connectors.files._arrange import arranged
from dataplat.connectors.files._entry import Entry
from dataplat.connectors.files._options import FileOptions, Typing
from dataplat.connectors.files._widen import plain
from dataplat.errors import SourceError

BATCH_ROWS = 131_072


def sniff(entry: Entry, options: FileOptions) -> pa.Schema:
    """Return the schema that the file begins with."""
    with entry.seekable() as path, _open(path, entry.label) as (schema, _):
        return pa.schema([(field.name, plain(field.type)) for field in schema])


@contextmanager
def _open(path: Path | IO[bytes], label: str) -> Iterator[tuple[pa.Schema, Iterator[pa.RecordBatch]]]:
    """Open a file (which ends with a footer), a stream, or Feather's first format, told by its magic number."""
    with pa.OSFile(str(path)) if isinstance(path, Path) else pa.PythonFile(path, "r") as file:
        magic = file.read(8)
        file.seek(0)
        try:
            if magic.startswith(b"ARROW1"):
                reader = pyarrow.ipc.open_file(file)
                yield reader.schema, (reader.get_batch(i) for i in range(reader.num_record_batches))
            elif magic.startswith(b"FEA1"):
                table = pyarrow.feather.read_table(file)
                yield table.schema, iter(table.to_batches())
            else:
                stream = pyarrow.ipc.open_stream(file)
                yield stream.schema, iter(stream)
        except (pa.ArrowException, OSError) as error:
            raise SourceError(f"{label} is truncated or damaged, or no Arrow file: {error}") from error


def read(entry: Entry, typing: Typing, options: FileOptions) -> Iterator[pa.RecordBatch]:
    """Yield the file's rows as `typing.schema`."""
    row = 0
    with entry.seekable() as path, _open(path, entry.label) as (_, batches):
        for batch in batches:
            batch.validate(full=True)
            for begin in range(0, batch.num_rows, BATCH_ROWS):
                piece = batch.slice(begin, BATCH_ROWS)
                yield arranged(piece, typing.schema, entry.label, row)
                row += piece.num_rows
