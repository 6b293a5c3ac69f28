"""Upsert: rows replace those of the same key, and come on top where there is none.

What was is deleted by bitmaps on the old parts and what is comes as new parts, so the cost follows the rows
given. The content id stays pending, since it would need the old rows' values.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dataplat.errors import KeyViolation
from dataplat.versioning.manifest import ManifestEdit
from dataplat.versioning.modes._deletes import Deletions, add_deletes
from dataplat.versioning.modes._keys import IncomingKeys, find_keys
from dataplat.versioning.modes._outcome import Outcome
from dataplat.versioning.modes.append import grown

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from dataplat.lake.part import Part
    from dataplat.versioning.modes._base import Base


class Upsert:
    """Writes batches as new parts and deletes the rows that they replace."""

    def __init__(self, base: Base, order: str | None = None) -> None:
        if not base.key:
            raise KeyViolation("upsert needs a key: name the key columns (--key COLS) when the dataset is first landed")
        self._base = base
        self._writer = base.part_writer()
        self.keys = IncomingKeys(base.key, order)

    def write(self, batch: pa.RecordBatch) -> None:
        """Take a batch; raise `KeyViolation` for null keys."""
        self.keys.add(batch, self.keys.rows)
        self._writer.write(batch)

    def finish(self) -> Outcome:
        """Return the edit; raise `KeyViolation` for keys that repeat without an order column."""
        parts = self._writer.close()
        superseded = self.keys.superseded()
        deletions = Deletions(self._base)
        for match in find_keys(self._base.objects, self._base.manifest.parts(), self._base.schema, self.keys):
            deletions.add(match.part, match.positions)
        deletes, drop, deleted = deletions.finish()
        kept = [part for part in self._without(parts, superseded) if part.live]
        added = sum(part.live for part in kept)
        digest = self._base.manifest.digest
        known = not deleted and not len(superseded)
        edit = ManifestEdit(add=tuple(kept), deletes=deletes, drop=drop, digest=grown(digest, kept) if known else None)
        return Outcome(edit, added, deleted)

    def _without(self, parts: list[Part], rows: NDArray[np.int64]) -> list[Part]:
        """Delete input rows from the parts just written, which hold them in input order."""
        if not len(rows):
            return parts
        starts = np.cumsum([0, *(part.rows for part in parts)])
        edited = []
        for part, start in zip(parts, starts, strict=False):
            inside = rows[(rows >= start) & (rows < start + part.rows)] - start
            edited.append(add_deletes(self._base, part, inside) if len(inside) else part)
        return edited
