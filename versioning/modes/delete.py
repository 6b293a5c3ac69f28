"""Delete: the rows that a predicate selects no longer count."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataplat.lake.digest import Digest
from dataplat.lake.scan import ROW_COLUMN, scan
from dataplat.versioning.manifest import ManifestEdit
from dataplat.versioning.modes._deletes import Deletions
from dataplat.versioning.modes._outcome import Outcome

if TYPE_CHECKING:
    from dataplat.lake.where import Where
    from dataplat.versioning.modes._base import Base


def delete_where(base: Base, where: Where) -> Outcome:
    """Return the edit that deletes the rows of `base` that `where` selects."""
    deletions = Deletions(base)
    for part in base.manifest.parts():
        for batch in scan(base.objects, [part], base.schema, columns=[], where=where, with_positions=True):
            deletions.add(part, batch.column(ROW_COLUMN).to_numpy().astype("int64"))
    deletes, drop, rows = deletions.finish()
    digest = base.manifest.digest if not rows else Digest() if rows == base.manifest.rows else None
    return Outcome(ManifestEdit(deletes=deletes, drop=drop, digest=digest), 0, rows)
