"""Eight bytes for the values of a row: equal values have equal digests, so rows without a common digest differ.

Digests of a part are remembered in the order of its rows as written: neither deletes nor their undoing cost a look at
the rows. A single column of integers or times is its own digest, of which no two values share one.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final, TypeVar

import numpy as np
import numpy.typing as npt
import polars as pl

from dataplat.lake.memos import computation_id
from dataplat.lake.part import ColumnStats
from dataplat.validation._rows import as_frame
from dataplat.validation.report import How
from dataplat.validation.subject import Block, PartBlock, Subject, Unit

if TYPE_CHECKING:
    import pyarrow as pa

Array = npt.NDArray[np.uint64]
Mask = npt.NDArray[np.bool_]

_CODE: Final = 1
_SIGN: Final = np.uint64(1 << 63)
_NULL: Final = np.uint64(0x6E75_6C6C_6E75_6C6C)
_SPREAD: Final = np.uint64(0x9E37_79B9_7F4A_7C15)  # Fibonacci hashing: its upper bits tell neighbours apart
_SHORT: Final = frozenset({pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.UInt8, pl.UInt16, pl.UInt32})

Task = TypeVar("Task")
Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True, eq=False)
class Digests:
    """Digests of rows, and in which rows a column is null (None: in none)."""

    values: Array
    nulls: Mask | None = None

    def __len__(self) -> int:
        return len(self.values)

    def where(self, mask: Mask) -> Digests:
        """Return those of the rows of a mask."""
        return Digests(self.values[mask], None if self.nulls is None else self.nulls[mask])

    def encode(self) -> bytes:
        """Return them as bytes: eight per row, then a bit per row if there are nulls."""
        body = self.values.astype("<u8", copy=False).tobytes()
        return body if self.nulls is None else body + np.packbits(self.nulls).tobytes()

    @classmethod
    def decode(cls, data: bytes, rows: int) -> Digests | None:
        """Read what `encode` wrote of so many rows; None if it is something else."""
        if len(data) == 8 * rows:
            return cls(np.frombuffer(data, "<u8"))
        if len(data) != 8 * rows + (rows + 7) // 8:
            return None
        bits = np.frombuffer(data, np.uint8, offset=8 * rows)
        return cls(np.frombuffer(data, "<u8", rows), np.unpackbits(bits, count=rows).astype(np.bool_))


def digest(frame: pl.DataFrame) -> Digests:
    """Return the digests of the rows of a frame (null equals null, NaN equals NaN, −0.0 equals 0.0)."""
    nulls = None
    if sum(frame.null_count().row(0)):
        nulls = frame.select(pl.any_horizontal(pl.all().is_null())).to_series().to_numpy()
    if frame.width == 1 and is_own_digest(frame.dtypes[0]):
        series = frame.to_series().to_physical()
        filled = series if nulls is None else series.fill_null(0)
        if series.dtype == pl.UInt64:
            values = filled.to_numpy()
        else:  # in the order of the values
            values = filled.cast(pl.Int64).to_numpy().view(np.uint64) ^ _SIGN
        return Digests(values if nulls is None else np.where(nulls, _NULL, values), nulls)
    return Digests(frame.hash_rows(seed=0).to_numpy(), nulls)


def is_own_digest(kind: pl.DataType) -> bool:
    """Whether no two values of a type have one digest."""
    return kind in _SHORT or kind == pl.UInt64 or kind.is_temporal()


def joined(pieces: Sequence[Digests]) -> Digests:
    """Return digests of consecutive rows as those of all."""
    if len(pieces) == 1:
        return pieces[0]
    values = np.concatenate([piece.values for piece in pieces]) if pieces else np.empty(0, np.uint64)
    if all(piece.nulls is None for piece in pieces):
        return Digests(values)
    none = [np.zeros(len(piece), np.bool_) if piece.nulls is None else piece.nulls for piece in pieces]
    return Digests(values, np.concatenate(none))


def share(values: Array, number: int, shares: int) -> Array:
    """Return the digests of one of so many (a power of two) shares of them all."""
    if shares == 1:
        return values
    bits = shares.bit_length() - 1
    mine: Array = values[(values * _SPREAD) >> np.uint64(64 - bits) == number]
    return mine


class Members:
    """A set of digests, given sorted, that others are looked up in."""

    def __init__(self, digests: Array) -> None:
        self._digests = digests
        self._bits = min(max(len(digests) * 32, 1 << 10).bit_length(), 24)
        self._near = np.zeros(1 << self._bits, np.bool_)
        self._near[self._place(digests)] = True

    def mask(self, values: Array) -> Mask:
        """Return which of `values` are in the set."""
        found = self._near[self._place(values)]
        at = np.flatnonzero(found)  # most of those that are not in the set are out by now
        if len(at):
            candidates = values[at]
            order = np.argsort(candidates)  # looked up in their order, neighbours find what is in the processor's cache
            ordered = candidates[order]
            places = np.searchsorted(self._digests, ordered).clip(max=len(self._digests) - 1)
            found[at[order]] = self._digests[places] == ordered
        return found

    def _place(self, values: Array) -> Array:
        return (values * _SPREAD) >> np.uint64(64 - self._bits)


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """Rows whose digests are taken together: a part of a version, or a row group of something else."""

    number: int
    """Number of the block."""
    block: Block
    rows: int
    stats: Mapping[str, ColumnStats]
    unit: Unit | None = None

    @property
    def written(self) -> int:
        """Rows with those that were deleted, of which `stats` speak."""
        return self.block.written if self.unit is None else self.rows

    def units(self, columns: Sequence[str], dictionaries: Collection[str] = ()) -> Iterator[Unit]:
        """Yield what holds its rows; texts among `dictionaries` may come as dictionaries."""
        return iter([self.unit]) if self.unit is not None else self.block.units(columns, dictionaries)


def pieces_of(subject: Subject, columns: Sequence[str], dictionaries: Collection[str] = ()) -> list[Piece]:
    """Return what can be digested apart; the rows of a file are not a piece, as it may be of any size."""
    found = []
    for number, block in enumerate(subject.blocks):
        if block.identity is not None:
            found.append(Piece(number, block, block.rows, block.stats))
        else:
            found += [Piece(number, block, unit.rows, unit.stats, unit) for unit in block.units(columns, dictionaries)]
    return [piece for piece in found if piece.rows]


class DigestReader:
    """Gives the digests of pieces of a subject: from memory, else from rows.

    `kinds` are the types to compare in, where not those of the columns. Threads may share it.
    """

    def __init__(self, subject: Subject, columns: Sequence[str], kinds: Sequence[pl.DataType] = ()) -> None:
        self.subject = subject
        self.columns = list(columns)
        schema = as_frame(subject.schema.empty_table(), self.columns).schema
        self.casts: dict[Any, pl.DataType] = {
            name: kind for name, kind in zip(columns, kinds, strict=False) if schema[name] != kind
        }
        asked = {
            "columns": [subject.stored(name) for name in self.columns],
            "kinds": [str(self.casts.get(name, schema[name])) for name in self.columns],
        }
        self.computation = computation_id("validation.digests", _CODE, method=_method(), **asked)
        self.distinct_computation = computation_id("validation.distinct", _CODE, method=_method(), **asked)

    def of(self, piece: Piece, *, keep: bool) -> tuple[Digests, How]:
        """Return the digests of the rows that count, in order; `keep` remembers what had to be read."""
        block, memos = piece.block, self.subject.memos
        if not keep or memos is None or not isinstance(block, PartBlock):
            return self._read(piece.units(self.columns)), "scanned"
        data = memos.get_bytes(self.computation, block.part.id)
        known = None if data is None else Digests.decode(data, block.written)
        how: How = "remembered"
        if known is None:
            how, known = "scanned", self._read(block.as_written().units(self.columns))
            memos.put_bytes(known.encode(), self.computation, block.part.id)
        live = block.live()
        return (known if live is None else known.where(live)), how

    def remember(self, piece: Piece) -> How:
        """Have the digests remembered, and say whether they had to be read; for who reads them elsewhere."""
        return self.of(piece, keep=True)[1]

    def remember_distinct(self, piece: Piece) -> tuple[int, How]:
        """Have the distinct digests remembered, and say how many they are, and whether they had to be read."""
        values, _, how = self.distinct(piece)
        return len(values), how

    def distinct(self, piece: Piece) -> tuple[Array, int, How]:
        """Return the distinct digests of the rows without a null, sorted, how many such rows there are, and how."""
        memos, identity = self.subject.memos, piece.block.identity
        data = None
        if memos is not None and identity is not None:
            data = memos.get_bytes(self.distinct_computation, *identity)
        if data is not None and data and len(data) % 8 == 0:
            known = np.frombuffer(data, "<u8")
            return known[1:], int(known[0]), "remembered"
        units = piece.units(self.columns, self.columns)
        found = [self._distinct(batch) for unit in units for batch in unit.read()]
        values = np.unique(np.concatenate([each for each, _ in found])) if found else np.empty(0, np.uint64)
        rows = sum(count for _, count in found)
        if memos is not None and identity is not None:
            memos.put_bytes(
                np.concatenate([[np.uint64(rows)], values]).astype("<u8").tobytes(),
                self.distinct_computation,
                *identity,
            )
        return values, rows, "scanned"

    def _distinct(self, batch: pa.RecordBatch) -> tuple[Array, int]:
        """Return the distinct digests of the rows without a null, and how many they are; few texts are digested once."""
        import pyarrow as pa

        column = batch.column(self.columns[0])
        if len(self.columns) > 1 or not pa.types.is_dictionary(column.type):
            found = digest(self._frame(batch))
            there = found.values if found.nulls is None else found.values[~found.nulls]
            return np.unique(there), len(there)
        codes = column.indices.drop_null().to_numpy()
        used = np.flatnonzero(np.bincount(codes, minlength=len(column.dictionary)))
        texts = pa.RecordBatch.from_arrays([column.dictionary.take(pa.array(used))], names=self.columns)
        return np.unique(digest(self._frame(texts)).values), len(codes)

    def frames(self, piece: Piece) -> Iterator[tuple[pl.DataFrame, npt.NDArray[np.int64]]]:
        """Yield the rows of a piece that count, and their positions in the block."""
        for unit in piece.units(self.columns):
            for batch in unit.read():
                yield self._frame(batch), np.asarray(batch.column(batch.num_columns - 1)).astype(np.int64)

    def _frame(self, batch: pa.RecordBatch) -> pl.DataFrame:
        frame = as_frame(batch, self.columns)
        return frame.cast(self.casts) if self.casts else frame

    def _read(self, units: Iterable[Unit]) -> Digests:
        return joined([digest(self._frame(batch)) for unit in units for batch in unit.read()])


def in_order(do: Callable[[Task], Answer], tasks: Iterable[Task], threads: int) -> Iterator[Answer]:
    """Yield what `do` makes of each task, in order, a few ahead of the one that is taken."""
    with ThreadPoolExecutor(threads, thread_name_prefix="dataplat-rules") as pool:
        ahead: deque[Future[Answer]] = deque()
        try:
            for task in tasks:
                ahead.append(pool.submit(do, task))
                if len(ahead) > 2 * threads:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


@cache
def _method() -> list[str]:
    """Return what tells apart ways in which Polars digests: its version, and digests of a few values."""
    probe = pl.DataFrame({"text": ["", "é" * 9, None], "number": [0.5, float("nan"), None], "whole": [1, -5, None]})
    found = [probe.hash_rows(seed=0), *(probe.select(name).hash_rows(seed=0) for name in probe.columns)]
    return [pl.__version__, hashlib.sha256(b"".join(each.to_numpy().tobytes() for each in found)).hexdigest()[:16]]
