"""The version that a change starts from, and where its new parts are staged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dataplat.lake.parts import PartWriter
from dataplat.lake.schema import stored_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from types import TracebackType
    from typing import Self

    import pyarrow as pa

    from dataplat.lake.digest import Digest
    from dataplat.lake.objects import Objects, Stage
    from dataplat.lake.part import Part
    from dataplat.versioning.manifest import Manifest


@dataclass(frozen=True, slots=True)
class Base:
    """A manifest (of no rows, for a new dataset), how to read its objects, and a stage for new ones.

    `schema`, `key` and `sort` are what the dataset will have after the change: the manifest's, a wider schema, or,
    where all rows are replaced, what was asked for; with the stored names of columns. `objects` sees what is staged.
    `written`: parts that others wrote of the rows which come, in their order; then none is written here.
    """

    manifest: Manifest
    schema: pa.Schema
    key: tuple[str, ...]
    sort: tuple[str, ...]
    objects: Objects
    stage: Stage
    written: Sequence[Part] | None = None

    def grown(self, digest: Digest | None, parts: Iterable[Part]) -> Digest | None:
        """Return the digest of a dataset after `parts`, written for `schema`, came on top; pending stays pending.

        Under other names than those that parts are written with, their digests are others.
        """
        if digest is None or any(stored_name(field) != field.name for field in self.schema):
            return None
        return sum((part.digest for part in parts), digest)

    def part_writer(self) -> PartWriter | Written:
        """Return a writer of parts for the dataset's schema and sort order."""
        if self.written is not None:
            return Written(self.written)
        return PartWriter(self.stage, self.schema, key=self.key, sort=self.sort)


@dataclass(frozen=True, slots=True)
class Written:
    """In place of a writer: parts that are there already, whose rows, or keys alone, are shown once more."""

    parts: Sequence[Part]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing is under way."""

    def write(self, batch: pa.RecordBatch) -> None:
        """Take rows that lie in the parts."""

    def close(self) -> list[Part]:
        """Return the parts."""
        return list(self.parts)

    def abandon(self) -> None:
        """Nothing is under way."""
