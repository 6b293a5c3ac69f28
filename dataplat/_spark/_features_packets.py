"""Packets: rows on their way between tasks, many together as bytes of Arrow. Spark moves them, and sorts those of a partition.

    to       the partition that a packet goes to
    side     what it holds: a fault, rows of a spine, questions, labels, facts or cells of a view
    at       the order of packets of one side
    data     the rows

So what Spark handles are some packets for each pair of tasks, and never a row by itself.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from dataplat.errors import EngineError

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame

    from dataplat._spark._engine import SparkEngine

SCHEMA: Final = "to int, side int, at long, data binary"
FAULT: Final = -1
SPINE: Final = 0
ASK: Final = 1
VIEW: Final = 2
"""The side of the first view; the others follow."""
_TOGETHER: Final = 8 << 20
"""Bytes of packets that are handed on at once."""


@dataclass(frozen=True, slots=True)
class Packet:
    """Rows that go to a partition together."""

    to: int
    side: int
    at: int
    data: bytes


Task: TypeAlias = "Callable[[Iterator[tuple[int, Iterator[Packet]]]], Iterable[Packet]]"
"""What a partition does with packets that come, those of one side after the other."""


def frame_of(engine: SparkEngine, pieces: Iterable[Any], work: Callable[[Any], Iterable[Packet]]) -> DataFrame:
    """Return the packets that `work` makes of each piece, in a task of its own."""
    import pyarrow as pa

    from dataplat._spark._engine import pickled

    bodies = pickled(*pieces)
    size = len(bodies)
    table = pa.table(
        {
            "to": pa.array(range(size), pa.int32()),
            "side": pa.array([ASK] * size, pa.int32()),
            "at": pa.array([0] * size, pa.int64()),
            "data": pa.array(bodies, pa.binary()),
        }
    )
    spread = engine.session.createDataFrame(table).repartitionById(max(1, size), "to")
    return spread.mapInArrow(partial(_worked, partial(_of_pieces, work)), SCHEMA)


def then(frame: DataFrame, partitions: int, task: Task) -> DataFrame:
    """Return the packets that `task` makes of those that go to each of some partitions."""
    moved = frame.repartitionById(partitions, "to").sortWithinPartitions("side", "at")
    return moved.mapInArrow(partial(_worked, task), SCHEMA)


def results(engine: SparkEngine, frame: DataFrame) -> list[Any]:
    """Return what packets hold that are pickles, in order of `at`: small things, that come to the driver.

    Raises:
        EngineError: Spark gave up.
        Exception: A task raised it; that of the earliest step, where several did.
    """
    from dataplat._spark._engine import _last_words

    try:
        table = frame.toArrow()
    except Exception as error:  # Spark's, and those of what speaks with Java
        raise EngineError(f"Spark could not finish its tasks: {_last_words(error)}") from error
    engine.returned += table.nbytes
    found = sorted(zip(*(table.column(name).to_pylist() for name in ("side", "at", "data")), strict=True))
    told = [(side, pickle.loads(data)) for side, _, data in found]  # noqa: S301 - our own tasks wrote them
    for side, each in told:
        if side == FAULT:
            raise each
    return [each for _, each in told]


def streamed(engine: SparkEngine, frame: DataFrame) -> Iterator[bytes]:
    """Yield what packets hold, partition after partition: a few of them are in the driver at a time.

    Raises:
        EngineError: Spark gave up.
        Exception: A task raised it.
    """
    from dataplat._spark._engine import _last_words

    rows = iter(frame.select("side", "data").toLocalIterator())
    while True:
        try:
            row = next(rows, None)
        except Exception as error:  # Spark's, and those of what speaks with Java
            raise EngineError(f"Spark could not finish its tasks: {_last_words(error)}") from error
        if row is None:
            return
        side, data = int(row[0]), bytes(row[1])
        if side == FAULT:
            raise pickle.loads(data)  # noqa: S301 - our own tasks wrote it
        engine.returned += len(data)
        yield data


def result(at: int, value: Any) -> Packet:
    """Return a packet for `results`."""
    from dataplat._spark._engine import dumped

    return Packet(0, SPINE, at, dumped(value))


def _of_pieces(
    work: Callable[[Any], Iterable[Packet]], sides: Iterator[tuple[int, Iterator[Packet]]]
) -> Iterator[Packet]:
    for _, packets in sides:
        for each in packets:
            yield from work(pickle.loads(each.data))  # noqa: S301 - the driver wrote it


def _worked(task: Task, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Do a task; an error becomes a packet, since Spark would try it three times more, and then hide it."""
    sides = groupby(_packets(batches), key=lambda each: each.side)
    try:
        yield from _batched(_unless_fault(task, sides))
    except Exception as error:  # noqa: BLE001 - it is raised where the work was asked for
        from dataplat._spark._engine import dumped, sendable

        yield from _batched([Packet(0, FAULT, 1, dumped(sendable(error)))])


def _unless_fault(task: Task, sides: Iterator[tuple[int, Iterator[Packet]]]) -> Iterator[Packet]:
    """Hand faults of earlier steps on, in the place of what could be made of the rest."""
    from itertools import chain

    first = next(sides, None)
    if first is None:
        yield from task(iter(()))
    elif first[0] == FAULT:
        for each in first[1]:
            yield Packet(0, FAULT, 0, each.data)
        for _, packets in sides:
            for _ in packets:
                pass
    else:
        yield from task(chain([first], sides))


def _packets(batches: Iterator[pa.RecordBatch]) -> Iterator[Packet]:
    for batch in batches:
        to, side, at, data = (batch.column(name) for name in ("to", "side", "at", "data"))
        for number in range(batch.num_rows):
            yield Packet(to[number].as_py(), side[number].as_py(), at[number].as_py(), data[number].as_py())


def _batched(packets: Iterable[Packet]) -> Iterator[pa.RecordBatch]:
    """Yield packets in batches: some megabytes together, so that few are in memory."""
    some: list[Packet] = []
    size = 0
    for each in packets:
        some.append(each)
        size += len(each.data)
        if size >= _TOGETHER:
            yield _batch(some)
            some, size = [], 0
    if some:
        yield _batch(some)


def _batch(packets: list[Packet]) -> pa.RecordBatch:
    import pyarrow as pa

    to, side, at, data = (list(map(itemgetter(number), map(_row, packets))) for number in range(4))
    return pa.record_batch(
        {
            "to": pa.array(to, pa.int32()),
            "side": pa.array(side, pa.int32()),
            "at": pa.array(at, pa.int64()),
            "data": pa.array(data, pa.binary()),
        }
    )


def _row(each: Packet) -> tuple[int, int, int, bytes]:
    return each.to, each.side, each.at, each.data
