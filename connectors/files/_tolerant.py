"""Delimited text record by record, in whole columns: what is wrong becomes a reject, the rest lands."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv

from dataplat.connectors.files import _cells
from dataplat.connectors.files import _types as t
from dataplat.connectors.files._blocks import Block
from dataplat.connectors.files._options import Typing
from dataplat.connectors.files._records import Records, count_fields, split_records
from dataplat.connectors.files._rejects import NEVER_NULL, RejectsBuilder, shown
from dataplat.connectors.source import Rejects, SchemaWidened

BATCH_ROWS = 131_072


@dataclass(frozen=True)
class Columns:
    """The columns of one file in its own order, their types, and which of them were asked for."""

    names: tuple[str, ...]
    kinds: tuple[pa.DataType, ...]
    fixed: frozenset[str]
    null_words: tuple[str, ...]
    schema: pa.Schema

    @classmethod
    def of(cls, names: tuple[str, ...], typing: Typing, null_words: tuple[str, ...]) -> Columns:
        """Return the columns of a file with these names."""
        kinds = tuple(typing.schema.field(name).type for name in names)
        return cls(names, kinds, typing.fixed, null_words, typing.schema)

    @classmethod
    def untyped(cls, names: tuple[str, ...], null_words: tuple[str, ...]) -> Columns:
        """Return columns of text."""
        schema = pa.schema([(name, t.STRING) for name in names])
        return cls.of(names, Typing(schema), null_words)

    def retyped(self, schema: pa.Schema) -> Columns:
        """Return the same columns with other types."""
        kinds = tuple(schema.field(name).type for name in self.names)
        return Columns(self.names, kinds, self.fixed, self.null_words, schema)

    @cached_property
    def free_numbers(self) -> tuple[int, ...]:
        """Indices of the numeric columns whose type was inferred."""
        numeric = (t.INT64, t.FLOAT64, t.DECIMAL)
        return tuple(
            i
            for i, (name, kind) in enumerate(zip(self.names, self.kinds, strict=True))
            if name not in self.fixed and kind in numeric
        )

    @cached_property
    def never_null(self) -> tuple[int, ...]:
        """Indices of the columns that are declared as never null."""
        return tuple(i for i, name in enumerate(self.names) if not self.schema.field(name).nullable)

    def as_text(self, which: list[int], kind: pa.DataType = t.STRING) -> Columns:
        """Return the same columns, some of them as text."""
        kinds = tuple(kind if i in set(which) else old for i, old in enumerate(self.kinds))
        return Columns(self.names, kinds, self.fixed, self.null_words, self.schema)

    def convert_options(self, include: list[int] | None = None) -> pyarrow.csv.ConvertOptions:
        """Return what `pyarrow.csv` needs to read them; an empty quoted field stays an empty string."""
        return pyarrow.csv.ConvertOptions(
            column_types=dict(zip(self.names, self.kinds, strict=True)),
            null_values=["", *self.null_words],
            true_values=list(t.TRUE_WORDS),
            false_values=list(t.FALSE_WORDS),
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
            include_columns=[self.names[i] for i in include] if include else [],
        )

    def arranged(self, batch: pa.RecordBatch) -> list[pa.RecordBatch]:
        """Return `batch` in the order of the schema, in batches of at most `BATCH_ROWS` rows."""
        columns = [batch.column(self.names.index(name)) for name in self.schema.names]
        whole = pa.RecordBatch.from_arrays(columns, schema=self.schema)
        return [whole.slice(i, BATCH_ROWS) for i in range(0, whole.num_rows, BATCH_ROWS)]


@dataclass(frozen=True, slots=True)
class Parsed:
    """What came of one block: rows, rejects (their rows counted from this block), or wider types."""

    batches: list[pa.RecordBatch] = field(default_factory=list)
    rejects: Rejects | None = None
    records: int = 0
    widened: SchemaWidened | None = None


@dataclass(slots=True)
class _Shape:
    """Which records of a block have the right number of fields."""

    records: Records
    rows: npt.NDArray[np.int64]
    errors: dict[int, str]


def _shape(block: Block, delimiter: int, width: int) -> _Shape:
    records = split_records(block.data, block.quotes)
    filled = (records.ends > records.starts) | (width == 1)
    fields = count_fields(block.data, records, block.quotes, delimiter)
    errors = {
        int(i): f"{fields[i]} fields, but the header has {width}" for i in np.flatnonzero((fields != width) & filled)
    }
    begins = {begin: reason for begin, _, reason in block.quotes.broken}
    for i in np.flatnonzero(np.isin(records.starts, list(begins))):
        errors[int(i)] = begins[int(records.starts[i])]
    keep = filled.copy()
    keep[list(errors)] = False
    return _Shape(records, np.flatnonzero(keep), errors)


def _texts(block: Block, delimiter: int, columns: Columns, shape: _Shape) -> pa.Table:
    """Return the well-shaped records as binary columns."""
    from dataplat.connectors.files.csv import read_block

    everything = list(range(len(columns.names)))
    raw = columns.as_text(everything, pa.binary())
    if not len(shape.rows):
        return pa.table([pa.array([], pa.binary()) for _ in everything], names=list(columns.names))
    starts, ends = shape.records.starts[shape.rows], shape.records.ends[shape.rows]
    text = block.data.data
    clean = b"\n".join([text[start:end] for start, end in zip(starts.tolist(), ends.tolist(), strict=True)])
    table = read_block(clean + b"\n", delimiter, raw).combine_chunks()
    if table.num_rows != len(shape.rows):  # pragma: no cover (both follow the same grammar)
        raise AssertionError(f"{table.num_rows} rows from {len(shape.rows)} records at byte {block.offset}")
    return table


def column_texts(block: Block, delimiter: int, columns: Columns) -> pa.Table:
    """Return the block's well-shaped records as strings; texts that are not UTF-8 are null."""
    shape = _shape(block, delimiter, len(columns.names))
    table = _texts(block, delimiter, columns, shape)
    arrays = [_cells.decode(_flat(column))[0] for column in table.columns]
    return pa.table(arrays, names=list(columns.names))


