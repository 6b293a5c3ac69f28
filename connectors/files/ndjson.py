"""JSON: one object a line, or one array of objects.

Blocks whose lines are all laid out alike are read in whole columns (`_json_layout`), others are parsed by
`pyarrow.json` with explicit types, which refuses whatever has another type, an unknown or a double key. A refused block is halved until the records that do not fit are among a few, and those are looked at
one by one. Strings that are all ISO dates or timestamps become such, at the top level of a record: as in CSV.
"""

# ruff: noqa: ARG001 (formats are called alike, whether they use every option or not)

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import IO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json

from dataplat.connectors.files import _cells
from dataplat.connectors.files._blocks import Block, blocks, cut_lines
from dataplat.connectors.files._entry import Entry
from dataplat.connectors.files._json_array import array_blocks, cut_anywhere, is_array
from dataplat.connectors.files._json_cells import refused
from dataplat.connectors.files._json_guard import (
    begins_with_object,
    has_empty_row,
    has_forbidden_null,
    is_utf8,
    may_lose,
)
from dataplat.connectors.files._json_layout import read_alike
from dataplat.connectors.files._json_rows import parse_rows
from dataplat.connectors.files._json_shape import decode_record, schema_of
from dataplat.connectors.files._landing import landed
from dataplat.connectors.files._options import FileOptions, Typing
from dataplat.connectors.files._pipeline import ordered_map
from dataplat.connectors.files._records import NO_QUOTES, Bytes8, Positions, Quotes, split_records
from dataplat.connectors.files._rejects import RejectsBuilder
from dataplat.connectors.files._sniff import require_utf8
from dataplat.connectors.files._tolerant import BATCH_ROWS, Parsed
from dataplat.connectors.source import Rejects, SchemaWidened
from dataplat.errors import SchemaError, SourceError

SNIFF_BYTES = 1 << 19
ONE_BY_ONE = 256
"""So many records are looked at one by one rather than halved again."""
GIVE_UP_AFTER = 4
"""After so many blocks in a row with lines that differ in layout, the shortcut for those that do not is left."""


def sniff(entry: Entry, options: FileOptions) -> pa.Schema:
    """Return fields and types of the first half megabyte; raise `SourceError` where no record can be read."""
    with entry.stream() as stream:
        block = next(_blocks(stream, entry.label, SNIFF_BYTES), None)
    if block is None or not block.data.tobytes().strip():
        raise SourceError(f"{entry.label} is empty: it has no record")
    records, error = [], ValueError("nothing but blank lines")
    for raw in _lines(block.data).texts(block.data):
        try:
            records.append(decode_record(raw))
        except (ValueError, RecursionError) as found:
            error = error if records else found  # type: ignore[assignment]
    if not records:
        raise SourceError(
            f"{entry.label}: none of its first lines is a JSON object ({error}): it needs one object a line, "
            "or one array of objects"
        )
    schema = schema_of(records)
    if not schema.names:
        raise SourceError(f"{entry.label}: none of its first records has a field, so there is nothing to land")
    if options.schema is not None:
        _require_json_types(schema, options.schema, entry.label)
    return schema


def _require_json_types(found: pa.Schema, wanted: pa.Schema, label: str) -> None:
    for column in wanted:
        kind = refused(column.type)
        if kind is not None and column.name in found.names:
            raise SchemaError(
                f"{label}: column {column.name!r} is to be {column.type}, but JSON has no values of type {kind}: "
                "land it from Parquet or Arrow, or in another column"
            )


def parse_lines(data: Bytes8, typing: Typing, label: str, different: list[int]) -> Parsed:
    """Return rows and rejects of whole lines, or the wider types that they need; `row` of a reject counts lines from 1.

    `different` is what is remembered from one call to the next: whether lines have been laid out alike.
    """
    return _OneTyping(label, typing, different)(Block(data, 0, 1, final=True))


def read(stream: IO[bytes], entry: Entry, typing: Typing, options: FileOptions) -> Iterator[pa.RecordBatch | Rejects]:
    """Yield the records of `stream` as `typing.schema`; raise `SchemaWidened` with more fields or wider types."""
    parser = _Parser(entry.label, typing)
    found = _blocks(stream, entry.label)
    first = next(found, None)
    if first is None:
        raise SourceError(f"{entry.label} is empty: it has no record")
    with closing(ordered_map(parser, chain([first], found), inline=first.final)) as results:
        yield from landed(results, parser, typing)


