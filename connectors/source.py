"""What every source of rows promises, whether it is a file, a table in memory or a queue.

A source is planned, asked for its schema, then read split by split:

    splits = source.plan(positions)              # touches as little as it can; skipped splits say why
    schema = source.schema()                     # of the splits that the plan did not skip
    while True:
        try:
            for split in (s for s in splits if s.skipped is None):
                with closing(source.read(split)) as items:
                    for item in items:  # RecordBatch | Rejects | Blob | Deletes
                        ...
            break
        except SchemaWidened as widened:         # a later value disagreed with the types so far
            schema = widened.schema              # drop everything staged from this source, then read all again
    positions = {s.source: source.position(s) for s in splits if s.source}

Types hold for a whole input. They are sniffed on its beginning; when a later value does not fit, `read`
raises `SchemaWidened`, the source remembers the wider schema, and the consumer starts over. Every batch of
a pass that ended without it has exactly the schema that `schema()` returns. Widening only ever climbs a
finite lattice, so it ends.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, runtime_checkable

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

Position: TypeAlias = Mapping[str, Any]
"""Where a source had been read to, as plain JSON values. Of a file: size (bytes), mtime_ns, xxh3_128 (hex)."""

Progress: TypeAlias = Callable[[int, int | None], None]
"""Called with (bytes done, bytes in total or None where nobody knows), from the reading thread."""


@dataclass(frozen=True, slots=True)
class Split:
    """A piece of a source that is read in one go.

    `source` is the id under which its position is kept, or "" where a position makes no sense (a table in
    memory, standard input). `start` is the position that the plan was given for it. `skipped` says why it
    need not be read; `position` then is what it may be recorded at. `nbytes` is its size as stored, or None.
    `label` names it to people.
    """

    source: str
    label: str
    start: Position | None = None
    nbytes: int | None = None
    skipped: str | None = None
    position: Position | None = None


@dataclass(frozen=True, slots=True)
class Rejects:
    """Records that could not be read: a batch with the columns of `rejects_schema()`."""

    batch: pa.RecordBatch

    def __len__(self) -> int:
        return int(self.batch.num_rows)


@dataclass(frozen=True, slots=True)
class Blob:
    """A file too large for a row: store a copy of its bytes as the object `id`, then its row may refer to it.

    Yielded before the batch whose `object` column holds `id` (SHA-256, hex). The file is the user's own:
    copy it, never link or move it.
    """

    path: Path
    id: str
    size: int


@dataclass(frozen=True, slots=True)
class Deletes:
    """Rows that are gone: a batch of the key columns of each. Only a dataset with a key takes such, by upsert."""

    batch: pa.RecordBatch

    def __len__(self) -> int:
        return int(self.batch.num_rows)


Item: TypeAlias = "pa.RecordBatch | Rejects | Blob | Deletes"


class SchemaWidened(Exception):
    """A value disagreed with the types so far: drop what was staged and read all splits again.

    `schema` is what `Source.schema()` returns from now on; `reason` says which value asked for it.
    """

    def __init__(self, schema: pa.Schema, reason: str) -> None:
        super().__init__(reason)
        self.schema = schema
        self.reason = reason


class Source(Protocol):
    """Where rows come from. See the module's docstring for the order of calls."""

    @property
    def name(self) -> str:
        """What people call it: a path, a glob, `-`, or the kind of table."""
        ...

    @property
    def is_text(self) -> bool:
        """Whether types are guessed from text, so that a wanted schema says how to read it; else rows carry theirs."""
        ...

    def plan(self, positions: Mapping[str, Position | None]) -> list[Split]:
        """Return what would be read, given the positions held by source id; reads no data that is held."""
        ...

    def schema(self) -> pa.Schema:
        """Return the schema of what the last plan did not skip (of everything, before the first plan)."""
        ...

    def read(self, split: Split, on_progress: Progress | None = None) -> Generator[Item, None, None]:
        """Yield the rows of `split` in order; raise `SchemaWidened`, `SourceError` or `SchemaMismatch`.

        Who stops before the end closes the generator: files and threads are let go by then.
        """
        ...

    def position(self, split: Split) -> Position | None:
        """Return where `split` ends; only after `read` of it came to its end, or for a skipped one."""
        ...


@runtime_checkable
class SupportsHold(Protocol):
    """The ability of a source to tell which rows of an earlier version need not be read again, without reading them."""

    @property
    def known_columns(self) -> Sequence[str]:
        """The columns that `hold` has to see."""
        ...

    def hold(self, rows: pa.RecordBatch) -> NDArray[np.bool_]:
        """Return which rows the source would give again as they are; from then on `read` gives only others.

        After `plan`, and before `read`; each row of a version is shown once.
        """
        ...


def rejects_schema() -> pa.Schema:
    """Return the columns of a `Rejects` batch.

    `source` (id or label), `line` (1-based, of the record's first line), `row` (1-based, records without the
    header), `offset` (bytes, of the record's first byte in the uncompressed text), `column` (null where the
    whole record is unreadable), `error`, `raw` (the record's bytes as they lie in the input, without the line end).
    """
    import pyarrow as pa

    return pa.schema(
        [
            pa.field("source", pa.string(), nullable=False),
            ("line", pa.int64()),
            ("row", pa.int64()),
            ("offset", pa.int64()),
            ("column", pa.string()),
            pa.field("error", pa.string(), nullable=False),
            ("raw", pa.binary()),
        ]
    )
