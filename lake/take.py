"""Rows of a part: all that were written, those that count, those that were deleted, or between two versions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyroaring import BitMap

from dataplat.lake._part_open import OpenPart, open_part
from dataplat.lake._scan_unit import Request, Unit
from dataplat.lake.deletes import load_deletes
from dataplat.lake.scan import scan
from dataplat.lake.schema import plain_schema

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

    from dataplat.lake.objects import Objects
    from dataplat.lake.part import Part


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


def rows_deleted_between(objects: Objects, part: Part, later: Part, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """Yield the rows that count in `part` and no longer in `later`, projected to `schema`."""
    return _rows_at(open_part(objects, part), positions_deleted_between(objects, part, later), schema)


def _rows_at(opened: OpenPart, wanted: BitMap, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """Yield the rows at the positions `wanted`; row groups without any are not read."""
    request = Request(schema, plain_schema(schema), None, None, positions=False)
    start = 0
    for number in range(opened.row_groups):
        rows = opened.metadata.row_group(number).num_rows
        if wanted.range_cardinality(start, start + rows):
            unwanted = BitMap(range(start, start + rows)) - wanted
            yield from Unit(request, opened, unwanted, 0, number, start, rows).read()
        start += rows