def _blocks(stream: IO[bytes], label: str, size: int | None = None) -> Iterator[Block]:
    cut = _Cut()
    found = blocks(stream, label, cut, size)
    first = next(found, None)
    if first is None:
        return
    mark = require_utf8(first.data[:4].tobytes(), label)
    if cut.array:
        yield from array_blocks(chain([first], found), label)
        return
    yield Block(first.data[mark:], mark, 1, final=first.final)
    yield from found


class _Cut:
    """Cut lines, unless the text turns out to be one array."""

    array: bool | None = None

    def __call__(self, data: Bytes8, final: bool) -> tuple[int, Quotes]:  # noqa: FBT001 (a Cut)
        if self.array is None:
            self.array = is_array(data)
        return cut_anywhere(data, final) if self.array else cut_lines(data, final)


@dataclass(frozen=True, slots=True)
class _Lines:
    """The lines of a block that hold something."""

    starts: Positions
    ends: Positions
    numbers: Positions

    def texts(self, data: Bytes8) -> list[bytes]:
        view = data.data
        return [bytes(view[a:b]) for a, b in zip(self.starts.tolist(), self.ends.tolist(), strict=True)]

    def __getitem__(self, part: slice) -> _Lines:
        return _Lines(self.starts[part], self.ends[part], self.numbers[part])

    def __len__(self) -> int:
        return len(self.starts)


def _lines(data: Bytes8) -> _Lines:
    records = split_records(data, NO_QUOTES)
    view = data.data
    short = np.flatnonzero(records.ends - records.starts < 64)
    blank = [i for i in short.tolist() if not bytes(view[records.starts[i] : records.ends[i]]).strip()]
    keep = np.ones(len(records.starts), dtype=np.bool_)
    keep[blank] = False
    return _Lines(records.starts[keep], records.ends[keep], records.lines[keep])


@dataclass(slots=True)
class _Parser:
    label: str
    typing: Typing
    different: list[int] = field(default_factory=list)  # blocks in a row whose lines were not all laid out alike

    def retype(self, schema: pa.Schema) -> None:
        self.typing = replace(self.typing, schema=schema)
        self.different.clear()

    def __call__(self, block: Block) -> Parsed:
        return _OneTyping(self.label, self.typing, self.different)(block)


@dataclass(frozen=True, slots=True)
class _OneTyping:
    """Parses blocks with types that do not change meanwhile."""

    label: str
    typing: Typing
    different: list[int]

    def __call__(self, block: Block) -> Parsed:
        try:
            batch = self._fast(block.data)
            if batch is not None:
                return Parsed(_sliced(batch), records=batch.num_rows)
            return self._carefully(block)
        except SchemaWidened as widened:
            return Parsed(widened=widened)

    def _fast(self, data: Bytes8, count: int | None = None) -> pa.RecordBatch | None:
        """Return the rows of whole lines, or None where they need a closer look."""
        if not (begins_with_object(data) and is_utf8(data)):
            return None
        batch = self._alike(data)
        if batch is None:
            batch = self._parsed(data, count)
        if batch is None or has_forbidden_null(batch):
            return None
        if any(
            may_lose(column)
            for name, column in zip(batch.schema.names, batch.columns, strict=True)
            if self._is_free(name)
        ):
            return None
        return batch

    def _is_free(self, name: str) -> bool:
        return name not in self.typing.fixed

    def _alike(self, data: Bytes8) -> pa.RecordBatch | None:
        if len(self.different) >= GIVE_UP_AFTER:
            return None
        batch = read_alike(data, self.typing.schema)
        if batch is None:
            self.different.append(len(data))
        else:
            self.different.clear()
        return batch

    def _parsed(self, data: Bytes8, count: int | None) -> pa.RecordBatch | None:
        reading = _reading_schema(self.typing)
        if reading is None:
            return None
        try:
            batch = _read_json(data, reading)
            if has_empty_row(batch):
                return None
            wanted = _count_lines(data) if count is None else count
            if batch.num_rows != wanted and (count is not None or batch.num_rows != len(_lines(data))):
                return None  # two records on a line, or one on two
            return _typed(batch, self.typing.schema)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            return None

    def _carefully(self, block: Block) -> Parsed:
        lines = _lines(block.data)
        rejects = RejectsBuilder(self.label)
        batches = [batch for batch in self._halve(block, lines, 0, rejects) if batch.num_rows]
        whole = pa.Table.from_batches(batches, schema=self.typing.schema).combine_chunks().to_batches()
        sliced = [piece for batch in whole for piece in _sliced(batch)]
        return Parsed(sliced, rejects.build() if rejects else None, len(lines))

    def _halve(self, block: Block, lines: _Lines, row: int, rejects: RejectsBuilder) -> Iterator[pa.RecordBatch]:
        if not len(lines):
            return
        if len(lines) <= ONE_BY_ONE or _reading_schema(self.typing) is None:
            yield self._one_by_one(block, lines, row, rejects)
            return
        middle = len(lines) // 2
        for part, begin in ((lines[:middle], row), (lines[middle:], row + middle)):
            batch = self._fast(block.data[part.starts[0] : part.ends[-1]], len(part))
            if batch is not None:
                yield batch
            else:
                yield from self._halve(block, part, begin, rejects)

    def _one_by_one(self, block: Block, lines: _Lines, row: int, rejects: RejectsBuilder) -> pa.RecordBatch:
        raws = lines.texts(block.data)
        first = block.place(int(lines.starts[0]), int(lines.numbers[0]))
        rows = parse_rows(raws, self.typing, f"{self.label}, from line {first[1]:,} on")
        for i in sorted(rows.wrong):
            column, error = rows.wrong[i]
            offset, line = block.place(int(lines.starts[i]), int(lines.numbers[i]))
            rejects.add(line=line, row=row + i + 1, offset=offset, column=column, error=error, raw=raws[i])
        return rows.batch


