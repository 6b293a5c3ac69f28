"""Rows chosen by part and position: the currency in which a merge counts, reads and moves rows."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from pyroaring import BitMap

from dataplat.lake.content_id import key_digests
from dataplat.lake.schema import plain_schema
from dataplat.lake.take import rows_at

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from dataplat.lake.objects import Objects
    from dataplat.lake.part import Part

    Rows = NDArray[np.int64]
    Digests = NDArray[np.uint64]


@dataclass(frozen=True)
class Selection:
    """Rows of parts. Row number i is the i-th position, counted through the pieces in order."""

    pieces: tuple[tuple[Part, BitMap], ...] = ()

    @classmethod
    def of(cls, pieces: Iterable[tuple[Part, BitMap]]) -> Selection:
        """Return the selection of those pieces that hold a row."""
        return cls(tuple((part, rows) for part, rows in pieces if rows))

    @cached_property
    def _ends(self) -> Rows:
        return np.cumsum([len(rows) for _, rows in self.pieces], dtype=np.int64)

    def __len__(self) -> int:
        return int(self._ends[-1]) if self.pieces else 0

    def read(self, objects: Objects, schema: pa.Schema, columns: Sequence[str] | None = None) -> pa.Table:
        """Return the rows as `schema` has them, in order."""
        shown = plain_schema(schema)
        shown = shown if columns is None else pa.schema([shown.field(name) for name in columns])
        return pa.Table.from_batches(rows_at(objects, self.pieces, schema, columns), shown)

    def digests(self, objects: Objects, schema: pa.Schema, columns: Sequence[str]) -> Digests:
        """Return the digests of the rows' values in `columns`, shape (rows, 2)."""
        batches = rows_at(objects, self.pieces, schema, columns)
        found = [key_digests(batch, columns) for batch in batches]
        return np.concatenate(found) if found else np.empty((0, 2), np.uint64)

    def take(self, objects: Objects, schema: pa.Schema, rows: Rows, columns: Sequence[str] | None = None) -> pa.Table:
        """Return the rows of these numbers, in this order; −1 gives a row of nulls."""
        wanted, where = np.unique(rows, return_inverse=True)
        if len(wanted) and wanted[0] < 0:
            wanted, where = wanted[1:], where - 1
        table = self.subset(wanted).read(objects, schema, columns)
        nullable = pa.schema([field.with_nullable(True) for field in table.schema])
        indices = pa.array(where.astype(np.int64), mask=where < 0)
        return pa.Table.from_arrays([column.take(indices) for column in table.columns], schema=nullable)

    def subset(self, rows: Rows) -> Selection:
        """Return the selection of the rows of these numbers, which ascend."""
        return Selection.of(self._cut(rows))

    def _cut(self, rows: Rows) -> Iterator[tuple[Part, BitMap]]:
        cuts = np.searchsorted(rows, self._ends)
        first = start = 0
        for (part, positions), cut, end in zip(self.pieces, cuts.tolist(), self._ends.tolist(), strict=True):
            if cut - first == len(positions):
                yield part, positions
            elif cut > first:
                yield part, BitMap(np.asarray(positions.to_array())[rows[first:cut] - start])
            first, start = cut, end

    def without(self, rows: Rows) -> Selection:
        """Return the selection less the rows of these numbers, which ascend."""
        gone = {id(part): positions for part, positions in self.subset(rows).pieces}
        return Selection.of((part, positions - gone.get(id(part), BitMap())) for part, positions in self.pieces)
