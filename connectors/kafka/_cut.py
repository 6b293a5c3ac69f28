"""What one commit takes from a topic: blocks of decoded records by partition, as a source that can be read again."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from dataplat.connectors.codecs._unify import Apart, fitted, together
from dataplat.connectors.kafka._kept import Kept, with_kept
from dataplat.connectors.kafka._positions import Start, moved, source_id
from dataplat.connectors.kafka._rejects import rejects_of
from dataplat.connectors.source import Deletes, Item, Position, Progress, Rejects, Split
from dataplat.errors import PositionConflict, SchemaMismatch, SourceError

if TYPE_CHECKING:
    import pyarrow as pa

    from dataplat.connectors.codecs import Decoded, Records
    from dataplat.connectors.kafka._client import Topic


@dataclass(frozen=True, slots=True)
class Block:
    """Records that were decoded together: rows with the columns that are kept of each record, and what is none."""

    batch: pa.RecordBatch
    rejects: pa.RecordBatch | None
    deletes: pa.RecordBatch | None
    records: int
    nbytes: int

    @classmethod
    def of(cls, records: Records, decoded: Decoded, kept: Kept, source: str) -> Block:
        """Return what is kept of `records` after they were decoded; their raw bytes are let go."""
        decoded = without_taken_back(decoded)
        batch = with_kept(decoded.batch, records, decoded.rows, kept)
        deletes = decoded.deletes
        rejects = rejects_of(records, decoded.rejects, source) if decoded.rejects else None
        held = sum(part.nbytes for part in (batch, rejects, deletes) if part is not None)
        return cls(batch, rejects, deletes, len(records), held)


@dataclass(slots=True)
class Piece:
    """What a cut has of one partition: from `start` up to `end`, which lies behind the last record and its markers."""

    start: Start
    end: int
    blocks: list[Block] = field(default_factory=list)
    epoch: int | None = None

    @property
    def records(self) -> int:
        """How many records were read."""
        return sum(block.records for block in self.blocks)

    @property
    def rejected(self) -> int:
        """How many of them were no rows."""
        return sum(block.rejects.num_rows for block in self.blocks if block.rejects is not None)

    @property
    def nbytes(self) -> int:
        """Bytes that the blocks take in memory."""
        return sum(block.nbytes for block in self.blocks)

    @property
    def has_moved(self) -> bool:
        """Whether there is anything to write down: offsets passed, or a gap."""
        return self.end != self.start.offset or self.start.gap is not None


class Cut:
    """A `Source` over what was collected of a topic, one split a partition. `held` are the columns that it was read for.

    It holds only where the dataset's positions are those that it began at: another ingester of the topic makes it raise
    `PositionConflict`.
    """

    is_text = False

    def __init__(
        self,
        topic: Topic,
        label: str,
        pieces: Mapping[int, Piece],
        schema: pa.Schema | None,
        held: pa.Schema | None = None,
    ) -> None:
        self.topic = topic
        self.name = label
        self.pieces = dict(sorted(pieces.items()))
        self.held = held
        self._schema = schema

    @property
    def records(self) -> int:
        """How many records it has."""
        return sum(piece.records for piece in self.pieces.values())

    @property
    def rejected(self) -> int:
        """How many of them are no rows."""
        return sum(piece.rejected for piece in self.pieces.values())

    @property
    def grown(self) -> tuple[str, ...]:
        """The columns that are integers in the dataset, and floats here."""
        import pyarrow as pa

        if self.held is None or self._schema is None:
            return ()
        return tuple(
            field.name
            for field in self.held
            if pa.types.is_integer(field.type) and pa.types.is_floating(self._schema.field(field.name).type)
        )

    def plan(self, positions: Mapping[str, Position | None]) -> list[Split]:
        """Return the splits; raise `PositionConflict` where a partition was read by somebody else meanwhile."""
        splits = []
        for partition, piece in self.pieces.items():
            source = source_id(self.topic, partition)
            held = positions.get(source)
            if held != piece.start.held:
                raise _conflict(self.topic, partition, held, piece.start)
            label = f"{self.topic.name}[{partition}] {piece.start.offset}..{piece.end}"
            splits.append(Split(source, label, start=held, nbytes=piece.nbytes))
        return splits

    def schema(self) -> pa.Schema:
        """Return the columns that all blocks together have; raise `SourceError` where no record was a row."""
        if self._schema is None:
            raise SourceError(
                f"none of the {self.records:,} records of {self.name} could be read, so there is no column to land: "
                f"{self.first_error()}. Name what the values are with --format"
            )
        return self._schema

    def first_error(self) -> str:
        """Return where the first reject is, and why it is one."""
        for piece in self.pieces.values():
            for block in piece.blocks:
                if block.rejects is not None:
                    row = block.rejects.slice(0, 1).to_pylist()[0]
                    return f"{row['topic']}[{row['partition']}]@{row['offset']}: {row['error']}"
        return "there was none"

    def read(self, split: Split, on_progress: Progress | None = None) -> Generator[Item, None, None]:
        """Yield rows, deletes and rejects of a partition, in order of offset.

        Of one block deletes come first: rows that they took away again are not in it, see `without_taken_back`.
        """
        piece = self._piece(split)
        done = 0
        for block in piece.blocks:
            if block.deletes is not None and block.deletes.num_rows:
                yield Deletes(block.deletes)
            if block.batch.num_rows:
                yield fitted(block.batch, self.schema())
            if block.rejects is not None:
                yield Rejects(block.rejects)
            done += block.nbytes
            if on_progress is not None:
                on_progress(done, piece.nbytes)

    def position(self, split: Split) -> Position | None:
        """Return where the partition is read to."""
        piece = self._piece(split)
        return moved(self.topic, piece.start, piece.end, records=piece.records, epoch=piece.epoch)

    def _piece(self, split: Split) -> Piece:
        return self.pieces[int(split.source.rpartition("/")[2])]


def without_taken_back(decoded: Decoded) -> Decoded:
    """Return it without the rows that a later record of the same key takes away; it stays that the key is deleted."""
    deletes, deleted = decoded.deletes, decoded.deleted
    if deletes is None or deleted is None or not len(deleted) or not len(decoded.rows):
        return decoded
    import numpy as np
    import pyarrow as pa

    from dataplat.lake.content_id import key_digests

    names = deletes.schema.names
    keys = np.concatenate([key_digests(decoded.batch, names), key_digests(deletes, names)])
    at = np.concatenate([decoded.rows, deleted])
    order = np.lexsort((at, keys[:, 1], keys[:, 0]))
    is_delete = np.arange(len(keys)) >= len(decoded.rows)
    begins = np.append(True, (keys[order][1:] != keys[order][:-1]).any(axis=1))
    run = np.cumsum(begins) - 1
    last = np.full(run[-1] + 1, -1, np.int64)
    gone = is_delete[order]
    np.maximum.at(last, run[gone], at[order][gone])
    kept = np.ones(len(keys), np.bool_)
    kept[order] = at[order] >= last[run]
    kept = kept[: len(decoded.rows)]
    return replace(decoded, batch=decoded.batch.filter(pa.array(kept)), rows=decoded.rows[kept])


def joined(like: pa.Schema | None, schemas: Sequence[pa.Schema], where: str) -> pa.Schema | None:
    """Return the schema of rows of all of these; raise `SchemaMismatch` where they do not go together."""
    schema = like
    for other in schemas:
        if not other.names:
            continue
        try:
            schema = other if schema is None else together(schema, other)
        except Apart as apart:
            raise SchemaMismatch(f"{where}: {apart}") from apart
    return schema


def _conflict(topic: Topic, partition: int, held: Any, start: Start) -> PositionConflict:
    at = "was not read before" if held is None else f"is read up to offset {held['end']:,}"
    return PositionConflict(
        f"{topic.name}[{partition}] {at} by now, and this ingester assumed offset {start.offset:,}: another one reads "
        "the same topic into this dataset. Nothing was committed; stop one of them."
    )
