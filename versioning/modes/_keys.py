"""Keys of incoming rows: refused where null or NaN, found among each other and in the rows that are there."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dataplat.errors import KeyViolation
from dataplat.lake.content_id import key_digests
from dataplat.lake.row_index import KeySet
from dataplat.lake.scan import ROW_COLUMN, scan
from dataplat.lake.stores import concurrency_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from dataplat.lake.objects import Objects
    from dataplat.lake.part import Part

_THREADS: Final = 2  # parts whose keys are read at once
_TOGETHER: Final = 32_768  # rows that may have a wanted key from which on they are looked for


@dataclass(frozen=True, slots=True)
class KeyMatch:
    """Rows of one part whose keys are among the incoming ones: positions in the part, rows in the incoming."""

    part: Part
    positions: NDArray[np.int64]
    incoming: NDArray[np.int64]


class IncomingKeys:
    """Collects the key columns (and an order column) of the incoming rows; with `last_wins` the order is theirs to come.

    Memory: 16 bytes a row for the digests, plus the key values themselves.
    """

    def __init__(self, key: Sequence[str], order: str | None = None, *, last_wins: bool = False) -> None:
        self.key = list(key)
        self.order = order
        self.last_wins = last_wins and order is None
        self._digests: list[NDArray[np.uint64]] = []
        self._values: list[pa.RecordBatch] = []
        self.rows = 0

    def add(self, batch: pa.RecordBatch, rows: int | NDArray[np.int64]) -> None:
        """Take the keys of a batch; raise `KeyViolation` for a null or NaN among them.

        `rows` is the number (from 0) of its first row in the input, or the number of each of its rows.
        """
        for name in self.key:
            _refuse_null(batch.column(name), name, rows)
        columns = self.key if self.order is None or self.order in self.key else [*self.key, self.order]
        self._digests.append(key_digests(batch, self.key))
        self._values.append(batch.select(columns))
        self.rows += batch.num_rows

    @property
    def values(self) -> pa.Table:
        """The key values (and the order column) of all rows so far."""
        return pa.Table.from_batches(self._values)

    @property
    def digests(self) -> NDArray[np.uint64]:
        """The key digests of all rows so far, shape (rows, 2)."""
        return np.concatenate(self._digests) if self._digests else np.empty((0, 2), np.uint64)

    def superseded(self) -> NDArray[np.int64]:
        """Return which of the rows a later row of the same key replaces.

        Raises `KeyViolation` where keys repeat and no order column says which row counts, or where the
        order column itself ties or is null.
        """
        lane0 = np.concatenate([digests[:, 0] for digests in self._digests] or [np.empty(0, np.uint64)])
        lane0.sort()
        if not (lane0[1:] == lane0[:-1]).any():  # the usual case, and much quicker than the sort of both lanes
            return np.empty(0, np.int64)
        digests = self.digests
        order = np.lexsort((digests[:, 1], digests[:, 0]))  # stable: equal keys stay in input order
        ordered = digests[order]
        same = (ordered[1:] == ordered[:-1]).all(axis=1)
        if not same.any():
            return np.empty(0, np.int64)
        if self.last_wins:
            return np.sort(order[:-1][same])
        if self.order is None:
            self._refuse_duplicates(int(order[np.flatnonzero(same)[0]]), int(same.sum()))
        repeated = np.zeros(len(order), bool)
        repeated[1:] |= same
        repeated[:-1] |= same
        return self._losers(order[repeated], np.concatenate([[False], same])[repeated])

    def _refuse_duplicates(self, example: int, count: int) -> None:
        message = (
            f"{count:,} input rows repeat a key, for example {show_key(self.values, example, self.key)}. Remove the "
            "repetition, or name a column that says which row is newer (--order COLUMN, with --mode upsert)."
        )
        raise KeyViolation(message)

    def _losers(self, rows: NDArray[np.int64], continues: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Of runs of equal keys keep the row with the greatest order value."""
        values = self.values.column(str(self.order)).take(pa.array(rows)).combine_chunks()
        unknown = _nulls(values).true_count
        if unknown:
            message = (
                f"the order column {self.order!r} is null or NaN in {unknown:,} rows whose key repeats: "
                "it cannot say which row is newer. Fill it, or remove the repetition."
            )
            raise KeyViolation(message)
        ranks = pc.rank(values, tiebreaker="dense").to_numpy(zero_copy_only=False).astype(np.int64)
        runs = np.cumsum(~continues)
        best = np.lexsort((ranks, runs))
        runs, ranks, rows = runs[best], ranks[best], rows[best]
        last = np.append(runs[1:] != runs[:-1], True)
        tied = ~last & np.append((runs[1:] == runs[:-1]) & (ranks[1:] == ranks[:-1]), False) & np.append(last[1:], True)
        if tied.any():
            row = int(rows[np.flatnonzero(tied)[0]])
            message = (
                f"two input rows of {show_key(self.values, row, self.key)} have the same value in the order column "
                f"{self.order!r}: neither is newer. Remove one, or choose another order column."
            )
            raise KeyViolation(message)
        return np.sort(rows[~last])


