"""One pass over the input: every row goes to exactly one place, and nothing moves yet."""

from __future__ import annotations

import hashlib
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dataplat.connectors.source import Blob, Deletes, Rejects
from dataplat.errors import KeyViolation, SourceError
from dataplat.ingest._aside import Aside, refuse_first
from dataplat.lake.schema import conform, plain_schema
from dataplat.lake.stores import explained
from dataplat.validation.report import Tally
from dataplat.versioning.modes import Upsert

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import pyarrow as pa

    from dataplat.connectors.source import Item, Source, Split
    from dataplat.ingest._progress import Meter
    from dataplat.lake.objects import Stage
    from dataplat.validation import Contract
    from dataplat.versioning.modes import RowSink
    from dataplat.versioning.suppression import Suppression

_BLOCK = 1 << 20


@dataclass(slots=True)
class Pass:
    """Reads splits into a sink; rows that fail the contract and records that cannot be read go aside.

    Rows in = rows written + rows in quarantine + rows suppressed; records in = rows in + rejects.
    """

    stage: Stage
    stored: pa.Schema
    sink: RowSink
    contract: Contract | None
    meter: Meter
    key: tuple[str, ...]
    rejecting: bool
    rejects: Aside
    quarantine: Aside
    tally: Tally
    suppression: Suppression | None = None
    suppressed: int = 0

    @classmethod
    def begin(
        cls,
        stage: Stage,
        schema: pa.Schema,
        sink: RowSink,
        contract: Contract | None,
        meter: Meter,
        key: tuple[str, ...],
        *,
        rejecting: bool,
        suppression: Suppression | None = None,
    ) -> Pass:
        """Return a pass that has read nothing yet, into rows of `schema` (with stored names)."""
        asides = Aside(stage), Aside(stage, schema)
        return cls(stage, schema, sink, contract, meter, key, rejecting, *asides, Tally(), suppression)

    def read(self, source: Source, splits: Sequence[Split]) -> None:
        """Read all `splits`; raises what the source and the sink raise, and `SourceError` where nothing may be rejected."""
        total = sum(split.nbytes or 0 for split in splits)
        before = 0
        for split in splits:
            start = before

            def at(done: int, _all: int | None, start: int = start) -> None:
                self.meter.at_byte(start + done, total)

            with closing(source.read(split, at)) as items:  # files and threads go now, whoever fails
                for item in items:
                    self._take(item)
            before += split.nbytes or 0

    def abandon(self) -> None:
        """Stop what writes in the background, so that nothing is staged behind our back."""
        for writer in (self.sink, self.rejects, self.quarantine):
            writer.abandon()

    def _take(self, item: Item) -> None:
        if isinstance(item, Rejects):
            if not self.rejecting:
                raise refuse_first(item)
            self.rejects.write(item.batch)
        elif isinstance(item, Blob):
            self._take_blob(item)
        elif isinstance(item, Deletes):
            self._take_deletes(item.batch)
        else:
            self._take_rows(conform(item, plain_schema(self.stored), first_row=self.meter.rows - self.meter.landed))

    def _take_deletes(self, keys: pa.RecordBatch) -> None:
        import pyarrow as pa

        if not isinstance(self.sink, Upsert):
            raise KeyViolation("rows are to be taken away by key, which only --mode upsert does")
        plain = plain_schema(self.stored)
        self.sink.delete(conform(keys, pa.schema([plain.field(name) for name in self.key])))

    def _take_blob(self, blob: Blob) -> None:
        path = self.stage.new_file(".bin")
        digest = hashlib.sha256()
        for block in _blocks(blob.path, path):
            digest.update(block)
        if digest.hexdigest() != blob.id:
            raise SourceError(f"{blob.path} changed while it was read. Nothing landed; ingest it again.")
        self.stage.put_file(path, blob.id, ".bin")

    def _take_rows(self, batch: pa.RecordBatch) -> None:
        self.meter.add_rows(batch.num_rows)
        if self.suppression is not None:
            batch = self._without_erased(batch, self.suppression)
        if self.contract is not None:
            verdict = self.contract.check_batch(batch, self.key)
            self.tally.add(verdict)
            if not verdict.ok:
                batch, bad = verdict.split(batch)
                self.quarantine.write(bad)
        if batch.num_rows:
            self.sink.write(batch)

    def _without_erased(self, batch: pa.RecordBatch, suppression: Suppression) -> pa.RecordBatch:
        """Leave out the rows that were erased from the dataset."""
        import pyarrow as pa

        mask = suppression.mask(batch, self.stored)
        self.suppressed += int(mask.sum())
        return batch.filter(pa.array(~mask)) if mask.any() else batch


def _blocks(source: Path, target: Path) -> Iterator[bytes]:
    """Copy a file, and yield what is copied."""
    try:
        with source.open("rb") as reader:
            blocks = iter(lambda: reader.read(_BLOCK), b"")
            with target.open("wb") as writer:
                for block in blocks:
                    writer.write(block)
                    yield block
    except OSError as error:
        raise explained(error, f"copy {source} to {target}") from error
