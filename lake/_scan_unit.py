"""One row group of a scan: pruned by its statistics, read, filtered, brought to the schema that was asked for."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dataplat.errors import IntegrityError, SchemaMismatch
from dataplat.lake._conform import conform_column
from dataplat.lake._part_open import OpenPart, open_part
from dataplat.lake._stats import first_leaves, group_stats
from dataplat.lake.deletes import live_mask, load_deletes
from dataplat.lake.schema import stored_name

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pyroaring import BitMap

    from dataplat.lake.objects import Objects
    from dataplat.lake.part import ColumnStats, Part
    from dataplat.lake.where import Where

PART_COLUMN: Final = "__dataplat_part"
ROW_COLUMN: Final = "__dataplat_row"


@dataclass(frozen=True, slots=True)
class Request:
    """What a scan returns: `schema` of the dataset (with stored names), the `output` columns, the rows of `where`.

    Columns of `dictionaries` come as dictionary arrays of the values that lie in the part, where a part has a dictionary
    of them: what is asked of each value need then be asked of few.
    """

    schema: pa.Schema
    output: pa.Schema
    where: Where | None
    batch_rows: int | None
    positions: bool
    dictionaries: frozenset[str] = frozenset()

    def stored(self, column: str) -> str:
        """Return the name under which parts hold a column."""
        return stored_name(self.schema.field(column))

    @property
    def result(self) -> pa.Schema:
        """The schema of the batches."""
        if not self.positions:
            return self.output
        return self.output.append(pa.field(PART_COLUMN, pa.uint32())).append(pa.field(ROW_COLUMN, pa.uint32()))


@dataclass(frozen=True, slots=True)
class Unit:
    """One row group to read: `start` is the position of its first row in the part."""

    request: Request
    opened: OpenPart
    deletes: BitMap
    part_index: int
    row_group: int
    start: int
    rows: int

    def read(self) -> list[pa.RecordBatch]:
        """Return the rows that count and match, in order."""
        request, keep = self.request, None
        known: dict[str, pa.ChunkedArray] = {}
        if self.deletes.range_cardinality(self.start, self.start + self.rows):
            keep = pa.array(live_mask(self.deletes, self.start, self.start + self.rows))
            if not keep.true_count:
                return []
        if request.where is not None:
            known = self._columns([request.schema.field(name) for name in request.where.columns])
            matching = self._matching(known)
            keep = matching if keep is None else pc.and_(keep, matching)
            if not keep.true_count:
                return []
        if keep is not None and keep.true_count == self.rows:
            keep = None
        if keep is not None:
            known = {name: column.filter(keep) for name, column in known.items() if name in request.output.names}
        columns = known | self._columns([field for field in request.output if field.name not in known], keep)
        return self._batches(columns, keep)

    @property
    def stats(self) -> dict[str, ColumnStats]:
        """What the footer states of the columns asked for, by their names; exact, of the rows as written."""
        stored = {field.name: self.request.stored(field.name) for field in self.request.output}
        at = first_leaves(self.opened.schema)
        group = self.opened.metadata.row_group(self.row_group)
        return group_stats(self.opened.part, self.opened.schema, group, at, stored)

    def only(self, columns: Collection[str]) -> Unit:
        """Return the same rows, of these of its columns alone."""
        output = pa.schema([field for field in self.request.output if field.name in columns])
        return replace(self, request=replace(self.request, output=output))

    def dictionary(self, column: str) -> pa.StringArray | None:
        """Return the texts that a column may hold beside null, or None where only its rows tell."""
        stored, there = self.request.stored(column), self.opened.schema
        if stored not in there.names or not pa.types.is_string(there.field(stored).type):
            return None
        return self.opened.dictionary(self.row_group, stored)

    def _matching(self, known: dict[str, pa.ChunkedArray]) -> pa.BooleanArray:
        where = self.request.where
        assert where is not None
        if not known:
            return pa.repeat(pa.scalar(where.constant()), self.rows)
        return where.mask(pa.table(known))

    def _columns(self, fields: Sequence[pa.Field], keep: pa.BooleanArray | None = None) -> dict[str, pa.ChunkedArray]:
        """Read columns as the schema of the dataset has them: widened, or null where the part is older."""
        if not fields:
            return {}
        there = set(self.opened.schema.names)
        stored = {field.name: self.request.stored(field.name) for field in fields}
        encoded = frozenset(stored[name] for name in self.request.dictionaries & stored.keys())
        table = self.opened.read(self.row_group, [name for name in stored.values() if name in there], keep, encoded)
        rows = self.rows if keep is None else keep.true_count
        return {field.name: self._column(table, field, stored[field.name], rows) for field in fields}

    def _column(self, table: pa.Table, field: pa.Field, stored: str, rows: int) -> pa.ChunkedArray:
        if stored not in table.schema.names:
            return pa.chunked_array([pa.nulls(rows, field.type)])
        column = table.column(stored)
        if column.type == field.type or (pa.types.is_dictionary(column.type) and column.type.value_type == field.type):
            return column
        try:
            return conform_column(column, pa.field(field.name, field.type))
        except SchemaMismatch as error:
            raise IntegrityError(
                f"part {self.opened.part.id} does not fit the schema of its dataset: {error}"
            ) from error

    def _batches(self, columns: dict[str, pa.ChunkedArray], keep: pa.BooleanArray | None) -> list[pa.RecordBatch]:
        """Return the columns, of the rows that were kept, as batches."""
        request = self.request
        arrays: list[pa.ChunkedArray | pa.Array] = [columns[field.name] for field in request.output]
        if request.positions:
            rows = self._positions(keep)
            arrays.append(_repeated(self.part_index, len(rows)))
            arrays.append(pa.array(rows))
        if not arrays:
            return _bare(self.rows if keep is None else keep.true_count, request.batch_rows)
        kinds = (field.with_type(array.type) for field, array in zip(request.result, arrays, strict=True))
        table = pa.Table.from_arrays(arrays, schema=pa.schema(kinds) if request.dictionaries else request.result)
        return table.to_batches(max_chunksize=request.batch_rows)  # type: ignore[no-any-return]

    def _positions(self, keep: pa.BooleanArray | None) -> NDArray[np.uint32]:
        """Return where the rows lie in the part."""
        if keep is None:
            return np.arange(self.start, self.start + self.rows, dtype=np.uint32)
        kept: NDArray[np.uint64] = pc.indices_nonzero(keep).to_numpy()
        return (kept + np.uint64(self.start)).astype(np.uint32)


@lru_cache(maxsize=4)  # the row groups of a part are mostly of one length, and threads read one each
def _repeated(value: int, rows: int) -> pa.Array:
    return pa.array(np.full(rows, value, np.uint32))


def _bare(rows: int, batch_rows: int | None) -> list[pa.RecordBatch]:
    """Return batches without columns, which only count rows."""
    step = batch_rows or rows
    whole = pa.RecordBatch.from_struct_array(pa.StructArray.from_buffers(pa.struct([]), rows, [None]))
    return [whole.slice(start, step) for start in range(0, rows, step)] if rows else []


def units(objects: Objects, parts: Sequence[Part], request: Request) -> Iterator[Unit]:
    """Yield what has to be read, opening each part when its turn comes; parts and row groups are pruned."""
    types = {field.name: field.type for field in request.schema}
    for index, part in enumerate(parts):
        if worth_opening(part, request, types):
            opened, deletes = open_part(objects, part), load_deletes(objects, part)
            yield from units_of(opened, deletes, index, request)


def worth_opening(part: Part, request: Request, types: Mapping[str, pa.DataType]) -> bool:
    """Return whether rows of a part may count and match, as far as the manifest can tell."""
    return part.live > 0 and (request.where is None or request.where.may_match(part.stats, part.rows, types))


def units_of(opened: OpenPart, deletes: BitMap, index: int, request: Request) -> Iterator[Unit]:
    """Yield the row groups of a part that have to be read."""
    start = 0
    at = first_leaves(opened.schema) if request.where is not None else {}
    for number in range(opened.row_groups):
        group = opened.metadata.row_group(number)
        if request.where is None or _may_match(opened, group, at, request):
            yield Unit(request, opened, deletes, index, number, start, group.num_rows)
        start += group.num_rows


def _may_match(opened: OpenPart, group: object, at: dict[str, int], request: Request) -> bool:
    where = request.where
    assert where is not None
    stored = {name: request.stored(name) for name in where.columns}
    stats = group_stats(opened.part, opened.schema, group, at, stored)
    types = {name: opened.schema.field(stored[name]).type for name in stats}
    return where.may_match(stats, group.num_rows, types)  # type: ignore[attr-defined]


def read_ahead(todo: Iterator[Unit], threads: int) -> Iterator[pa.RecordBatch]:
    """Yield the batches of the units, read a few ahead of the one whose batches are being taken."""
    first = list(islice(todo, 2)) if threads > 1 else []
    if threads <= 1 or len(first) <= 1:
        for unit in (*first, *todo):
            yield from unit.read()
        return
    pool = ThreadPoolExecutor(threads, thread_name_prefix="dataplat-scan")
    ahead: deque[Future[list[pa.RecordBatch]]] = deque(pool.submit(unit.read) for unit in first)
    try:
        while ahead:
            ahead.extend(pool.submit(unit.read) for unit in islice(todo, 2 * threads - len(ahead)))
            yield from ahead.popleft().result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
