"""Rows of parts by position: those written, those deleted, those that went between two versions, or any that are asked for.

Only the row groups that hold such a row are read, two at a time.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from pyroaring import BitMap

from dataplat.lake._part_open import TAIL, OpenPart, open_part
from dataplat.lake._scan_remote import read_far
from dataplat.lake._scan_unit import Request, Unit, read_ahead
from dataplat.lake.deletes import load_deletes
from dataplat.lake.scan import project, scan
from dataplat.lake.stores import concurrency_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import pyarrow as pa

    from dataplat.lake.objects import Objects
    from dataplat.lake.part import Part

_THREADS: Final = 2


def rows_at(
    objects: Objects, pieces: Iterable[tuple[Part, BitMap]], schema: pa.Schema, columns: Sequence[str] | None = None
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of each part at the given positions, deleted or not, in order, projected to `schema`.

    Args:
        objects: Where the parts lie.
        pieces: Parts, each with the positions to read in it.
        schema: The schema of the dataset, with stored names.
        columns: The columns to return; None is all of them.

    Raises:
        IntegrityError: A part is missing or damaged.
    """
    request = Request(schema, project(schema, columns), None, None, positions=False)
    if objects.at_once > 1:
        return read_far(
            (partial(_opened_at, objects, part, wanted, request), TAIL) for part, wanted in pieces if wanted
        )
    opened = ((open_part(objects, part), wanted) for part, wanted in pieces if wanted)
    return _read(objects, opened, request)


def written_rows(objects: Objects, part: Part) -> Iterator[pa.RecordBatch]:
    """Yield all rows of `part` as it was written, deleted or not, with the columns that it was written with."""
    whole = part.with_deletes(None, 0)
    return scan(objects, [whole], open_part(objects, whole).schema)


def deleted_rows(objects: Objects, part: Part, schema: pa.Schema | None = None) -> Iterator[pa.RecordBatch]:
    """Yield the rows of `part` that no longer count, projected to `schema`, else with the columns as written."""
    opened = open_part(objects, part)
    schema = opened.schema if schema is None else schema
    request = Request(schema, project(schema), None, None, positions=False)
    return _read(objects, [(opened, load_deletes(objects, part))], request)


def positions_deleted_between(objects: Objects, part: Part, later: Part) -> BitMap:
    """Return the positions that count in `part` and no longer in `later`, the same object with other deletes."""
    return load_deletes(objects, later) - load_deletes(objects, part)


def rows_deleted_between(
    objects: Objects, pairs: Iterable[tuple[Part, Part]], schema: pa.Schema
) -> Iterator[pa.RecordBatch]:
    """Yield, of each (part, the same object with other deletes), the rows that count in it and no longer in the later."""
    return rows_at(objects, ((part, positions_deleted_between(objects, part, later)) for part, later in pairs), schema)


def _read(objects: Objects, pieces: Iterable[tuple[OpenPart, BitMap]], request: Request) -> Iterator[pa.RecordBatch]:
    todo = (unit for opened, wanted in pieces for unit in _units_at(opened, wanted, request))
    return read_ahead(todo, min(_THREADS, concurrency_of(objects.store)))


def _opened_at(objects: Objects, part: Part, wanted: BitMap, request: Request) -> list[Unit]:
    return list(_units_at(open_part(objects, part), wanted, request))


def _units_at(opened: OpenPart, wanted: BitMap, request: Request) -> Iterator[Unit]:
    """Yield the row groups that hold a row at one of the positions `wanted`."""
    start = 0
    for number in range(opened.row_groups):
        rows = opened.metadata.row_group(number).num_rows
        if wanted.range_cardinality(start, start + rows):
            unwanted = BitMap(range(start, start + rows)) - wanted
            yield Unit(request, opened, unwanted, 0, number, start, rows)
        start += rows
