"""Avro object containers.

Blocks are framed anew in groups and decoded by Polars; schemas with maps or unions of several types, which it
cannot read, go record by record through fastavro.
"""

# ruff: noqa: ARG001 (formats are called alike, whether they use every option or not)

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import polars as pl
import pyarrow as pa

from dataplat.connectors.files._arrange import arranged
from dataplat.connectors.files._avro_container import Container
from dataplat.connectors.files._avro_types import arrow_schema, polars_reads
from dataplat.connectors.files._entry import Entry
from dataplat.connectors.files._options import FileOptions, Typing
from dataplat.errors import MissingExtra, SourceError

GROUP_BYTES = 8 << 20
BATCH_ROWS = 65_536


def sniff(entry: Entry, options: FileOptions) -> pa.Schema:
    """Return the schema in the file's header as Arrow types."""
    with entry.stream() as stream:
        container = Container.open(io.BufferedReader(stream), entry.label)  # type: ignore[type-var]
    return arrow_schema(container.schema, entry.label)


def read(entry: Entry, typing: Typing, options: FileOptions) -> Iterator[pa.RecordBatch]:
    """Yield the file's rows as `typing.schema`."""
    with entry.stream() as stream:
        container = Container.open(io.BufferedReader(stream, 1 << 20), entry.label)  # type: ignore[type-var]
        fast = polars_reads(container.schema)
        own = arrow_schema(container.schema, entry.label)
        row = 0
        for group in _groups(container):
            framed = container.framed(group)
            try:
                table = pl.read_avro(framed).to_arrow() if fast else _by_record(framed, own)
            except (pl.exceptions.PolarsError, pa.ArrowException, ValueError, TypeError, EOFError, KeyError) as error:
                raise SourceError(f"{entry.label} cannot be decoded behind row {row:,}: {error}") from error
            for batch in table.combine_chunks().to_batches(max_chunksize=BATCH_ROWS):
                yield arranged(arranged(batch, own, entry.label, row), typing.schema, entry.label, row)
                row += batch.num_rows


def _groups(container: Container) -> Iterator[list[tuple[int, bytes]]]:
    group: list[tuple[int, bytes]] = []
    size = 0
    for count, data in container.blocks():
        group.append((count, data))
        size += len(data)
        if size >= GROUP_BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group


def _by_record(framed: io.BytesIO, schema: pa.Schema) -> pa.Table:
    try:
        import fastavro
    except ImportError as error:
        raise MissingExtra("this Avro schema needs fastavro: pip install 'dataplat[avro]'") from error
    records: list[Any] = list(fastavro.reader(framed))
    return pa.Table.from_pylist(records, schema=schema)
