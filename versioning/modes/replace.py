"""Replace: the rows given *are* the dataset, or its slice under a predicate; only the difference lands.

Rows that are there already, by their row digest, stay where they lie; rows that are new become new parts; rows
that were not given again are deleted by bitmaps. So a full dump with few changes costs few bytes, and the same
rows in another order or file split cost none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from dataplat.errors import PredicateError
from dataplat.lake.content_id import row_digests
from dataplat.lake.digest import Digest
from dataplat.lake.row_index import RowIndex
from dataplat.lake.scan import ROW_COLUMN, scan
from dataplat.versioning.manifest import ManifestEdit
from dataplat.versioning.modes._deletes import Deletions
from dataplat.versioning.modes._keys import REPLACE_HINT, IncomingKeys, refuse_existing
from dataplat.versioning.modes._outcome import Outcome
from dataplat.versioning.modes._types import holds

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from dataplat.lake.part import Part
    from dataplat.lake.where import Where
    from dataplat.versioning.modes._base import Base


class Replace:
    """Writes what is new, and deletes what was not given again.

    With `where`, only the rows that it selects are replaced, and every row given must be selected by it.
    Where the schema loses a column, or gives one another kind of type, no row stays: a part that is kept would hold
    values that do not fit the schema, and hinder every later one.
    """

    def __init__(self, base: Base, where: Where | None = None, order: str | None = None) -> None:
        self._base = base
        self._where = where
        self._writer = base.part_writer()
        self._digest = Digest()
        self._rows = 0
        self.keys = IncomingKeys(base.key, order) if base.key else None
        self._keys_held = base.key == base.manifest.key  # then rows that are there already need no look at theirs
        self._stays = keeps_rows(base.manifest.schema, base.schema)
        self._here = _RowsHere(base, where, base.manifest.parts() if self._stays else [])

    def write(self, batch: pa.RecordBatch) -> None:
        """Take a batch; raise `PredicateError` for rows outside the slice, `KeyViolation` for null keys."""
        if self._where is not None:
            self._refuse_outside(batch, self._where)
        start = self._rows
        self._rows += batch.num_rows
        if not self._here.rows:
            self._write(batch, start)
            return
        digests = row_digests(batch)
        self._digest += _total(digests)
        new = np.flatnonzero(self._here.match(digests) < 0)
        if not self._keys_held and self.keys is not None:
            self.keys.add(batch, start)
        if len(new):
            self._write(batch if len(new) == batch.num_rows else batch.take(pa.array(new)), start + new)

    def _write(self, batch: pa.RecordBatch, rows: int | NDArray[np.int64]) -> None:
        if self.keys is not None and (self._keys_held or not self._here.rows):
            self.keys.add(batch, rows)
        self._writer.write(batch)

    def abandon(self) -> None:
        """Stop writing."""
        self._writer.abandon()

    def finish(self) -> Outcome:
        """Return the edit; raise `KeyViolation` for keys that repeat, among the rows given or with rows that stay."""
        parts = self._writer.close()
        deletions = Deletions(self._base)
        for part, positions in self._here.unmatched():
            deletions.add(part, positions)
        deletes, drop, deleted = deletions.finish()
        if not self._stays:
            drop, deleted = tuple(part.place for part in self._base.manifest.parts()), self._base.manifest.rows
        edit = ManifestEdit(add=tuple(parts), deletes=deletes, drop=drop, digest=self._new_digest(parts))
        if self.keys is not None:
            self.keys.superseded()
            if self._keys_held:
                refuse_existing(self._base.objects, self._staying(edit), self._base.schema, self.keys, REPLACE_HINT)
        return Outcome(edit, sum(part.rows for part in parts), deleted)

    def _staying(self, edit: ManifestEdit) -> list[Part]:
        """Return the parts of the base with the rows that stay."""
        gone = set(edit.drop)
        return [
            part.with_deletes(*edit.deletes[part.place]) if part.place in edit.deletes else part
            for part in self._base.manifest.parts()
            if part.place not in gone
        ]

    def _new_digest(self, parts: list[Part]) -> Digest | None:
        if not self._here.rows:
            return self._base.grown(self._base.manifest.digest if self._where is not None else Digest(), parts)
        if self._where is None:
            return self._digest
        whole = self._base.manifest.digest
        return None if whole is None else whole - self._here.digest + self._digest

    def _refuse_outside(self, batch: pa.RecordBatch, where: Where) -> None:
        mask = where.mask(batch)
        if mask.true_count != batch.num_rows:
            first = self._rows + mask.index(pa.scalar(value=False)).as_py()
            message = (
                f"{batch.num_rows - mask.true_count:,} input rows lie outside the slice that is replaced "
                f"({where.text}); the first is input row {first + 1:,}. "
                "Filter the input, or widen --where."
            )
            raise PredicateError(message)


class _RowsHere:
    """The live rows of the base (or of its slice) by digest: 17 bytes a row, and 4 for where each lies."""

    def __init__(self, base: Base, where: Where | None, parts: list[Part]) -> None:
        self._parts = parts
        self._places: list[tuple[int, NDArray[np.uint32]]] = []
        self.digest = Digest()
        blocks: Iterable[NDArray[np.uint64]] = self._digests(base, where)
        self.rows = sum(part.live for part in parts)
        if where is not None:
            blocks = list(blocks)
            self.rows = sum(map(len, blocks))
        self._index = RowIndex(blocks, self.rows)

    def _digests(self, base: Base, where: Where | None) -> Iterator[NDArray[np.uint64]]:
        names = base.manifest.schema.names
        schema = base.manifest.schema if where is None else base.schema  # `where` may name columns that come now
        for number, part in enumerate(self._parts):
            for batch in scan(base.objects, [part], schema, columns=names, where=where, with_positions=True):
                self._places.append((number, batch.column(ROW_COLUMN).to_numpy()))
                digests = row_digests(batch.select(names))
                self.digest += _total(digests)
                yield digests

    def match(self, digests: NDArray[np.uint64]) -> NDArray[np.int64]:
        """Return for each incoming row the base row that it is, or -1; each base row is taken once."""
        return self._index.match(digests)

    def unmatched(self) -> list[tuple[Part, NDArray[np.int64]]]:
        """Return the base rows that were not given again, by part."""
        if not self.rows:
            return []
        missing = np.zeros(self.rows, bool)
        missing[self._index.unmatched()] = True
        result, start = [], 0
        for number, rows in self._places:
            inside = missing[start : start + len(rows)]
            result.append((self._parts[number], rows[inside].astype(np.int64)))
            start += len(rows)
        return result


def keeps_rows(before: pa.Schema, after: pa.Schema) -> bool:
    """Return whether parts of `before` can be read as `after`: it has all their columns, and holds all their values."""
    types = {field.name: field.type for field in after}
    return all(field.name in types and holds(types[field.name], field.type) for field in before)


def _total(digests: NDArray[np.uint64]) -> Digest:
    lanes = digests.sum(axis=0, dtype=np.uint64)
    return Digest(len(digests), int(lanes[0]), int(lanes[1]))
