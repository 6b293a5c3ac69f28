"""The version that a change starts from, and where its new parts are staged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dataplat.lake.parts import PartWriter

if TYPE_CHECKING:
    import pyarrow as pa

    from dataplat.lake.objects import Objects, Stage
    from dataplat.versioning.manifest import Manifest


@dataclass(frozen=True, slots=True)
class Base:
    """A manifest (of no rows, for a new dataset), how to read its objects, and a stage for new ones.

    `schema`, `key` and `sort` are what the dataset will have after the change: the manifest's, a wider schema, or,
    where all rows are replaced, what was asked for. `objects` sees what is staged.
    """

    manifest: Manifest
    schema: pa.Schema
    key: tuple[str, ...]
    sort: tuple[str, ...]
    objects: Objects
    stage: Stage

    def part_writer(self) -> PartWriter:
        """Return a writer of parts for the dataset's schema and sort order."""
        return PartWriter(self.stage, self.schema, key=self.key, sort=self.sort)
