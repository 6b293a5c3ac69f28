"""Parquet parts: written in parallel within a budget of memory, and read back with every page checked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from dataplat.errors import SchemaError
from dataplat.lake._part_assembly import Assembly
from dataplat.lake._part_encode import RowGroup, encode
from dataplat.lake._part_open import open_part
from dataplat.lake._part_pipeline import Pipeline
from dataplat.lake._part_remote import open_all
from dataplat.lake.objects import Objects, Stage
from dataplat.lake.part import Part
from dataplat.lake.schema import canonical_schema, conform, did_you_mean, stored_name

if TYPE_CHECKING:
    from typing import Self

STATS_COLUMNS: Final = 32
"""Of so many first columns statistics are kept, besides those of the key and of the sort order."""

_ROW_GROUP_BYTES: Final = 32 << 20  # of memory: wide rows make shorter row groups
_SORT_BYTES: Final = 48 << 20  # of memory: what is sorted together, besides `target_rows`


class PartWriter:
    """Write batches as parts of about `target_rows` rows or `target_bytes` (of file), in the order they come.

    Row groups are cut by rows (and memory, where rows are wide), never by how the input was batched, encoded side by
    side in `threads` worker threads while the caller makes the next batch, and put together to parts in
    order. `write` waits while more than `in_flight` bytes of rows wait to be encoded. With `sort`, the rows of
    each part are sorted by these columns among themselves.

    The same rows and settings give the same parts, byte for byte. Leaving the context by an exception removes all
    that was not handed to the stage yet. `schema` is brought to its canonical form; batches are conformed to it. Parts
    hold columns under the stored names that `schema` gives them (`schema.stored_name`), and so do their statistics.
    """

    def __init__(
        self,
        stage: Stage,
        schema: pa.Schema,
        *,
        key: Sequence[str] = (),
        sort: Sequence[str] = (),
        target_rows: int = 1_048_576,
        target_bytes: int = 64 << 20,
        row_group_rows: int = 131_072,
        threads: int = 2,
        with_digests: bool = True,
        in_flight: int = 96 << 20,
    ) -> None:
        self.schema = canonical_schema(schema)
        for name in (*key, *sort):
            if name not in self.schema.names:
                raise SchemaError(f"no column {name!r} to sort or key by{did_you_mean(name, self.schema.names)}")
        self.rows = 0
        stored = {field.name: stored_name(field) for field in schema}
        self._stage = stage
        self._written = pa.schema([field.with_name(stored[field.name]) for field in self.schema])
        self._sort = tuple(stored[name] for name in sort)
        stats_of = dict.fromkeys((*self.schema.names[:STATS_COLUMNS], *key, *sort))
        self._stats_of = tuple(stored[name] for name in stats_of)
        self._target_rows, self._target_bytes = target_rows, target_bytes
        self._row_group_rows = min(row_group_rows, target_rows)
        self._with_digests = with_digests
        self._held: list[pa.RecordBatch] = []
        self._held_rows = self._held_bytes = 0
        self._threads = threads
        self._pipeline = Pipeline(self._assemble, threads, in_flight)
        self._assembly: Assembly | None = None
        self._parts: list[Part] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self.abandon()

    def write(self, batch: pa.RecordBatch) -> None:
        """Take one batch; raise `SchemaMismatch` if it does not fit, or what went wrong with an earlier one."""
        batch = conform(batch, self.schema)
        most = self._target_rows if self._sort else self._row_group_rows
        most_bytes = _SORT_BYTES if self._sort else _ROW_GROUP_BYTES
        for piece in _pieces(batch, most_bytes):
            if self._held and self._held_bytes + piece.nbytes > most_bytes:
                self._release()
            start = 0
            while start < len(piece):
                taken = piece.slice(start, most - self._held_rows)
                start += len(taken)
                self._hold(taken)
                if self._held_rows >= most or self._held_bytes >= most_bytes:
                    self._release()

    def close(self) -> list[Part]:
        """Write what is left and return all parts, in order."""
        try:
            if self._held:
                self._release(here=True)  # a small commit starts no thread, a larger one a thread for its digests
            self._pipeline.finish()
            if self._assembly is not None:
                self._finish_part()
        except BaseException:
            self.abandon()
            raise
        return self._parts

    def abandon(self) -> None:
        """Stop, and remove the part that is not finished (finished ones are the stage's)."""
        self._pipeline.stop()
        if self._assembly is not None:
            self._assembly.abandon()
            self._assembly = None

    def _hold(self, batch: pa.RecordBatch) -> None:
        self._held.append(batch)
        self._held_rows += len(batch)
        self._held_bytes += batch.nbytes
        self.rows += len(batch)

    def _release(self, *, here: bool = False) -> None:
        """Hand what is held to the workers, or encode it `here`: one row group, or those of one sorted part."""
        table = pa.Table.from_batches(self._held, self.schema).rename_columns(self._written.names)
        raw = self._held_bytes
        self._held, self._held_rows, self._held_bytes = [], 0, 0
        alone = here and self._threads > 0
        self._pipeline.submit(lambda: self._encode(table, alone=alone), raw, here=here)

    def _encode(self, table: pa.Table, *, alone: bool) -> list[RowGroup]:
        if self._sort:
            table = table.sort_by([(name, "ascending") for name in self._sort])
        pieces = (table.slice(start, self._row_group_rows) for start in range(0, len(table), self._row_group_rows))
        return [encode(piece, self._stats_of, with_digest=self._with_digests, alone=alone) for piece in pieces]

    def _assemble(self, groups: list[RowGroup]) -> None:
        for group in groups:
            if self._assembly is None:
                self._assembly = Assembly(self._stage, self._written)
            self._assembly.append(group)
            if self._assembly.rows >= self._target_rows or self._assembly.size >= self._target_bytes:
                self._finish_part()
        if self._sort and self._assembly is not None:
            self._finish_part()  # the next rows are sorted among themselves

    def _finish_part(self) -> None:
        assert self._assembly is not None
        part, self._assembly = self._assembly.finish(), None
        self._parts.append(part)


def read_part(objects: Objects, part: Part, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
    """Yield every row of one part as it was written, deleted ones too, in the part's own schema.

    Args:
        objects: Where the part lies.
        part: The part.
        columns: The columns to read, in this order; None is all of them.

    Raises:
        IntegrityError: The part is missing or damaged.
        SchemaError: A column is not in the part.
    """
    opened = open_part(objects, part) if columns is not None else open_all(objects, part)
    names = opened.schema.names if columns is None else columns
    for name in names:
        if name not in opened.schema.names:
            raise SchemaError(f"no column {name!r} in part {part.id}{did_you_mean(name, opened.schema.names)}")
    for number in range(opened.row_groups):
        yield from opened.read(number, names).to_batches()


def _pieces(batch: pa.RecordBatch, most_bytes: int) -> Iterator[pa.RecordBatch]:
    """Cut a batch of more than `most_bytes` into even pieces of fewer."""
    size = batch.nbytes
    rows = len(batch) if size <= most_bytes else max(1, len(batch) * most_bytes // size)
    for start in range(0, len(batch), rows or 1):
        yield batch.slice(start, rows)
