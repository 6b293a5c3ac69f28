"""What does not land with the rest: rejected records, and rows in quarantine."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dataplat.errors import SourceError
from dataplat.lake.parts import PartWriter
from dataplat.lake.schema import canonical_schema, stored_like

if TYPE_CHECKING:
    import pyarrow as pa

    from dataplat.connectors.source import Rejects
    from dataplat.lake.objects import Stage
    from dataplat.lake.part import Part

_SHOWN_RAW = 120


@dataclass(slots=True)
class Aside:
    """Rows that are put aside, as parts; the writer is made when the first row comes.

    Columns that `like` has are stored as it says, so that the parts may lie in one dataset with others of it.
    """

    stage: Stage
    like: pa.Schema | None = None
    rows: int = 0
    schema: pa.Schema | None = None
    _writer: PartWriter | None = field(default=None, repr=False)

    def write(self, batch: pa.RecordBatch) -> None:
        """Put the rows of `batch` aside."""
        if batch.num_rows:
            if self._writer is None:
                self.schema = stored_like(canonical_schema(batch.schema), self.like)
                self._writer = PartWriter(self.stage, self.schema, threads=1)
            self._writer.write(batch)
            self.rows += batch.num_rows

    def abandon(self) -> None:
        """Stop writing."""
        if self._writer is not None:
            self._writer.abandon()

    def close(self) -> list[Part]:
        """Return the parts."""
        return [] if self._writer is None else self._writer.close()


def refuse_first(rejects: Rejects) -> SourceError:
    """Return the error that the first of some rejected records makes where nothing may be rejected."""
    row = rejects.batch.slice(0, 1).to_pylist()[0]
    line = f", line {row['line']:,}" if row.get("line") is not None else ""
    where = f"{row['topic']}[{row['partition']}]@{row['offset']}" if "topic" in row else f"{row['source']}{line}"
    column = "" if row["column"] is None else f", column {row['column']!r}"
    raw = bytes(row["raw"] or b"")
    shown = repr(raw[:_SHOWN_RAW])[1:] + ("…" if len(raw) > _SHOWN_RAW else "")
    return SourceError(
        f"{where}{column}: {row['error']}: {shown}. Nothing landed. Mend the record, or let bad "
        "records go to the rejects (--on-error reject)."
    )
