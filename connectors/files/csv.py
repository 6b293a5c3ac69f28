"""Delimited text: CSV, TSV and their relatives.

Blocks are parsed by `pyarrow.csv` with explicit types. A block that it refuses, or whose numbers are written in
a way that inference would not take for numbers, is read again record by record's bounds (`_tolerant`): bad records
become rejects, the rest of the block lands, or the columns concerned widen.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import chain
from typing import IO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from dataplat.connectors.files import _cells
from dataplat.connectors.files import _types as t
from dataplat.connectors.files._blocks import Block, blocks, cut_delimited
from dataplat.connectors.files._entry import Entry
from dataplat.connectors.files._landing import landed
from dataplat.connectors.files._numbers import oddly_written
from dataplat.connectors.files._options import FileOptions, Typing
from dataplat.connectors.files._pipeline import ordered_map
from dataplat.connectors.files._records import NO_QUOTES, Bytes8, Quotes, find_quotes, last_boundary
from dataplat.connectors.files._sniff import Layout, require_header, sniff_layout
from dataplat.connectors.files._tolerant import Columns, Parsed, column_texts, parse_tolerantly
from dataplat.connectors.files._widen import require_names
from dataplat.connectors.source import Rejects, SchemaWidened
from dataplat.errors import SchemaError, SourceError

SNIFF_BYTES = 1 << 20


def sniff(entry: Entry, options: FileOptions) -> pa.Schema:
    """Return names and types of the first megabyte; raise `SourceError` where there is no header."""
    with entry.stream() as stream:
        block = _first_block(stream, entry.label, SNIFF_BYTES)
    layout = sniff_layout(block.data, entry.label, options)
    for column in options.schema or ():
        if column.name in layout.names and pa.types.is_nested(column.type):
            raise SchemaError(
                f"{entry.label}: column {column.name!r} is to be {column.type}, which delimited text cannot hold: "
                "land it from NDJSON, Parquet or Arrow, or as string"
            )
    columns = Columns.untyped(layout.names, options.null_words)
    texts = column_texts(_body(block, layout), layout.delimiter, columns)
    kinds = [t.infer(texts.column(i)) for i in range(texts.num_columns)]
    if options.columns is None and texts.num_rows:
        require_header(layout, kinds, entry.label)
    return pa.schema(list(zip(layout.names, kinds, strict=True)))


def _first_block(stream: IO[bytes], label: str, size: int) -> Block:
    block = next(blocks(stream, label, cut_delimited(ord(",")), size), None)
    if block is None:
        raise SourceError(f"{label} is empty: it has neither a header nor a row")
    return block


def _body(block: Block, layout: Layout) -> Block:
    """Return the block that begins the text without its header."""
    data = block.data[layout.start :]
    quotes = find_quotes(data, layout.delimiter, final=block.final)
    return Block(data, block.offset + layout.start, layout.line, quotes, block.final)


def read(stream: IO[bytes], entry: Entry, typing: Typing, options: FileOptions) -> Iterator[pa.RecordBatch | Rejects]:
    """Yield the rows of `stream` as `typing.schema`; raise `SchemaWidened` with this file's new types."""
    cut = _Cut(entry.label, options)
    found = blocks(stream, entry.label, cut)
    first = next(found, None)
    if first is None or cut.layout is None:
        raise SourceError(f"{entry.label} is empty: it has neither a header nor a row")
    require_names(cut.layout.names, typing.schema.names, entry.label)
    columns = Columns.of(cut.layout.names, typing, options.null_words)
    parser = _Parser(entry.label, cut.layout, columns)
    with closing(ordered_map(parser, chain([_body(first, cut.layout)], found), inline=first.final)) as results:
        yield from landed(results, parser, typing)


@dataclass(slots=True)
class _Cut:
    """Cut records, once the beginning has told the layout."""

    label: str
    options: FileOptions
    layout: Layout | None = None

    def __call__(self, data: Bytes8, final: bool) -> tuple[int, Quotes]:  # noqa: FBT001 (a Cut)
        if self.layout is None:
            if not final and not cut_delimited(ord(","))(data, final)[0]:
                return 0, NO_QUOTES  # the header is longer than this
            whole_header = last_boundary(data[:SNIFF_BYTES], NO_QUOTES) > 0
            self.layout = sniff_layout(data[:SNIFF_BYTES] if whole_header else data, self.label, self.options)
        return cut_delimited(self.layout.delimiter)(data, final)


@dataclass(slots=True)
class _Parser:
    label: str
    layout: Layout
    columns: Columns

    def retype(self, schema: pa.Schema) -> None:
        self.columns = self.columns.retyped(schema)

    def __call__(self, block: Block) -> Parsed:
        if not len(block.data):
            return Parsed()
        columns = self.columns
        batch = None if block.quotes.broken else self._fast(block, columns)
        if batch is None:
            try:
                return parse_tolerantly(block, self.label, self.layout.delimiter, columns)
            except SchemaWidened as widened:
                return Parsed(widened=widened)
        return Parsed(batches=columns.arranged(batch), records=batch.num_rows)

    def _fast(self, block: Block, columns: Columns) -> pa.RecordBatch | None:
        """Return the block's rows, or None where it needs a closer look."""
        if _has_lone_return(block):
            return None
        try:
            table = read_block(block.data, self.layout.delimiter, columns)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            return None
        if any(table.column(i).null_count for i in columns.never_null):
            return None
        doubtful = [i for i in columns.free_numbers if _doubtful(table.column(i))]
        if columns.free_numbers and oddly_written(block.data, self.layout.delimiter):
            doubtful = list(columns.free_numbers)
        if doubtful and not self._plausible(block, columns, doubtful):
            return None
        batch: pa.RecordBatch = table.combine_chunks().to_batches()[0] if table.num_rows else None
        return batch

    def _plausible(self, block: Block, columns: Columns, doubtful: list[int]) -> bool:
        texts = read_block(block.data, self.layout.delimiter, columns.as_text(doubtful), doubtful)
        pairs = zip(doubtful, texts.columns, strict=True)
        return all(_cells.plausible(text.combine_chunks(), columns.kinds[i]) for i, text in pairs)


def _has_lone_return(block: Block) -> bool:
    returns = np.flatnonzero(block.data == 13)
    if not len(returns):
        return False
    inner = returns[returns + 1 < len(block.data)]
    return bool((block.data[inner + 1] != 10).any())


def _doubtful(column: pa.ChunkedArray) -> bool:
    """Return whether float64 may have lost digits of an integer, or overflowed; decimals are always looked at."""
    if pa.types.is_decimal(column.type):
        return True
    if not pa.types.is_floating(column.type):
        return False
    bounds = pc.min_max(column).as_py()
    low, high = bounds["min"], bounds["max"]
    return low is not None and (low <= -t.EXACT_IN_FLOAT or high >= t.EXACT_IN_FLOAT)


def read_block(data: object, delimiter: int, columns: Columns, include: list[int] | None = None) -> pa.Table:
    """Parse whole records with `pyarrow.csv`; raise ArrowInvalid where one does not fit."""
    buffer = pa.py_buffer(data)
    return pyarrow.csv.read_csv(
        pa.BufferReader(buffer),
        read_options=pyarrow.csv.ReadOptions(
            use_threads=False, block_size=buffer.size + 1, column_names=list(columns.names)
        ),
        parse_options=pyarrow.csv.ParseOptions(
            delimiter=chr(delimiter), newlines_in_values=True, ignore_empty_lines=len(columns.names) > 1
        ),
        convert_options=columns.convert_options(include),
    )