def parse_tolerantly(block: Block, label: str, delimiter: int, columns: Columns) -> Parsed:
    """Parse one block; raise `SchemaWidened` where a column whose type was inferred needs a wider one."""
    shape = _shape(block, delimiter, len(columns.names))
    table = _texts(block, delimiter, columns, shape)
    arrays = []
    wider: dict[str, pa.DataType] = {}
    wrong: dict[int, tuple[str | None, str]] = {i: (None, error) for i, error in shape.errors.items()}
    for name, kind, column in zip(columns.names, columns.kinds, table.columns, strict=True):
        texts, not_utf8 = _cells.decode(_flat(column))
        for row in np.flatnonzero(not_utf8):
            wrong.setdefault(int(shape.rows[row]), (name, f"{shown(column[int(row)].as_py())} is not UTF-8"))
        free = name not in columns.fixed
        cells, misfits = _cells.parse(texts, kind, strict=free)
        if free and (misfits.any() or not _cells.plausible(texts, kind)):
            wider[name] = _wider(kind, texts)
            continue
        for row in np.flatnonzero(misfits):
            wrong.setdefault(int(shape.rows[row]), (name, f"{shown(texts[int(row)].as_py())} is not {kind}"))
        if not columns.schema.field(name).nullable:
            for row in np.flatnonzero(texts.is_null().to_numpy(zero_copy_only=False)):
                wrong.setdefault(int(shape.rows[row]), (name, NEVER_NULL))
        arrays.append(cells)
    if wider:
        raise _widening(columns, wider, f"{label}, from line {block.line:,} on")
    return _landed(block, label, columns, shape=shape, arrays=arrays, wrong=wrong)


def _wider(kind: pa.DataType, texts: pa.Array) -> pa.DataType:
    joined = t.join(kind, t.infer(texts)) or t.STRING
    if joined.equals(t.FLOAT64) and not t.floats_hold(texts):
        return t.STRING
    return joined


def _widening(columns: Columns, wider: dict[str, pa.DataType], where: str) -> SchemaWidened:
    schema = columns.schema
    for name, kind in wider.items():
        schema = schema.set(schema.get_field_index(name), pa.field(name, kind))
    changes = ", ".join(f"{name!r} {columns.schema.field(name).type} → {kind}" for name, kind in wider.items())
    return SchemaWidened(schema, f"{where}: {changes}")


def _landed(
    block: Block,
    label: str,
    columns: Columns,
    *,
    shape: _Shape,
    arrays: list[pa.Array],
    wrong: dict[int, tuple[str | None, str]],
) -> Parsed:
    records = shape.records
    ordinal = np.cumsum((records.ends > records.starts) | (len(columns.names) == 1))  # 1-based row of each record
    rejects = RejectsBuilder(label)
    for i in sorted(wrong):
        column, error = wrong[i]
        start, end = int(records.starts[i]), int(records.ends[i])
        rejects.add(
            line=block.line + int(records.lines[i]),
            row=int(ordinal[i]),
            offset=block.offset + start,
            column=column,
            error=error,
            raw=block.data[start:end].tobytes(),
        )
    batch = pa.RecordBatch.from_arrays(arrays, names=list(columns.names))
    good = ~np.isin(shape.rows, list(wrong))
    if not good.all():
        batch = batch.filter(pa.array(good))
    count = int(ordinal[-1]) if len(ordinal) else 0
    return Parsed(columns.arranged(batch), rejects.build() if rejects else None, count)


def _flat(column: pa.ChunkedArray) -> pa.Array:
    array: pa.Array = column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
    return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
