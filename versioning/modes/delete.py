"""Delete: the rows that a predicate selects no longer count."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataplat.lake.digest import Digest
from dataplat.lake.scan import PART_COLUMN, ROW_COLUMN, scan
from dataplat.versioning.manifest import ManifestEdit
from dataplat.versioning.modes._deletes import Deletions
from dataplat.versioning.modes._outcome import Outcome

if TYPE_CHECKING:
    from dataplat.lake.where import Where
    from dataplat.versioning.modes._base import Base


def delete_where(base: Base, where: Where) -> Outcome:
    """Return the edit that deletes the rows of `base` that `where` selects."""
    deletions = Deletions(base)
    parts = base.manifest.parts()
    for batch in scan(base.objects, parts, base.schema, columns=[], where=where, with_positions=True, batch_rows=None):
        if batch.num_rows:  # all of one row group
            part = parts[batch.column(PART_COLUMN)[0].as_py()]
            deletions.add(part, batch.column(ROW_COLUMN).to_numpy().astype("int64"))
    deletes, drop, rows = deletions.finish()
    digest = base.manifest.digest if not rows else Digest() if rows == base.manifest.rows else None
    return Outcome(ManifestEdit(deletes=deletes, drop=drop, digest=digest), 0, rows)