def _refuse_null(column: pa.Array, name: str, rows: int | NDArray[np.int64]) -> None:
    bad = _nulls(column)
    if bad.true_count:
        at = pc.index(bad, pa.scalar(value=True)).as_py()
        row = rows + at if isinstance(rows, int) else int(rows[at])
        message = (
            f"{bad.true_count:,} rows have a null or NaN in the key column {name!r}; the first is input row "
            f"{row + 1:,}. A key must have a value: fill or drop those rows, or choose another key."
        )
        raise KeyViolation(message)


def _nulls(column: pa.Array) -> pa.BooleanArray:
    """Return where a column has no value: null, or NaN."""
    return column.is_null(nan_is_null=True) if pa.types.is_floating(column.type) else column.is_null()


def find_keys(objects: Objects, parts: Sequence[Part], schema: pa.Schema, keys: IncomingKeys) -> Iterator[KeyMatch]:
    """Find the live rows of `parts` that have one of the incoming keys, reading key columns only.

    Parts whose key bounds lie outside those of the incoming keys are not read. Digests find candidates;
    what counts is that the values are equal.
    """
    if not keys.rows:
        return
    values = keys.values
    bounds = _bounds(values, keys.key)
    todo = [part for part in parts if part.live and _may_hold(part, bounds)]
    if not todo:
        return
    wanted = KeySet(values, keys.key, keys.digests)

    def find(part: Part) -> KeyMatch | None:
        return _find_in_part(objects, part, schema, keys.key, wanted, values)

    threads = min(_THREADS, concurrency_of(objects.store), len(todo))
    if threads <= 1:
        yield from filter(None, map(find, todo))
        return
    with ThreadPoolExecutor(threads, thread_name_prefix="dataplat-keys") as pool:
        yield from filter(None, pool.map(find, todo))


def _find_in_part(
    objects: Objects, part: Part, schema: pa.Schema, key: list[str], wanted: KeySet, values: pa.Table
) -> KeyMatch | None:
    positions, incoming = [], []
    for batch in _candidates(objects, part, schema, key, wanted):
        rows, found = wanted.find(batch)
        if len(rows):
            equal = _equal_keys(batch.select(key).take(pa.array(rows)), values.select(key).take(pa.array(found)))
            positions.append(batch.column(ROW_COLUMN).to_numpy()[rows[equal]].astype(np.int64))
            incoming.append(found[equal])
    return KeyMatch(part, np.concatenate(positions), np.concatenate(incoming)) if positions else None


def _candidates(
    objects: Objects, part: Part, schema: pa.Schema, key: list[str], wanted: KeySet
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a part that may have a wanted key; of many row groups together, where they are few."""
    held: list[pa.RecordBatch] = []
    rows = 0
    for batch in scan(objects, [part], schema, columns=key, with_positions=True, batch_rows=None, threads=1):
        passed = wanted.passing(batch)
        if len(passed):
            held.append(batch if len(passed) == batch.num_rows else batch.take(pa.array(passed)))
            rows += len(passed)
        if rows >= _TOGETHER:
            yield from pa.Table.from_batches(held).combine_chunks().to_batches()
            held, rows = [], 0
    if held:
        yield from pa.Table.from_batches(held).combine_chunks().to_batches()


def _equal_keys(ours: pa.RecordBatch, theirs: pa.Table) -> NDArray[np.bool_]:
    equal = np.ones(ours.num_rows, bool)
    for name in ours.schema.names:
        kind = ours.schema.field(name).type
        if not (pa.types.is_nested(kind) or pa.types.is_float16(kind)):  # Arrow compares none of these: digests decide
            column = theirs.column(name).combine_chunks().cast(kind)
            equal &= pc.equal(ours.column(name), column).to_numpy(zero_copy_only=False)
    return equal


def _bounds(values: pa.Table, key: list[str]) -> dict[str, tuple[object, object]]:
    """Return min and max of the integer key columns, in the form that part statistics have."""
    bounds = {}
    for name in key:
        column = values.column(name)
        if pa.types.is_integer(column.type):
            ends = pc.min_max(column)
            bounds[name] = (ends["min"].as_py(), ends["max"].as_py())
    return bounds


def _may_hold(part: Part, bounds: dict[str, tuple[object, object]]) -> bool:
    for name, (low, high) in bounds.items():
        stats = part.stats.get(name)
        if stats is not None and stats.low is not None and (stats.high < low or stats.low > high):  # type: ignore[operator]
            return False
    return True


def show_key(table: pa.Table, row: int, key: Sequence[str]) -> str:
    """Return `name = value` of the key of one row, for a message."""
    return ", ".join(f"{name} = {table.column(name)[row].as_py()!r}" for name in key)


APPEND_HINT = "Appending to a keyed dataset only inserts: use --mode upsert to replace those rows."
REPLACE_HINT = "A key names one row: remove the repetition from the input, or widen --where so that those rows go too."


def refuse_existing(
    objects: Objects, parts: Sequence[Part], schema: pa.Schema, keys: IncomingKeys, hint: str = APPEND_HINT
) -> None:
    """Raise `KeyViolation` if any incoming key is in `parts` already."""
    count, example = 0, None
    for match in find_keys(objects, parts, schema, keys):
        count += len(match.incoming)
        example = example or show_key(keys.values, int(match.incoming[0]), keys.key)
    if count:
        message = f"{count:,} input rows have the key of another row of the dataset, for example {example}. {hint}"
        raise KeyViolation(message)
