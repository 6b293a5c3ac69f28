"""Rejected records of streams as they lie in a dataset's rejects: read as records again, and taken out by their places."""

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
    from dataplat.lake.part import Part
    from dataplat.versioning.manifest import Manifest

_COLUMNS: Final = ["source", "topic", "partition", "offset", "timestamp", "key", "raw"]
_TOGETHER: Final = 20_000
"""Records that are decoded at once."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """Rejected records, by source and offset; `of_files` are how many others were asked for, which cannot be replayed."""

    name: str
    manifest: Manifest
    parts: Sequence[Part]
    rows: pa.Table
    of_files: int

    @classmethod
    def of(cls, draft: Draft, there: Target, where: str | None) -> Rejected:
        """Read the rejects that `where` selects.

        Raises:
            SchemaMismatch: The dataset holds something else.
            PredicateError: `where` is no condition on its columns.
        """
        import pyarrow as pa

        from dataplat.lake.where import parse_where

        manifest = there.manifest
        assert manifest is not None
        schema, parts = manifest.schema, manifest.parts()
        condition = None if where is None else parse_where(where, schema)
        if "topic" not in schema.names:
            found = scan(draft.objects, parts, schema, columns=[], where=condition, with_positions=True)
            return cls(there.name, manifest, parts, pa.table({}), sum(batch.num_rows for batch in found))
        missing = [name for name in _COLUMNS if name not in schema.names]
        if missing:
            raise SchemaMismatch(
                f"dataset {there.name!r} has no column {missing[0]!r}, so it holds no rejects of streams"
            )
        batches = list(scan(draft.objects, parts, schema, columns=_COLUMNS, where=condition, with_positions=True))
        if not batches:
            return cls(there.name, manifest, parts, pa.table({}), 0)
        table = pa.Table.from_batches(batches)
        streamed = table.filter(table.column("topic").is_valid())
        order = streamed.sort_by([("source", "ascending"), ("offset", "ascending")])
        return cls(there.name, manifest, parts, order.combine_chunks(), table.num_rows - streamed.num_rows)

    @property
    def count(self) -> int:
        """How many records there are."""
        return int(self.rows.num_rows)

    def records(self) -> Iterator[tuple[NDArray[np.int64], Records, str]]:
        """Yield the numbers (from 0) of records of one partition, the records, and the id of its source."""
        import numpy as np

        if not self.count:
            return
        sources = np.array(self.rows.column("source").to_pylist(), dtype=object)
        changes = np.flatnonzero(sources[1:] != sources[:-1]) + 1
        bounds = [0, *changes.tolist(), self.count]
        for start, stop in pairwise(bounds):
            for begin in range(start, stop, _TOGETHER):
                end = min(begin + _TOGETHER, stop)
                yield np.arange(begin, end), _records(self.rows.slice(begin, end - begin)), sources[begin]

    def without(self, draft: Draft, numbers: Sequence[int]) -> PlannedChange:
        """Return the change that takes records, by their numbers, out of the rejects."""
        import numpy as np

        manifest = self.manifest
        base = Base(manifest, manifest.schema, manifest.key, manifest.sort, draft.objects, draft.stage)
        chosen = np.asarray(numbers, np.int64)
        part_of = self.rows.column(PART_COLUMN).to_numpy()[chosen]
        place_of = self.rows.column(ROW_COLUMN).to_numpy()[chosen].astype(np.int64)
        deletions = Deletions(base)
        for number in np.unique(part_of).tolist():
            deletions.add(self.parts[number], np.sort(place_of[part_of == number]))
        deletes, drop, rows = deletions.finish()
        digest = Digest() if rows == manifest.rows else None
        edit = ManifestEdit(deletes=deletes, drop=drop, digest=digest)
        return PlannedChange(dataset=self.name, mode="delete", base_version=manifest.id, edit=edit)


def _records(rows: pa.Table) -> Records:
    import numpy as np
    import pyarrow as pa

    count = rows.num_rows
    times = rows.column("timestamp").cast(pa.int64()).fill_null(-1000).to_numpy() // 1000
    return Records(
        rows.column("topic")[0].as_py(),
        rows.column("partition")[0].as_py(),
        rows.column("offset").to_numpy().astype(np.int64),
        times.astype(np.int64),
        _chunk(rows.column("key"), count),
        _chunk(rows.column("raw"), count),
    )


def _chunk(column: pa.ChunkedArray, count: int) -> pa.BinaryArray:
    import pyarrow as pa

    whole = column.combine_chunks() if count else pa.array([], pa.binary())
    whole = whole.chunk(0) if isinstance(whole, pa.ChunkedArray) else whole
    return whole.cast(pa.binary())
