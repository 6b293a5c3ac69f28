"""Rows of a part: all that were written, those that count, those that were deleted, or between two versions."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

from pyroaring import BitMap

from dataplat.lake._part_open import OpenPart, open_part
from dataplat.lake._scan_unit import Request, Unit
from dataplat.lake.deletes import load_deletes
from dataplat.lake.scan import scan
from dataplat.lake.schema import plain_schema
from dataplat.lake.stores import concurrency_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import pyarrow as pa

    from dataplat.lake.objects import Objects
    from dataplat.lake.part import Part

_THREADS: Final = 2  # row groups decoded at once


def live_rows(objects: Objects, part: Part, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """Yield the rows of `part` that count, projected to `schema`."""
    return scan(objects, [part], schema)


def written_rows(objects: Objects, part: Part) -> Iterator[pa.RecordBatch]:
    """Yield all rows of `part` as it was written, deleted or not, with the columns that it was written with."""
    whole = part.with_deletes(None, 0)
    return scan(objects, [whole], open_part(objects, whole).schema)


def deleted_rows(objects: Objects, part: Part, schema: pa.Schema | None = None) -> Iterator[pa.RecordBatch]:
    """Yield the rows of `part` that no longer count, projected to `schema`, else with the columns as written."""
    opened = open_part(objects, part)
    return _rows_at(opened, load_deletes(objects, part), opened.schema if schema is None else schema)


def positions_deleted_between(objects: Objects, part: Part, later: Part) -> BitMap:
    """Return the positions that count in `part` and no longer in `later`, the same object with other deletes."""
    return load_deletes(objects, later) - load_deletes(objects, part)


def rows_deleted_between(
    objects: Objects, pairs: Iterable[tuple[Part, Part]], schema: pa.Schema
) -> Iterator[pa.RecordBatch]:
    """Yield, of each (part, the same object with other deletes), the rows that count in it and no longer in the later.

    They are projected to `schema`. Row groups are decoded two at a time, and only those that hold such a row.
    """
    request = Request(schema, plain_schema(schema), None, None, positions=False)

    def todo() -> Iterator[Unit]:
        for part, later in pairs:
            positions = positions_deleted_between(objects, part, later)
            if positions:
                yield from _units_at(open_part(objects, part), positions, request)

    return _read(todo(), min(_THREADS, concurrency_of(objects.store)))


def _read(units: Iterator[Unit], threads: int) -> Iterator[pa.RecordBatch]:
    if threads < 2:
        for unit in units:
            yield from unit.read()
        return
    with ThreadPoolExecutor(threads, thread_name_prefix="dataplat-take") as pool:
        ahead: deque[Future[list[pa.RecordBatch]]] = deque()
        for unit in units:
            ahead.append(pool.submit(unit.read))
            if len(ahead) > 2 * threads:
                yield from ahead.popleft().result()
        while ahead:
            yield from ahead.popleft().result()


def _rows_at(opened: OpenPart, wanted: BitMap, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """Yield the rows at the positions `wanted`; row groups without any are not read."""
    request = Request(schema, plain_schema(schema), None, None, positions=False)
    for unit in _units_at(opened, wanted, request):
        yield from unit.read()


def _units_at(opened: OpenPart, wanted: BitMap, request: Request) -> Iterator[Unit]:
    start = 0
    for number in range(opened.row_groups):
        rows = opened.metadata.row_group(number).num_rows
        if wanted.range_cardinality(start, start + rows):
            unwanted = BitMap(range(start, start + rows)) - wanted
            yield Unit(request, opened, unwanted, 0, number, start, rows)
        start += rows
