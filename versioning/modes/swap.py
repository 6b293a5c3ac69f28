"""Swap: rows come, and rows of the base go that somebody who knows the source has named; all others stay unread.

What a replace finds out by comparing every row, the source of a folder knows from names, sizes and times.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyroaring import BitMap

from dataplat.lake.content_id import row_digests
from dataplat.lake.digest import Digest
from dataplat.lake.take import rows_at
from dataplat.versioning.manifest import ManifestEdit
from dataplat.versioning.modes._deletes import Deletions
from dataplat.versioning.modes._keys import REPLACE_HINT, IncomingKeys, refuse_existing
from dataplat.versioning.modes._outcome import Outcome
from dataplat.versioning.modes.replace import staying

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from dataplat.lake.part import Part
    from dataplat.versioning.modes._base import Base


class Swap:
    """Writes rows, and deletes those at the positions `gone` of parts of the base, which has the same schema and key."""

    def __init__(self, base: Base, gone: Sequence[tuple[Part, NDArray[np.int64]]]) -> None:
        self._base = base
        self._gone = [(part, positions) for part, positions in gone if len(positions)]
        self._writer = base.part_writer()
        self._rows = 0
        self.keys = IncomingKeys(base.key) if base.key else None

    def write(self, batch: pa.RecordBatch) -> None:
        """Take a batch; raise `KeyViolation` for null keys."""
        if self.keys is not None:
            self.keys.add(batch, self._rows)
        self._rows += batch.num_rows
        self._writer.write(batch)

    def abandon(self) -> None:
        """Stop writing."""
        self._writer.abandon()

    def finish(self) -> Outcome:
        """Return the edit; raise `KeyViolation` for keys that repeat, among the rows given or with rows that stay."""
        parts = self._writer.close()
        deletions = Deletions(self._base)
        for part, positions in self._gone:
            deletions.add(part, positions)
        deletes, drop, deleted = deletions.finish()
        whole = self._base.manifest.digest
        left = None if whole is None else whole - self._gone_digest()
        edit = ManifestEdit(add=tuple(parts), deletes=deletes, drop=drop, digest=self._base.grown(left, parts))
        if self.keys is not None:
            self.keys.superseded()
            refuse_existing(self._base.objects, staying(self._base, edit), self._base.schema, self.keys, REPLACE_HINT)
        return Outcome(edit, sum(part.rows for part in parts), deleted)

    def _gone_digest(self) -> Digest:
        total = Digest()
        pieces = [(part, BitMap(positions)) for part, positions in self._gone]
        for rows in rows_at(self._base.objects, pieces, self._base.schema):
            lanes = row_digests(rows).sum(axis=0, dtype="uint64")
            total += Digest(rows.num_rows, int(lanes[0]), int(lanes[1]))
        return total
