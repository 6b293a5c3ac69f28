"""Rows that have to meet: tasks send them to buckets, and the tasks of buckets work on what came.

Rows travel as Arrow IPC, so they arrive as they were, whatever types Spark knows; Spark moves bytes, and our kernels compute.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession

T = TypeVar("T")

_ITEMS = "body binary"
_MOVED = "bucket int, sender int, body binary"
_FAULT = -1
"""The sender of a body that is an error."""


@dataclass(frozen=True, slots=True)
class Parcel:
    """Rows on their way to a bucket: whom they are from, and the rows with what the sender says of them beside."""

    sender: int
    rows: bytes

    @classmethod
    def of(cls, sender: int, rows: pa.RecordBatch) -> Parcel:
        """Pack rows; numbers of senders are 0 or more."""
        import pyarrow as pa

        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, rows.schema) as writer:
            writer.write_batch(rows)
        return cls(sender, sink.getvalue().to_pybytes())

    def opened(self) -> pa.RecordBatch:
        """Return the rows."""
        import pyarrow as pa

        with pa.ipc.open_stream(self.rows) as reader:
            return reader.read_next_batch()


Send: TypeAlias = "Callable[[Any], Iterator[tuple[int, Parcel]]]"
"""Yields, of one item, parcels and the numbers of their buckets."""
Receive: TypeAlias = "Callable[[int, Sequence[Parcel]], Iterator[pa.RecordBatch]]"
"""Yields what becomes of the parcels of a bucket."""


def exchange(
    session: SparkSession,
    send: Send,
    items: Sequence[Any],
    receive: Receive,
    buckets: int,
    schema: Any,
    fault: Callable[[Exception], pa.RecordBatch] | None = None,
) -> DataFrame:
    """Return a frame, to be computed when it is used, of what `receive` makes in each of the buckets.

    Args:
        session: the session whose tasks do it.
        send: called for every item, in some task.
        items: what rows are read by: parts, and no rows.
        receive: called once for every bucket that rows came to, in a task of its own, with all parcels, in any order.
        buckets: how many there are.
        schema: the columns of the batches that `receive` yields, as Spark has them.
        fault: makes such a batch of an error; without it Spark tries a task again, and then raises an error of its own.
    """
    import pyarrow as pa

    from dataplat._spark._engine import pickled

    sender, receiver, *given = pickled(send, receive, *items)
    bodies = pa.table(
        {
            "at": pa.array(range(len(items)), pa.int32()),
            "body": pa.array(given, pa.binary()),
        }
    )
    sent = session.createDataFrame(bodies).repartitionById(max(len(items), 1), "at").select("body")
    moved = sent.mapInArrow(partial(_send, sender), _MOVED).repartitionById(buckets, "bucket")
    return moved.mapInArrow(partial(_receive, receiver, fault), schema)


# ------------------------------------------------------------------------------------------------------- in a task


def _send(send: bytes, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    import pickle

    from dataplat._spark._engine import dumped, sendable

    for batch in batches:
        for body in batch.column("body").to_pylist():
            try:
                for bucket, parcel in pickle.loads(send)(pickle.loads(body)):  # noqa: S301 - of this very session
                    yield _moved(bucket, parcel)
            except Exception as error:  # noqa: BLE001 - whatever it is, it is raised at home
                yield _moved(0, Parcel(_FAULT, dumped(sendable(error))))
                return


def _moved(bucket: int, parcel: Parcel) -> pa.RecordBatch:
    import pyarrow as pa

    return pa.record_batch(
        {
            "bucket": pa.array([bucket], pa.int32()),
            "sender": pa.array([parcel.sender], pa.int32()),
            "body": pa.array([parcel.rows], pa.binary()),
        }
    )


def _receive(
    receive: bytes, fault: Callable[[Exception], pa.RecordBatch] | None, batches: Iterator[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    from dataplat._spark._engine import sendable

    try:
        yield from _received(receive, batches)
    except Exception as error:
        if fault is None:
            raise
        yield fault(sendable(error))


def _received(receive: bytes, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    import pickle

    there: dict[int, list[Parcel]] = {}
    for batch in batches:
        columns = (batch.column(name).to_pylist() for name in ("bucket", "sender", "body"))
        for bucket, sender, body in zip(*columns, strict=True):
            if sender == _FAULT:
                raise pickle.loads(body)  # noqa: S301 - of this very session
            there.setdefault(bucket, []).append(Parcel(sender, body))
    for bucket, parcels in there.items():
        yield from pickle.loads(receive)(bucket, parcels)  # noqa: S301
