"""What differs between two versions, told by Spark: rows that may differ meet by key, and each bucket is matched by itself.

found = lake.diff("flights@v1", "flights", engine="spark")
found.summary, found.head("changed", 20)
found.frame("added")                         # a DataFrame, nothing is computed yet
for batch in found.batches("changed"): …     # bucket after bucket
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Final

from dataplat._spark._engine import _last_words
from dataplat._spark._exchange import Parcel, exchange
from dataplat.errors import EngineError
from dataplat.lake.objects import Objects
from dataplat.versioning.diff import ColumnDiff, Diff, DiffSummary, StatsDiff
from dataplat.versioning.diff._meeting import KINDS, PLACE, Bucket, Dealing, pieces_of, schemas_of
from dataplat.versioning.manifest import Manifest, load_manifest

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame

    from dataplat._spark._engine import SparkEngine

ROWS: Final = 1 << 19
"""Rows that meet in one bucket, about."""

_BODY: Final = "body binary"


@dataclass(frozen=True, slots=True)
class Told:
    """What a bucket tells: how many rows of each kind, the first of them, and cells that differ by column."""

    counts: tuple[int, ...]
    heads: tuple[bytes, ...]
    columns: tuple[ColumnDiff, ...]


class SparkDiff(Diff):
    """A `Diff` whose rows are read and matched by tasks; only counts and the rows that are asked for come here.

    `summary`, `columns` and `head(kind, limit)` are what they are without Spark. A head without a limit, and so `added`,
    `removed`, `changed` and `to_arrow()`, brings all of these rows: `frame` and `batches` do not.
    """

    def __init__(self, engine: SparkEngine, objects: Objects, before: Manifest, after: Manifest) -> None:
        super().__init__(objects, before, after)
        self._engine = engine
        self._heads: dict[int | None, list[Told]] = {}

    @cached_property
    def summary(self) -> DiffSummary:
        """How many rows were added, removed and changed; no task is needed where counting parts is enough."""
        removed, added = self._counts
        if not removed or not added:
            return DiffSummary(added, removed, 0)
        removed, added, changed = (sum(told.counts[at] for told in self._told(0)) for at in range(len(KINDS)))
        return DiffSummary(added, removed, changed)

    @property
    def buckets(self) -> int:
        """In how many buckets rows meet."""
        return max(1, min(sum(self._counts) // ROWS + 1, 1 << 15))

    def head(self, kind: str, limit: int | None = None) -> pa.Table:
        """Return the first `limit` rows (None: all) that were `added`, `removed` or `changed`."""
        import pyarrow as pa

        at = KINDS.index(kind)
        found = [_table(told.heads[at]) for told in self._told(limit)] or [_table(self._nothing().heads[at])]
        rows = pa.concat_tables(found).sort_by(PLACE).slice(0, limit)
        return rows.drop_columns([PLACE])

    @cached_property
    def columns(self) -> list[ColumnDiff]:
        """What happened to each column, and in how many of the changed rows its cell differs."""
        told = self._told(0) or [self._nothing()]
        return [
            replace(each[0], cells=sum(one.cells for one in each), rows=sum(one.rows for one in each))
            for each in zip(*(bucket.columns for bucket in told), strict=True)
        ]

    @cached_property
    def stats(self) -> list[StatsDiff]:
        """Nulls, NaN, bounds and means of each column in both versions; one task reads what parts do not tell."""
        asked = (self._before.id, self._after.id)
        (found,) = self._engine.map(partial(_stats, Objects(self._objects.store)), [asked])
        return found

    def frame(self, kind: str) -> DataFrame:
        """Return all rows of one kind as a DataFrame, in no order; tasks read and match them when it is used."""
        from dataplat.connectors.spark.types import arrow_for_spark, spark_schema

        schema = _table(self._nothing().heads[KINDS.index(kind)]).drop_columns([PLACE]).schema
        return self._exchanged(_Rows(self._meeting, kind, arrow_for_spark(schema)), spark_schema(schema))

    def batches(self, kind: str) -> Iterator[pa.RecordBatch]:
        """Yield all rows of one kind as they are stored, in no order; of one bucket at a time, as they are taken."""
        import pyarrow as pa

        rows = self._exchanged(_Parcels(self._meeting, kind), _BODY).toLocalIterator()
        while (row := self._next(rows)) is not None:
            with pa.ipc.open_stream(bytes(row.body)) as reader:
                yield from reader

    def _next(self, rows: Iterator[Any]) -> Any:
        try:
            return next(rows, None)
        except Exception as error:
            raise EngineError(f"Spark could not compare the versions: {_last_words(error)}") from error

    # ------------------------------------------------------------------------------------------------------ tasks

    @cached_property
    def _meeting(self) -> Meeting:
        ids = (self._before.id, self._after.id)
        return Meeting(Objects(self._objects.store), ids, self.key)

    def _told(self, limit: int | None) -> list[Told]:
        """Return what all buckets tell, with so many rows of each kind."""
        if limit not in self._heads:
            frame = self._exchanged(_Tells(self._meeting, limit), _BODY, _as_body)
            try:
                answer = frame.toArrow()
            except Exception as error:
                raise EngineError(f"Spark could not compare the versions: {_last_words(error)}") from error
            self._engine.returned += answer.nbytes
            found = [pickle.loads(body) for body in answer.column("body").to_pylist()]  # noqa: S301 - of this session
            for each in found:
                if isinstance(each, Exception):
                    raise each
            self._heads[limit] = found
        return self._heads[limit]

    def _exchanged(self, receive: Any, schema: Any, fault: Any = None) -> DataFrame:
        dealing = Dealing(Objects(self._objects.store), schemas_of(self._before, self._after), self.key, self.buckets)
        pieces = [
            replace(
                piece,
                part=replace(piece.part, stats={}),
                hidden_by=piece.hidden_by and replace(piece.hidden_by, stats={}),
            )
            for piece in pieces_of(self._differs, self._reversed)
        ]
        return exchange(self._engine.session, _Sends(dealing), pieces, receive, self.buckets, schema, fault)

    def _nothing(self) -> Told:
        """Return what a bucket would tell to which no row came."""
        bucket = Bucket(schemas_of(self._before, self._after), self.key, ((), ()))
        return _told(bucket, self._before, self._after, 0)


@dataclass(frozen=True, slots=True)
class Meeting:
    """What a bucket has to know: the two versions, and the key by which rows are matched."""

    objects: Objects
    versions: tuple[str, str]
    key: tuple[str, ...]

    def manifests(self) -> tuple[Manifest, Manifest]:
        """Return both versions."""
        before, after = (load_manifest(self.objects, version) for version in self.versions)
        return before, after

    def bucket(self, parcels: Sequence[Parcel]) -> Bucket:
        """Return the rows that came, matched."""
        sides: tuple[list[Any], list[Any]] = ([], [])
        for parcel in parcels:
            sides[parcel.sender].append(parcel.opened())
        return Bucket(schemas_of(*self.manifests()), self.key, sides)


@dataclass(frozen=True, slots=True)
class _Sends:
    dealing: Dealing

    def __call__(self, piece: Any) -> Iterator[tuple[int, Parcel]]:
        for bucket, rows in self.dealing(piece):
            yield bucket, Parcel.of(piece.side, rows)


@dataclass(frozen=True, slots=True)
class _Tells:
    meeting: Meeting
    limit: int | None

    def __call__(self, bucket: int, parcels: Sequence[Parcel]) -> Iterator[pa.RecordBatch]:
        told = _told(self.meeting.bucket(parcels), *self.meeting.manifests(), self.limit)
        yield _body(pickle.dumps(told))


@dataclass(frozen=True, slots=True)
class _Parcels:
    meeting: Meeting
    kind: str

    def __call__(self, bucket: int, parcels: Sequence[Parcel]) -> Iterator[pa.RecordBatch]:
        rows = self.meeting.bucket(parcels).rows(self.kind).drop_columns([PLACE])
        for batch in rows.to_batches(max_chunksize=65_536):
            yield _body(Parcel.of(0, batch).rows)


@dataclass(frozen=True, slots=True)
class _Rows:
    meeting: Meeting
    kind: str
    schema: pa.Schema

    def __call__(self, bucket: int, parcels: Sequence[Parcel]) -> Iterator[pa.RecordBatch]:
        from dataplat.connectors.spark.types import handed

        rows = self.meeting.bucket(parcels).rows(self.kind).drop_columns([PLACE])
        for batch in rows.to_batches(max_chunksize=65_536):
            yield handed(batch, self.schema)


def _told(bucket: Bucket, before: Manifest, after: Manifest, limit: int | None) -> Told:
    import pyarrow as pa

    heads = (bucket.rows(kind, limit).combine_chunks() for kind in KINDS)
    bodies = []
    for rows in heads:
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, rows.schema) as writer:
            writer.write_table(rows)
        bodies.append(sink.getvalue().to_pybytes())
    return Told(tuple(map(bucket.count, KINDS)), tuple(bodies), tuple(bucket.columns(before, after)))


def _table(body: bytes) -> pa.Table:
    import pyarrow as pa

    with pa.ipc.open_stream(body) as reader:
        return reader.read_all()


def _body(data: bytes) -> pa.RecordBatch:
    import pyarrow as pa

    return pa.record_batch({"body": pa.array([data], pa.binary())})


def _as_body(error: Exception) -> pa.RecordBatch:
    return _body(pickle.dumps(error))


def _stats(objects: Objects, versions: tuple[str, str]) -> list[StatsDiff]:
    before, after = (load_manifest(objects, version) for version in versions)
    return Diff(objects, before, after).stats
