"""Collect what comes of a topic while the cut before is landed: bounded in bytes, cut by offsets, fair to partitions.

One thread polls and decodes. Whoever lands asks for the next cut, and gets what there is once it is due: when it has
lasted `every` seconds, or has so many rows or bytes, or nothing more is to come. A partition that has its share of the
bytes is paused; when nobody else has anything, the shares are made larger.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dataplat.connectors.codecs._unify import fit, grown
from dataplat.connectors.kafka._cut import Block, Cut, Piece, joined
from dataplat.connectors.kafka._kept import without_kept
from dataplat.connectors.kafka._positions import Start, moved, source_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import pyarrow as pa

    from dataplat.connectors.codecs import Codec, Records
    from dataplat.connectors.kafka._client import Client, Topic
    from dataplat.connectors.kafka._kept import Kept

POLL_RECORDS = 20_000
_PATIENCE = 0.2
"""Seconds that a poll waits: so soon a stop is noticed."""
_LEAST_SHARE = 256 << 10
_EXACT = 1 << 53
"""Up to here every integer is a float64."""
_IDLE = 60.0
"""Seconds after which positions are written down that moved with no record (aborted transactions, markers)."""


@dataclass(frozen=True, slots=True)
class Limits:
    """When a cut is due: after `every` seconds, at `rows` or `nbytes`; `budget` bytes may be in flight altogether."""

    every: float = 5.0
    rows: int | None = None
    nbytes: int | None = None
    budget: int = 128 << 20

    @property
    def cut_bytes(self) -> int:
        """Bytes that one cut may take: one is collected while the other one lands, and a quarter is for what is polled."""
        most = self.budget * 3 // 8
        return most if self.nbytes is None else min(self.nbytes, most)


@dataclass(slots=True)
class _Filling:
    """The cut that is being collected."""

    pieces: dict[int, Piece]
    began: float = field(default_factory=time.monotonic)
    rows: int = 0
    nbytes: int = 0
    schemas: list[pa.Schema] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        """Whether nothing has come, not even a position."""
        return not any(piece.has_moved for piece in self.pieces.values())

    def blocks(self) -> list[Block]:
        """Return what has come of all partitions."""
        return [block for piece in self.pieces.values() for block in piece.blocks]

    @property
    def has_gap(self) -> bool:
        """Whether something was passed over, which is to be written down."""
        return any(piece.start.gap is not None for piece in self.pieces.values())


class Collector:
    """Reads `topic` from `starts` in a thread of its own, until `ends` (None: for ever) or `close`.

    `held` are the columns of the dataset. Of a block the codec is told the columns so far, so that it can say which records
    do not go with them. `may_grow` says of a column of integers whether all that landed in it are floats, too: then it
    becomes one where another number comes.
    """

    def __init__(
        self,
        client: Client,
        codec: Codec,
        topic: Topic,
        starts: Mapping[int, Start],
        *,
        limits: Limits,
        kept: Kept = (),
        ends: Mapping[int, int] | None = None,
        held: pa.Schema | None = None,
        may_grow: Callable[[str], bool] = lambda _: False,
    ) -> None:
        self.topic = topic
        self._client = client
        self._codec = codec
        self._limits = limits
        self._kept = kept
        self._ends = None if ends is None else dict(ends)
        self._columns = held  # of the dataset, as it is before the cut that is collected
        self._held = None if held is None else without_kept(held, kept)
        self._like = held
        self._may_grow = may_grow
        self._fixed: set[str] = set()  # columns of integers that stay so
        self._filling = _Filling({p: Piece(start, start.offset) for p, start in starts.items()})
        self._paused: set[int] = set()
        self._begun = self._filling
        self._least_share = max(limits.cut_bytes // max(len(starts), 1), _LEAST_SHARE)
        self._share = self._least_share
        self._bytes_each = 1000.0
        self._changed = threading.Condition()
        self._closing = False
        self._ended = False
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=f"collect {topic.name}", daemon=True)
        self._thread.start()

    # ----------------------------------------------------------------------------------------------- who lands

    def cut(self, *, stop: threading.Event | None = None, patience: float | None = None) -> Cut | None:
        """Wait for the next cut and return it, or None where there is none.

        None: nothing more is to come (then `is_over`), nothing has when `stop` is set, or none is due within `patience`
        seconds.
        Raises what the collecting thread ran into, once all that came before has been taken.
        """
        until = None if patience is None else time.monotonic() + patience
        with self._changed:
            while not self._is_due(stop):
                if until is not None and time.monotonic() >= until:
                    return None
                self._changed.wait(_PATIENCE)
            filling = self._filling
            if filling.is_empty and self._error is not None:
                raise self._error
            if filling.is_empty:
                return None
            held = self._columns
            schema = joined(held, filling.schemas, self.topic.name)
            if schema is None and self._error is not None:
                raise self._error
            if schema is None and not self._ended and not self._is_full(filling):
                return None  # told to stop before any row came, of which there could be columns
            self._begin_cut(schema, filling)
        moved = {p: piece for p, piece in filling.pieces.items() if piece.has_moved}
        return Cut(self.topic, self.topic.name, moved, schema, held)

    @property
    def is_over(self) -> bool:
        """Whether all has been taken that will ever come."""
        with self._changed:
            return self._ended and self._error is None and self._filling.is_empty

    def close(self) -> None:
        """Stop reading; what was not taken is forgotten."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join()

    def _begin_cut(self, schema: pa.Schema | None, before: _Filling) -> None:
        """Begin another cut: what `before` brings are columns of the dataset then, whose kinds stay."""
        self._filling = _Filling(_continued(before.pieces, self.topic))
        for name in () if schema is None else schema.names:
            if _has_large(name, before.blocks()):  # of what is being landed nobody else can tell it
                self._fixed.add(name)
        if before.schemas:
            self._columns = self._like = schema
            self._held = None if schema is None else without_kept(schema, self._kept)
        self._changed.notify_all()

    def _is_due(self, stop: threading.Event | None) -> bool:
        filling = self._filling
        if self._ended or self._error is not None or (stop is not None and stop.is_set()):
            return True
        if filling.is_empty:
            filling.began = time.monotonic()
            return False
        lasts = self._limits.every if filling.rows or filling.has_gap else max(_IDLE, self._limits.every)
        has_columns = self._columns is not None or bool(
            filling.schemas
        )  # else nothing can land, and more is waited for
        return self._is_full(filling) or (has_columns and time.monotonic() - filling.began >= lasts)

    def _is_full(self, filling: _Filling) -> bool:
        rows = self._limits.rows
        return filling.nbytes >= self._limits.cut_bytes or (rows is not None and filling.rows >= rows)

    # --------------------------------------------------------------------------------------------- who collects

    def _run(self) -> None:
        try:
            while self._has_room():
                self._share_anew()
                self._take(self._client.poll(_PATIENCE, self._poll_records()))
                if self._is_at_ends():
                    break
        except BaseException as error:  # noqa: BLE001 (raised again in the thread that lands)
            self._error = error
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    def _poll_records(self) -> int:
        """Return how many records the cut has room for, by what they took so far."""
        rows, filling = self._limits.rows, self._filling
        room = max(self._limits.cut_bytes - filling.nbytes, self._limits.cut_bytes // 16)
        most = min(POLL_RECORDS, int(room / self._bytes_each) + 1)
        return most if rows is None else max(1, min(most, rows - filling.rows))

    def _share_anew(self) -> None:
        """Where another cut has begun, give every partition its share of it."""
        if self._begun is self._filling:
            return
        self._begun, self._share = self._filling, self._least_share
        if self._paused:
            self._client.resume(self._paused)
            self._paused.clear()

    def _has_room(self) -> bool:
        """Wait until the cut has room; return whether to go on."""
        with self._changed:
            while not self._closing and self._is_full(self._filling):
                self._changed.wait(_PATIENCE)
            return not self._closing

    def _take(self, polled: list[Records]) -> None:
        if not polled and self._paused:
            self._client.resume(self._paused)
            self._paused.clear()
            self._share *= 2
            return
        positions = self._client.positions()
        while True:
            held = self._held
            found: list[tuple[Records, Block]] = []
            for records in polled:
                if len(records):
                    found.append((records, self._decoded(records, held, [block for _, block in found])))
            with self._changed:
                if self._held is not held:
                    continue  # a cut was taken meanwhile, with columns that these have to go with
                for records, block in found:
                    self._add(records, block)
                for partition, piece in self._filling.pieces.items():
                    piece.end = max(piece.end, positions.get(partition, piece.end))
                self._changed.notify_all()
            break
        self._pause_full()

    def _decoded(self, records: Records, held: pa.Schema | None, before: Sequence[Block]) -> Block:
        like = self._values_like()
        decoded = self._codec.decode(records, like)
        held = self._grown(held, decoded.batch, before)
        decoded = fit(fit(decoded, held, like), self._settled(like, held, decoded.batch.schema, before))
        block = Block.of(records, decoded, self._kept, source_id(self.topic, records.partition))
        if block.batch.num_rows or block.deletes is not None:
            self._like = joined(self._like, [block.batch.schema], self.topic.name)
        return block

    def _settled(
        self, like: pa.Schema | None, held: pa.Schema | None, came: pa.Schema, before: Sequence[Block]
    ) -> pa.Schema | None:
        """Return the columns that stay what they are so far, since not every integer among them is a float."""
        import pyarrow as pa

        kept = []
        for column in like or ():
            index = came.get_field_index(column.name)
            if index < 0 or (held is not None and column.name in held.names):
                continue
            kind = came.field(index).type
            grows = pa.types.is_integer(column.type) and pa.types.is_floating(kind)
            if (grows and self._has_large(column.name, before)) or (
                pa.types.is_floating(column.type) and pa.types.is_integer(kind)
            ):
                kept.append(column)
        return pa.schema(kept) if kept else None

    def _grown(self, held: pa.Schema | None, batch: pa.RecordBatch, before: Sequence[Block]) -> pa.Schema | None:
        """Return the columns of the dataset as they are with these rows: what came before them goes with that, too."""
        if held is None:
            return None

        def may_grow(name: str) -> bool:
            if name not in self._fixed and (self._has_large(name, before) or not self._may_grow(name)):
                self._fixed.add(name)
            return name not in self._fixed

        found = grown(held, batch, may_grow)
        if found is not held:
            with self._changed:
                if self._held is held:
                    self._held = found  # so that all that was polled is decoded anew
        return found

    def _has_large(self, name: str, before: Sequence[Block]) -> bool:
        """Whether a column of the cut so far has integers that are no floats."""
        with self._changed:
            blocks = [*before, *self._filling.blocks()]
        return _has_large(name, blocks)

    def _values_like(self) -> pa.Schema | None:
        """Return the columns so far that come from values."""
        return None if self._like is None else without_kept(self._like, self._kept)

    def _add(self, records: Records, block: Block) -> None:
        filling = self._filling
        piece = filling.pieces[records.partition]
        piece.blocks.append(block)
        piece.epoch = records.epoch if records.epoch is not None else piece.epoch
        if block.batch.num_rows or block.deletes is not None:
            filling.schemas.append(block.batch.schema)
        filling.rows += block.records
        filling.nbytes += block.nbytes
        self._bytes_each = max(1.0, block.nbytes / block.records)

    def _pause_full(self) -> None:
        pieces = self._filling.pieces
        if len(pieces) == 1:
            return
        full = {p for p, piece in pieces.items() if piece.nbytes >= self._share} - self._paused
        if full:
            self._client.pause(full)
            self._paused |= full

    def _is_at_ends(self) -> bool:
        """Whether all was read that there was when it began; partitions that are at their end give nothing more."""
        if self._ends is None:
            return False
        pieces = self._filling.pieces
        return all(pieces[partition].end >= end for partition, end in self._ends.items())


def _has_large(name: str, blocks: Iterable[Block]) -> bool:
    """Whether a column has integers that are no floats."""
    import pyarrow as pa
    import pyarrow.compute as pc

    for block in blocks:
        index = block.batch.schema.get_field_index(name)
        if index >= 0 and pa.types.is_integer(block.batch.column(index).type):
            ends = pc.min_max(block.batch.column(index))
            if any(abs(ends[end].as_py() or 0) > _EXACT for end in ("min", "max")):
                return True
    return False


def _continued(pieces: Mapping[int, Piece], topic: Topic) -> dict[int, Piece]:
    """Return empty pieces that go on where these end, assuming the positions that these will be written down as."""
    following = {}
    for partition, piece in pieces.items():
        held = piece.start.held
        if piece.has_moved:
            held = moved(topic, piece.start, piece.end, records=piece.records, epoch=piece.epoch)
        following[partition] = Piece(Start(piece.end, held), piece.end)
    return following
