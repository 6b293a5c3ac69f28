"""Rows that other processes wrote as parts, committed as an ingest: what engines do that run on many machines.

The parts are in the store, and nothing names them. Here only their keys are read, where the dataset has one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dataplat.errors import KeyViolation
from dataplat.ingest._ingest import IngestStep
from dataplat.ingest._land import Landed, base_of
from dataplat.ingest._schema import landed_schema
from dataplat.lake.digest import Digest
from dataplat.lake.scan import scan
from dataplat.versioning.manifest import ManifestEdit
from dataplat.versioning.modes import Append, Base, Outcome, RowSink, Upsert

if TYPE_CHECKING:
    import pyarrow as pa

    from dataplat.ingest._draft import Draft
    from dataplat.ingest._result import IngestResult
    from dataplat.lake.part import Part


@dataclass(slots=True)
class DistributedStep(IngestStep):
    """Parts that were written elsewhere, as a step of a transaction.

    Attributes:
        schema: of the rows as they came.
        parts: what was written of them, in their order.
        deletes: whether they are keys of rows that go, and no rows.
    """

    schema: pa.Schema = None
    parts: Sequence[Part] = ()
    deletes: bool = False

    def run(self, draft: Draft) -> IngestResult:
        """Plan what the parts change."""
        request, stage = self.request, draft.stage
        self.added, self.lands, self.refused = 0, False, False
        for part in self.parts:
            stage.adopt(part.id, ".parquet", part.size)
        target = draft.target(request.into)
        if self.deletes:
            target = draft.existing(request.into)
            assert target.schema is not None
            schema = target.schema
        else:
            schema = landed_schema(target.schema, self.schema, whole=request.replaces_all, gone=target.gone)
        base = base_of(request, target, schema, stage, () if self.deletes else self.parts)
        sink = self._sink(base)
        self._show_keys(base, sink)
        landed = Landed(
            base=base,
            source=self.schema,
            outcome=sink.finish(),
            sink=sink,
            rows_in=sum(part.rows for part in self.parts),
            rejects=(),
            rejects_schema=None,
            rejected=0,
            quarantine=(),
            quarantine_schema=None,
            quarantined=0,
            suppressed=0,
            report=None,
            meets_contract=True,
            starts={},
            positions={},
        )
        return self._planned(draft, target, landed, [])

    def _sink(self, base: Base) -> RowSink:
        if self.deletes or self.request.mode == "upsert":
            return Upsert(base, self.request.order)
        return Append(base) if self.request.mode == "append" else Whole(base)

    def _show_keys(self, base: Base, sink: RowSink) -> None:
        """Let the sink see the keys of the rows that were written."""
        if not base.key:
            if self.deletes:
                raise KeyViolation(f"{self.request.into} has no key: rows are deleted by key")
            return
        order = self.request.order
        columns = list(base.key) if order is None or order in base.key else [*base.key, order]
        for batch in scan(base.objects, self.parts, base.schema, columns=columns):
            if self.deletes:
                assert isinstance(sink, Upsert)
                sink.delete(batch)
            else:
                sink.write(batch)


class Whole(Append):
    """Parts that are all of a dataset: what was there goes, unless it is the same."""

    def finish(self) -> Outcome:
        """Return the edit; raise `KeyViolation` for keys that repeat."""
        base, parts = self._base, self._writer.close()
        if self.keys is not None and len(self.keys.superseded()):
            raise KeyViolation("input rows repeat a key")
        digest = base.grown(Digest(), parts)
        alike = base.schema == base.manifest.schema and base.key == base.manifest.key
        if alike and digest is not None and digest == base.manifest.digest:
            return Outcome(ManifestEdit(digest=digest), 0, 0)
        drop = tuple(part.place for part in base.manifest.parts())
        edit = ManifestEdit(add=tuple(parts), drop=drop, digest=digest)
        return Outcome(edit, sum(part.rows for part in parts), base.manifest.rows)