def _sliced(batch: pa.RecordBatch) -> list[pa.RecordBatch]:
    return [batch.slice(i, BATCH_ROWS) for i in range(0, batch.num_rows, BATCH_ROWS)]


def _count_lines(data: Bytes8) -> int:
    unfinished = len(data) > 0 and data[-1] != 10
    return int(np.count_nonzero(data == 10)) + int(unfinished)


def _read_json(data: Bytes8, schema: pa.Schema) -> pa.RecordBatch:
    buffer = pa.py_buffer(data)
    table = pyarrow.json.read_json(
        pa.BufferReader(buffer),
        read_options=pyarrow.json.ReadOptions(use_threads=False, block_size=buffer.size + 1),
        parse_options=pyarrow.json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="error"),
    )
    return table.combine_chunks().to_batches()[0]


def _typed(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """Return what was read as text in its own types; raise ArrowInvalid where one does not fit."""
    columns = []
    for array, column in zip(batch.columns, schema, strict=True):
        if pa.types.is_time(column.type) or pa.types.is_duration(column.type):
            parsed, failed = _cells.parse(array, column.type, strict=False)
            if failed.any():
                raise pa.ArrowInvalid(f"{column.name} holds what is not {column.type}")
            columns.append(parsed)
        else:
            columns.append(array if array.type.equals(column.type) else pc.cast(array, column.type))
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _reading_schema(typing: Typing) -> pa.Schema | None:
    """Return the types that `pyarrow.json` is asked for, or None where it would not be exact.

    It takes a time without a zone for one in UTC and quoted digits for a decimal, so times, and decimals that were
    asked for, are read as strings first, and inferred decimals one by one; so are lists of nothing but nulls, of which it
    makes invalid arrays.
    """
    fields = []
    for column in typing.schema:
        asked = pa.types.is_decimal(column.type) and column.name in typing.fixed
        if pa.types.is_temporal(column.type) or asked:
            fields.append(pa.field(column.name, pa.string()))
        elif pa.types.is_null(column.type) or _exact_in_json(column.type):
            fields.append(pa.field(column.name, column.type))
        else:
            return None
    return pa.schema(fields)


def _exact_in_json(kind: pa.DataType) -> bool:
    if pa.types.is_struct(kind):
        return all(_exact_in_json(field.type) for field in kind)
    if pa.types.is_list(kind):
        return _exact_in_json(kind.value_type)
    return any(is_kind(kind) for is_kind in _JSON_SCALARS)


_JSON_SCALARS = (
    pa.types.is_integer,
    pa.types.is_floating,
    pa.types.is_boolean,
    pa.types.is_string,
)
