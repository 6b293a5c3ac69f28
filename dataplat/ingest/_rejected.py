"""Rejected records of streams as they lie in a dataset's rejects: read as records again, and taken out by their places.

They lie in the order of the commits that rejected them, so those of one partition in the order in which they were read.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from dataplat.connectors.codecs import Records
from dataplat.errors import SchemaMismatch
from dataplat.lake.digest import Digest
from dataplat.lake.scan import PART_COLUMN, ROW_COLUMN, scan
from dataplat.versioning.manifest import ManifestEdit
from dataplat.versioning.modes import Base
from dataplat.versioning.modes._deletes import Deletions
from dataplat.versioning.publish import PlannedChange

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from dataplat.ingest._draft import Draft
    from dataplat.ingest._target import Target
    from dataplat.lake.objects import Objects
    from dataplat.lake.where import Where
    from dataplat.versioning.manifest import Manifest

_COLUMNS: Final = ["source", "topic", "partition", "offset", "timestamp", "key", "raw"]
_TOGETHER: Final = 20_000
"""Records that are decoded at once."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Rejected records of one partition, the id of its source, and where each lies: in which part, at which row."""

    records: Records
    source: str
    part: NDArray[np.int64]
    row: NDArray[np.int64]


@dataclass(slots=True)
class Rejected:
    """The rejected records that were asked for; read again with each look at them.

    After a look, `count` is how many there were, and `of_files` how many others, which cannot be replayed.
    """

    name: str
    manifest: Manifest
    objects: Objects
    where: Where | None
    count: int = 0
    of_files: int = 0

    @classmethod
    def of(cls, draft: Draft, there: Target, where: str | None) -> Rejected:
        """Return the rejects that `where` selects.

        Raises:
            SchemaMismatch: The dataset holds something else.
            PredicateError: `where` is no condition on its columns.
        """
        from dataplat.lake.where import parse_where

        manifest = there.manifest
        assert manifest is not None
        condition = None if where is None else parse_where(where, manifest.schema)
        missing = [name for name in _COLUMNS if name not in manifest.schema.names]
        if missing and "topic" in manifest.schema.names:
            raise SchemaMismatch(
                f"dataset {there.name!r} has no column {missing[0]!r}, so it holds no rejects of streams"
            )
        return cls(there.name, manifest, draft.objects, condition)

    def look(self) -> Iterator[Rows]:
        """Yield them, those of a partition in the order in which they were read."""
        self.count = self.of_files = 0
        manifest = self.manifest
        from_streams = "topic" in manifest.schema.names
        batches = scan(
            self.objects,
            manifest.parts(),
            manifest.schema,
            columns=[name for name in (*_COLUMNS, "headers") if name in manifest.schema.names] if from_streams else [],
            where=self.where,
            batch_rows=_TOGETHER,
            with_positions=True,
        )
        for batch in batches:
            streamed = batch.filter(batch.column("topic").is_valid()) if from_streams else batch.slice(0, 0)
            self.of_files += batch.num_rows - streamed.num_rows
            self.count += streamed.num_rows
            if streamed.num_rows:
                yield from _by_source(streamed)

    def without(self, draft: Draft, taken: Sequence[tuple[NDArray[np.int64], NDArray[np.int64]]]) -> PlannedChange:
        """Return the change that takes records, by their parts and rows, out of the rejects."""
        import numpy as np

        manifest, parts = self.manifest, self.manifest.parts()
        base = Base(manifest, manifest.schema, manifest.key, manifest.sort, draft.objects, draft.stage)
        part_of = np.concatenate([part for part, _ in taken])
        place_of = np.concatenate([row for _, row in taken])
        deletions = Deletions(base)
        for number in np.unique(part_of).tolist():
            deletions.add(parts[number], np.sort(place_of[part_of == number]))
        deletes, drop, rows = deletions.finish()
        digest = Digest() if rows == manifest.rows else None
        edit = ManifestEdit(deletes=deletes, drop=drop, digest=digest)
        return PlannedChange(dataset=self.name, mode="delete", base_version=manifest.id, edit=edit)


def _by_source(rows: pa.RecordBatch) -> Iterator[Rows]:
    import numpy as np

    sources = np.array(rows.column("source").to_pylist(), dtype=object)
    part, row = (rows.column(name).to_numpy().astype(np.int64) for name in (PART_COLUMN, ROW_COLUMN))
    changes = np.flatnonzero(sources[1:] != sources[:-1]) + 1
    for start, stop in pairwise([0, *changes.tolist(), len(sources)]):
        some = rows.slice(start, stop - start)
        yield Rows(_records(some), str(sources[start]), part[start:stop], row[start:stop])


def _records(rows: pa.RecordBatch) -> Records:
    import numpy as np
    import pyarrow as pa

    times = rows.column("timestamp").cast(pa.int64()).fill_null(-1000).to_numpy() // 1000
    return Records(
        rows.column("topic")[0].as_py(),
        rows.column("partition")[0].as_py(),
        rows.column("offset").to_numpy().astype(np.int64),
        times.astype(np.int64),
        rows.column("key").cast(pa.binary()),
        rows.column("raw").cast(pa.binary()),
        rows.column("headers") if "headers" in rows.schema.names else None,
    )
