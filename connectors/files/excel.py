"""Excel and OpenDocument workbooks: one sheet, read as a whole.

Cells of several kinds in one column (a number among texts) become the text that the sheet shows. Numbers are whole
where all of a column are: a workbook keeps no difference. Cells that hold an error (`#DIV/0!`) are rejects.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from dataplat.connectors.files._arrange import arranged
from dataplat.connectors.files._entry import Entry
from dataplat.connectors.files._options import FileOptions, Typing
from dataplat.connectors.files._rejects import RejectsBuilder
from dataplat.connectors.files._sniff import checked_names
from dataplat.connectors.source import Rejects
from dataplat.errors import MissingExtra, SourceError

BATCH_ROWS = 65_536
_TOGETHER = {frozenset({"Int", "Float"}): "float", frozenset({"DateTime", "DateTimeIso"}): "datetime"}
_MIXED = re.compile(r"contains \{([^}]*)\}.*could not determine dtype for column (.*)", re.DOTALL)


def sniff(entry: Entry, options: FileOptions) -> pa.Schema:
    """Return the schema of the sheet, all of whose cells were looked at."""
    batch, _ = _sheet(entry, options)
    schema: pa.Schema = batch.schema
    return schema


def read(entry: Entry, typing: Typing, options: FileOptions) -> Iterator[pa.RecordBatch | Rejects]:
    """Yield the sheet's rows as `typing.schema`, and the rows with errors as rejects."""
    batch, errors = _sheet(entry, options)
    rejects = RejectsBuilder(entry.label)
    bad = set()
    header = options.columns is None
    for at, column, error in errors:
        if at not in bad:
            bad.add(at)
            raw = json.dumps(batch.slice(at, 1).to_pylist()[0], default=str).encode()
            name = batch.schema.names[column]
            rejects.add(line=at + 1 + header, row=at + 1, offset=None, column=name, error=error, raw=raw)
    if rejects:
        yield rejects.build()
        batch = batch.filter(pa.array([i not in bad for i in range(batch.num_rows)]))
    for begin in range(0, batch.num_rows, BATCH_ROWS):
        yield arranged(batch.slice(begin, BATCH_ROWS), typing.schema, entry.label, begin)


def _sheet(entry: Entry, options: FileOptions) -> tuple[pa.RecordBatch, list[tuple[int, int, str]]]:
    """Return the sheet's rows, and (row from 0, column from 0, what) of the cells that hold an error."""
    try:
        import fastexcel
    except ImportError as error:
        raise MissingExtra("workbooks need fastexcel: pip install 'dataplat[excel]'") from error
    with entry.local() as path:
        try:
            book = fastexcel.read_excel(str(path))
            name = _chosen(book, options.sheet, entry.label)
            names = _names(book, name, options, entry.label)
            batch, found = _load(book, name, names, header=options.columns is None)
        except fastexcel.FastExcelError as error:
            why = str(error).partition("\nContext:")[0]  # which names the copy that was made of it
            raise SourceError(f"{entry.label} cannot be read as a workbook: {why}") from error
    errors = [
        (cell.offset_position[0], cell.offset_position[1], f"the cell holds {_error(cell.detail)}")
        for cell in (found.errors if found else [])
    ]
    columns = [_plain(column) for column in batch.columns]
    return pa.RecordBatch.from_arrays(columns, names=list(names)), errors


def _error(detail: str) -> str:
    return detail.partition("but got ")[2] or detail


def _chosen(book: Any, wanted: str | None, label: str) -> str:
    names: list[str] = book.sheet_names
    if wanted is not None:
        if wanted not in names:
            raise SourceError(f"{label} has no sheet {wanted!r}; it has {names}")
        return wanted
    full = [name for name in names if book.load_sheet(name, header_row=None, n_rows=1, dtypes="string").width]
    if len(full) != 1:
        raise SourceError(f"{label} has {len(full)} sheets with cells: choose one of {names}")
    return full[0]


def _names(book: Any, sheet: str, options: FileOptions, label: str) -> tuple[str, ...]:
    if options.columns is not None:
        return checked_names(options.columns, label)
    head = book.load_sheet(sheet, header_row=None, n_rows=1, dtypes="string").to_arrow()
    return checked_names(["" if column[0].as_py() is None else column[0].as_py() for column in head.columns], label)


def _load(book: Any, sheet: str, names: tuple[str, ...], *, header: bool) -> tuple[pa.RecordBatch, Any]:
    """Load with strict types, a column of several kinds as the type that holds them all."""
    dtypes: dict[int, str] = {}
    while True:
        try:
            loaded = book.load_sheet(
                sheet,
                header_row=0 if header else None,
                schema_sample_rows=None,
                dtype_coercion="strict",
                dtypes=dtypes or None,
            )
            batch, errors = loaded.to_arrow_with_errors()
            return batch, errors
        except Exception as error:
            mixed = _MIXED.search(str(error))
            if mixed is None:
                raise
            column = mixed[2].strip().splitlines()[0].strip()
            at = int(column) if column.isdigit() and column not in names else names.index(column)
            if at in dtypes:
                raise
            dtypes[at] = _TOGETHER.get(frozenset(part.strip() for part in mixed[1].split(",")), "string")


def _plain(column: pa.Array) -> pa.Array:
    if pa.types.is_timestamp(column.type):
        return pc.cast(column, pa.timestamp("us"))
    if pa.types.is_duration(column.type):
        return pc.cast(column, pa.duration("us"))
    if pa.types.is_floating(column.type) and column.null_count < len(column):
        bounds = pc.min_max(column).as_py()
        whole = pc.all(pc.equal(pc.round(column), column), min_count=0).as_py()
        if whole and bounds["min"] > -(2**53) and bounds["max"] < 2**53:
            return pc.cast(column, pa.int64())
    return column
