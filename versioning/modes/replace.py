"""Replace: the rows given *are* the dataset, or its slice under a predicate; only the difference lands.

Rows that are there already, by their row digest, stay where they lie; rows that are new become new parts; rows
that were not given again are deleted by bitmaps. So a full dump with few changes costs few bytes, and the same
rows in another order or file split cost none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

from dataplat.errors import PredicateError
from dataplat.lake.content_id import row_digests
from dataplat.lake.digest import Digest
from dataplat.lake.row_index import RowIndex
from dataplat.lake.scan import scan
from dataplat.versioning.manifest import ManifestEdit
from dataplat.versioning.modes._deletes import Deletions
from dataplat.versioning.modes._in_order import Block, InOrder
from dataplat.versioning.modes._keys import REPLACE_HINT, IncomingKeys, refuse_existing
from dataplat.versioning.modes._outcome import Outcome
from dataplat.versioning.modes._types import holds

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from dataplat.lake.part import Part
    from dataplat.lake.where import Where
    from dataplat.versioning.modes._base import Base


_WAITING: Final = 64 << 20  # bytes of rows out of order


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
        self._parts = base.manifest.parts() if self._stays else []
        self._here: _RowsHere | None = None
        self._in_order: InOrder | None = None
        self._waiting: list[tuple[pa.RecordBatch, NDArray[np.int64]]] = []
        self._waiting_bytes = 0
        if self._parts and base.manifest.digest is not None:  # else the new digest needs that of every row
            self._in_order = InOrder(self._scan(), base.schema.names)
        else:
            self._here = _RowsHere(self._parts, InOrder(self._scan(), base.schema.names).rest())

    def write(self, batch: pa.RecordBatch) -> None:
        """Take a batch; raise `PredicateError` for rows outside the slice, `KeyViolation` for null keys."""
        if self._where is not None:
            self._refuse_outside(batch, self._where)
        start = self._rows
        self._rows += batch.num_rows
        if self._parts and not self._keys_held and self.keys is not None:
            self.keys.add(batch, start)
        if self._in_order is None:
            self._match(batch, start + np.arange(batch.num_rows))
            return
        missed = self._in_order.take(batch)
        if len(missed):
            self._wait(batch if len(missed) == batch.num_rows else batch.take(pa.array(missed)), start + missed)

    def _wait(self, batch: pa.RecordBatch, rows: NDArray[np.int64]) -> None:
        """Keep rows that do not lie in order until it is known which rows of the base are left."""
        self._waiting.append((batch, rows))
        self._waiting_bytes += batch.nbytes
        if self._waiting_bytes > _WAITING or (self._in_order is not None and self._in_order.lost):
            self._settle()

    def _settle(self) -> None:
        """Give up the order: what is left of the base goes to an index, and what waits is looked up there."""
        if self._in_order is not None:
            self._here = _RowsHere(self._parts, self._in_order.rest())
            self._in_order = None
        waiting, self._waiting = self._waiting, []
        for batch, rows in waiting:
            self._match(batch, rows)

    def _match(self, batch: pa.RecordBatch, rows: NDArray[np.int64]) -> None:
        assert self._here is not None
        if not self._parts:
            self._write(batch, rows)
            return
        digests = row_digests(batch)
        self._digest += _total(digests)
        new = np.flatnonzero(self._here.match(digests) < 0)
        if len(new):
            self._write(batch if len(new) == batch.num_rows else batch.take(pa.array(new)), rows[new])

    def _scan(self) -> Iterator[pa.RecordBatch]:
        base, where = self._base, self._where
        names = base.schema.names
        return scan(
            base.objects, self._parts, base.schema, columns=names, where=where, with_positions=True, batch_rows=None
        )

    def _write(self, batch: pa.RecordBatch, rows: int | NDArray[np.int64]) -> None:
        if self.keys is not None and (self._keys_held or not self._parts):
            self.keys.add(batch, rows)
        self._writer.write(batch)

    def abandon(self) -> None:
        """Stop writing."""
        if self._in_order is not None:
            self._in_order.close()
        self._writer.abandon()

    def finish(self) -> Outcome:
        """Return the edit; raise `KeyViolation` for keys that repeat, among the rows given or with rows that stay."""
        self._settle()
        assert self._here is not None
        parts = self._writer.close()
        deletions = Deletions(self._base)
        for part, positions in self._here.unmatched():
            deletions.add(part, positions)
        deletes, drop, deleted = deletions.finish()
        if not self._stays:
            drop, deleted = tuple(part.place for part in self._base.manifest.parts()), self._base.manifest.rows
        edit = ManifestEdit(add=tuple(parts), deletes=deletes, drop=drop, digest=self._new_digest(parts, self._here))
        if self.keys is not None:
            self.keys.superseded()
            if self._keys_held:
                refuse_existing(
                    self._base.objects, staying(self._base, edit), self._base.schema, self.keys, REPLACE_HINT
                )
        return Outcome(edit, sum(part.rows for part in parts), deleted)

    def _new_digest(self, parts: list[Part], here: _RowsHere) -> Digest | None:
        """Return the digest of all rows: what the index held went, and what was looked up in it came."""
        whole = self._base.manifest.digest
        if not self._parts:
            return self._base.grown(whole if self._where is not None else Digest(), parts)
        if whole is not None:
            return whole - here.digest + self._digest
        return self._digest if self._where is None else None

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
    """Rows of the base by digest: 17 bytes a row, and 4 for where each lies."""

    def __init__(self, parts: Sequence[Part], blocks: Iterator[Block]) -> None:
        self._parts = parts
        self._places: list[tuple[int, NDArray[np.uint32]]] = []
        self.digest = Digest()
        digests = []
        for block in blocks:
            self._places.append((block.part, block.places))
            self.digest += _total(block.digests)
            digests.append(block.digests)
        self.rows = sum(map(len, digests))
        digests.reverse()
        self._index = RowIndex((digests.pop() for _ in range(len(digests))), self.rows)

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


def staying(base: Base, edit: ManifestEdit) -> list[Part]:
    """Return the parts of a base, with the rows of them that stay after an edit."""
    gone = set(edit.drop)
    return [
        part.with_deletes(*edit.deletes[part.place]) if part.place in edit.deletes else part
        for part in base.manifest.parts()
        if part.place not in gone
    ]


def keeps_rows(before: pa.Schema, after: pa.Schema) -> bool:
    """Return whether parts of `before` can be read as `after`: it has all their columns, and holds all their values."""
    types = {field.name: field.type for field in after}
    return all(field.name in types and holds(types[field.name], field.type) for field in before)


def _total(digests: NDArray[np.uint64]) -> Digest:
    lanes = digests.sum(axis=0, dtype=np.uint64)
    return Digest(len(digests), int(lanes[0]), int(lanes[1]))
