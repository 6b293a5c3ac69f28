"""Rows by position: a few rows of many parts, of which only the row groups that hold one are read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyroaring import BitMap

from dataplat.lake._part_open import open_part
from dataplat.lake._scan_unit import Request, Unit
from dataplat.lake.scan import _run
from dataplat.lake.schema import plain_schema

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import pyarrow as pa

    from dataplat.lake.objects import Objects
    from dataplat.lake.part import Part


def rows_at(
    objects: Objects,
    pieces: Iterable[tuple[Part, BitMap]],
    schema: pa.Schema,
    columns: Sequence[str] | None = None,
    *,
    threads: int = 2,
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of each part at the given positions, deleted or not, in order, projected to `schema`.

    Args:
        objects: Where the parts lie.
        pieces: Parts, each with the positions to read in it.
        schema: The schema of the dataset, with stored names.
        columns: The columns to return; None is all of them.
        threads: How many row groups are decoded at once.

    Raises:
        IntegrityError: A part is missing or damaged.
    """
    output = plain_schema(schema)
    if columns is not None:
        import pyarrow as pa

        output = pa.schema([output.field(name) for name in columns])
    return _run(_units(objects, pieces, Request(schema, output, None, None, positions=False)), threads)


def _units(objects: Objects, pieces: Iterable[tuple[Part, BitMap]], request: Request) -> Iterator[Unit]:
    for part, wanted in pieces:
        if not wanted:
            continue
        opened, start = open_part(objects, part), 0
        for number in range(opened.row_groups):
            rows = opened.metadata.row_group(number).num_rows
            if wanted.range_cardinality(start, start + rows):
                unwanted = BitMap(range(start, start + rows)) - wanted
                yield Unit(request, opened, unwanted, 0, number, start, rows)
            start += rows
