"""A diff of rows that meet in buckets: whoever moves them, each bucket is matched by the kernel that matches all of them.

Rows of one key, or without a key rows of one value, come to the same bucket, so nothing of one meets anything of another.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np

from dataplat.lake.content_id import key_digests, row_digests
from dataplat.lake.objects import Objects
from dataplat.lake.part import Part
from dataplat.lake.schema import plain_schema
from dataplat.versioning._difference import PartsDifference
from dataplat.versioning.before_image import rows_gone
from dataplat.versioning.diff._columns import ColumnDiff, changed_table, column_diffs
from dataplat.versioning.diff._rows import Match, Rows, match
from dataplat.versioning.diff._schema import view_of

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from dataplat.versioning.manifest import Manifest

PLACE: Final = "__dataplat_place"
"""Where a row stands among all rows of its side that may differ: they are told in that order."""
_PIECE: Final = np.uint64(1 << 40)  # rows of a piece, at most
_TOGETHER: Final = 16 << 20  # bytes of rows that are dealt out at once

KINDS: Final = ("removed", "added", "changed")


@dataclass(frozen=True, slots=True)
class Piece:
    """Rows of one side (0 the earlier, 1 the later) that the other may lack: of a part, or those that deletes hide."""

    side: int
    number: int
    part: Part
    hidden_by: Part | None = None


def pieces_of(differs: PartsDifference, back: PartsDifference) -> list[Piece]:
    """Return what has to be read of both sides, `back` being what differs the other way; in the order of their rows."""
    found = []
    for side, each in enumerate((differs, back)):
        whole = [Piece(side, number, part) for number, part in enumerate(part for part in each.dropped if part.live)]
        found += whole
        found += [Piece(side, len(whole) + at, old, new) for at, (old, new) in enumerate(each.changed)]
    return found


@dataclass(frozen=True, slots=True)
class Dealing:
    """Reads pieces, and deals their rows out to buckets."""

    objects: Objects
    schemas: tuple[pa.Schema, pa.Schema]
    key: tuple[str, ...]
    buckets: int

    def __call__(self, piece: Piece) -> Iterator[tuple[int, pa.RecordBatch]]:
        """Yield rows, with their places, and the bucket that they go to."""
        import pyarrow as pa

        schema = self.schemas[piece.side]
        changed = () if piece.hidden_by is None else ((piece.part, piece.hidden_by),)
        dropped = (piece.part,) if piece.hidden_by is None else ()
        start = np.uint64(piece.number) * _PIECE
        for rows in _together(rows_gone(self.objects, PartsDifference((), dropped, changed), schema)):
            bucket = (self._digests(rows, piece.side)[:, 0] % np.uint64(self.buckets)).astype(np.int64)
            order = np.argsort(bucket, kind="stable")
            places = pa.array(start + np.arange(rows.num_rows, dtype=np.uint64))
            placed = rows.append_column(PLACE, places).take(pa.array(order))
            numbers, starts = np.unique(bucket[order], return_index=True)
            for number, low, high in zip(numbers, starts, [*starts[1:], len(order)], strict=True):
                yield int(number), _one_batch(placed.slice(int(low), int(high - low)))
            start += np.uint64(rows.num_rows)

    def _digests(self, rows: pa.Table, side: int) -> NDArray[np.uint64]:
        """Return what rows are matched by, as `match` does."""
        if self.key:
            return np.concatenate([key_digests(batch, self.key) for batch in rows.to_batches()])
        ours, theirs = self.schemas[side].names, self.schemas[1].names
        names = [name for name in ours if name in theirs]
        return np.concatenate([row_digests(batch.select(names)) for batch in rows.to_batches()])


def _together(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    import pyarrow as pa

    some: list[pa.RecordBatch] = []
    for batch in batches:
        some.append(batch)
        if sum(each.nbytes for each in some) > _TOGETHER:
            yield pa.Table.from_batches(some)
            some = []
    if any(each.num_rows for each in some):
        yield pa.Table.from_batches(some)


def _one_batch(rows: pa.Table) -> pa.RecordBatch:
    import pyarrow as pa

    return pa.concat_batches(rows.to_batches())


Dealt: TypeAlias = "Sequence[pa.RecordBatch]"


class Bucket:
    """Rows of both sides that met, and how they match."""

    def __init__(self, schemas: tuple[pa.Schema, pa.Schema], key: Sequence[str], sides: tuple[Dealt, Dealt]) -> None:
        self.key = tuple(key)
        ordered = [sorted(side, key=lambda each: each.column(PLACE)[0].as_py()) for side in sides]
        places = [[np.asarray(each.column(PLACE)) for each in side] for side in ordered]
        self.places = [np.concatenate(each) if each else np.empty(0, np.uint64) for each in places]
        self.before, self.after = (
            _rows(plain_schema(schema), side) for schema, side in zip(schemas, ordered, strict=True)
        )
        self.match: Match = match(self.before, self.after, self.key)

    def count(self, kind: str) -> int:
        """Return how many rows were `removed`, `added` or `changed`."""
        return len(self._at(kind))

    def rows(self, kind: str, limit: int | None = None) -> pa.Table:
        """Return the first `limit` of these rows (None: all), as `Diff.head` does, and their places as last column."""
        import pyarrow as pa

        at = self._at(kind)[:limit]
        side = 0 if kind == "removed" else 1
        if kind == "changed":
            found = changed_table(self.before.take(self.match.changed_before[:limit]), self.after.take(at), self.key)
        else:
            found = (self.before, self.after)[side].take(at)
        return found.append_column(PLACE, pa.array(self.places[side][at]))

    def columns(self, before: Manifest, after: Manifest) -> list[ColumnDiff]:
        """Return in how many of the changed rows the cell of each column differs."""
        changed = self.before.take(self.match.changed_before), self.after.take(self.match.changed_after)
        return column_diffs(before, after, *changed, self.key)

    def _at(self, kind: str) -> NDArray[np.int64]:
        return {"removed": self.match.removed, "added": self.match.added, "changed": self.match.changed_after}[kind]


def schemas_of(before: Manifest, after: Manifest) -> tuple[pa.Schema, pa.Schema]:
    """Return the schemas in which rows of both sides are compared."""
    return view_of(before, after), after.schema


def _rows(schema: pa.Schema, batches: Dealt) -> Rows:
    held = [batch.select(schema.names) for batch in batches]
    return Rows(schema, sum(batch.num_rows for batch in held), lambda: iter(held))
