"""Append: the rows come on top. On a keyed dataset it only inserts: a key that is there already is an error."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataplat.errors import KeyViolation
from dataplat.versioning.manifest import ManifestEdit
from dataplat.versioning.modes._keys import IncomingKeys, refuse_existing
from dataplat.versioning.modes._outcome import Outcome

if TYPE_CHECKING:
    import pyarrow as pa

    from dataplat.versioning.modes._base import Base


class Append:
    """Writes batches as new parts, in the order in which they come."""

    def __init__(self, base: Base) -> None:
        self._base = base
        self._writer = base.part_writer()
        self.keys = IncomingKeys(base.key) if base.key else None

    def write(self, batch: pa.RecordBatch) -> None:
        """Take a batch; raise `KeyViolation` for null keys."""
        if self.keys is not None:
            self.keys.add(batch, self.keys.rows)
        self._writer.write(batch)

    def abandon(self) -> None:
        """Stop writing."""
        self._writer.abandon()

    def finish(self) -> Outcome:
        """Return the edit; raise `KeyViolation` for keys that repeat or are there already."""
        parts = self._writer.close()
        if self.keys is not None:
            if len(self.keys.superseded()):  # without an order column a repetition has been refused
                raise KeyViolation("input rows repeat a key")
            refuse_existing(self._base.objects, self._base.manifest.parts(), self._base.schema, self.keys)
        rows = sum(part.rows for part in parts)
        return Outcome(
            ManifestEdit(add=tuple(parts), digest=self._base.grown(self._base.manifest.digest, parts)), rows, 0
        )
