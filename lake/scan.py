"""Reads the rows of a dataset version: pruned, deletes applied, in one schema, in order, in bounded memory."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING

import pyarrow as pa

from dataplat.errors import SchemaError
from dataplat.lake._part_open import open_part
from dataplat.lake._scan_remote import scan_far
from dataplat.lake._scan_unit import PART_COLUMN, ROW_COLUMN, Request, Unit, read_ahead, units, units_of
from dataplat.lake.deletes import load_deletes
from dataplat.lake.schema import did_you_mean, plain_schema

if TYPE_CHECKING:
    from dataplat.lake.objects import Objects
    from dataplat.lake.part import Part
    from dataplat.lake.where import Where

__all__ = ["PART_COLUMN", "ROW_COLUMN", "Unit", "project", "row_groups", "scan", "to_table"]


def scan(
    objects: Objects,
    parts: Sequence[Part],
    schema: pa.Schema,
    *,
    columns: Sequence[str] | None = None,
    where: Where | None = None,
    batch_rows: int | None = 65_536,
    with_positions: bool = False,
    threads: int = 2,
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of `parts` that count and match `where`, in order.

    Parts and row groups are skipped where exact statistics prove that no row matches. Columns that a part lacks are
    null, narrower types are widened to those of `schema`. Every page is checked by its CRC, every footer and
    every object from a remote store by its hash. `threads` row groups are read at once and as many more wait to be
    taken, so memory is bounded by four row groups (of 32 MB or less each); stopping early costs no more than
    these. With `threads` below 2 everything happens in the caller's thread.

    Of a store far away only the columns asked for are fetched, of the row groups that are read, and parts that are
    wanted nearly whole as a whole, through its cache; up to 16 parts and row groups ahead, in a budget of 128 MB each.

    Args:
        objects: Where the parts lie.
        parts: The parts, in the order of their rows.
        schema: The schema of the dataset; columns are found in parts by their stored names (`schema.stored_name`).
        columns: The columns to return, in this order; None is all of them.
        where: Rows to return; a null result is no match.
        batch_rows: The most rows of a batch; None leaves them as they are read (a row group at most).
        with_positions: Add `__dataplat_part` (uint32, index into `parts`) and `__dataplat_row` (uint32, position in that part).
        threads: How many row groups are decoded at once.

    Raises:
        SchemaError: A column is not in `schema`.
        IntegrityError: A part or its deletes are missing or damaged. No row of a damaged row group is returned.
    """
    request = Request(schema, project(schema, columns), where, batch_rows, with_positions)
    if threads > 1 and objects.at_once > 1:
        return scan_far(objects, parts, request, all_of_it=False)
    return read_ahead(units(objects, parts, request), threads)


def to_table(
    objects: Objects,
    parts: Sequence[Part],
    schema: pa.Schema,
    *,
    columns: Sequence[str] | None = None,
    where: Where | None = None,
    with_positions: bool = False,
    threads: int = 2,
) -> pa.Table:
    """Return the rows that `scan` yields as one table; it has the schema even where there are no rows."""
    request = Request(schema, project(schema, columns), where, None, with_positions)
    if threads > 1 and objects.at_once > 1:
        return pa.Table.from_batches(scan_far(objects, parts, request, all_of_it=True), request.result)
    return pa.Table.from_batches(read_ahead(units(objects, parts, request), threads), request.result)


def row_groups(
    objects: Objects,
    part: Part,
    schema: pa.Schema,
    columns: Sequence[str],
    *,
    dictionaries: Collection[str] = (),
    index: int = 0,
) -> Iterator[Unit]:
    """Yield the row groups of one part, each to be read when wanted (`Unit.read`), by any thread.

    Batches hold the `columns`, `__dataplat_part` (which is `index`) and `__dataplat_row`, as `scan` gives them. Texts among
    `dictionaries` are left as dictionary arrays where the part holds them so.

    Raises:
        SchemaError: A column is not in `schema`.
        IntegrityError: The part or its deletes are missing or damaged.
    """
    request = Request(
        schema, project(schema, columns), None, None, positions=True, dictionaries=frozenset(dictionaries)
    )
    return units_of(open_part(objects, part), load_deletes(objects, part), index, request)


def project(schema: pa.Schema, columns: Sequence[str] | None = None) -> pa.Schema:
    """Return the plain schema of these columns (None: all); raise `SchemaError` for one that is not there."""
    if columns is None:
        return plain_schema(schema)
    for name in columns:
        if name not in schema.names:
            raise SchemaError(f"no column {name!r}{did_you_mean(name, schema.names)}")
    return plain_schema(pa.schema([schema.field(name) for name in dict.fromkeys(columns)]))
