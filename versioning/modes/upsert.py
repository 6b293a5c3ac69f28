"""Upsert: rows replace those of the same key, and come on top where there is none.

What was is deleted by bitmaps on the old parts and what is comes as new parts, so the cost follows the rows
given. The content id stays pending, since it would need the old rows' values.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from dataplat.errors import KeyViolation
from dataplat.lake.row_index import KeySet
from dataplat.lake.scan import ROW_COLUMN, scan
from dataplat.versioning.manifest import ManifestEdit
from dataplat.versioning.modes._deletes import Deletions, add_deletes
from dataplat.versioning.modes._keys import IncomingKeys, find_keys
from dataplat.versioning.modes._outcome import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from dataplat.lake.part import Part
    from dataplat.versioning.modes._base import Base


class Upsert:
    """Writes batches as new parts and deletes the rows that they replace.

    With `last_wins` rows count in the order in which they come: of one key the last is kept. All rows are in memory then.
    """

    def __init__(self, base: Base, order: str | None = None, *, last_wins: bool = False) -> None:
        if not base.key:
            raise KeyViolation("upsert needs a key: name the key columns (--key COLS) when the dataset is first landed")
        self._base = base
        self._writer = base.part_writer()
        self._held: list[tuple[int, pa.RecordBatch]] | None = [] if last_wins else None
        self.keys = IncomingKeys(base.key, order, last_wins=last_wins)

    def write(self, batch: pa.RecordBatch) -> None:
        """Take a batch; raise `KeyViolation` for null keys."""
        if self._held is None:
            self._writer.write(batch)
        else:  # rows that a later one replaces are never written
            self._held.append((self.keys.rows, batch))
        self.keys.add(batch, self.keys.rows)

    def delete(self, keys: pa.RecordBatch) -> None:
        """Take the keys of rows that are gone, unless a row of that key comes later (with `last_wins`)."""
        self.keys.add(keys, self.keys.rows)

    def abandon(self) -> None:
        """Stop writing."""
        self._writer.abandon()

    def finish(self) -> Outcome:
        """Return the edit; raise `KeyViolation` for keys that repeat without an order column."""
        superseded = self.keys.superseded()
        if self._held is not None:
            self._write_held(superseded)
            superseded = superseded[:0]
        parts = self._writer.close()
        deletions = Deletions(self._base)
        for match in find_keys(self._base.objects, self._base.manifest.parts(), self._base.schema, self.keys):
            deletions.add(match.part, match.positions)
        deletes, drop, deleted = deletions.finish()
        kept = [part for part in self._without(parts, superseded) if part.live]
        added = sum(part.live for part in kept)
        digest = self._base.manifest.digest
        known = not deleted and not len(superseded)
        edit = ManifestEdit(
            add=tuple(kept), deletes=deletes, drop=drop, digest=self._base.grown(digest, kept) if known else None
        )
        return Outcome(edit, added, deleted)

    def _write_held(self, superseded: NDArray[np.int64]) -> None:
        """Write the rows that no later row or delete of their key replaces."""
        for start, batch in self._held or ():
            gone = superseded[(superseded >= start) & (superseded < start + batch.num_rows)] - start
            rows = np.delete(np.arange(batch.num_rows), gone)
            self._writer.write(batch.take(pa.array(rows)) if len(gone) else batch)

    def _without(self, parts: list[Part], rows: NDArray[np.int64]) -> list[Part]:
        """Delete input rows from the parts just written."""
        if not len(rows):
            return parts
        places = self._found_again(parts, rows) if self._base.sort else _in_order(parts, rows)
        return [
            add_deletes(self._base, part, inside) if len(inside) else part
            for part, inside in zip(parts, places, strict=True)
        ]

    def _found_again(self, parts: list[Part], rows: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
        """Yield where `rows` lie in each part, by key and order value: sorting has moved them."""
        values = self.keys.values.take(pa.array(rows)).combine_chunks()
        names = values.column_names
        losers = KeySet(values, names)
        for part in parts:
            batches = scan(self._base.objects, [part], self._base.schema, columns=names, with_positions=True)
            places = [batch.column(ROW_COLUMN).to_numpy()[losers.find(batch)[0]] for batch in batches]
            yield np.concatenate(places).astype(np.int64)


def _in_order(parts: list[Part], rows: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """Yield where `rows` lie in each part, which without a sort order holds rows as the input does."""
    start = 0
    for part in parts:
        yield rows[(rows >= start) & (rows < start + part.rows)] - start
        start += part.rows
