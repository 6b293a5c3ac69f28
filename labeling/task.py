"""Tasks: what identifies a question, what of its rows is shown, and which questions a dataset version asks.

    task id = mix(row digest ^ salt(queue)), both lanes, as 32 hex digits

The row digest is that of the content id, over the columns shown and the key (`dataplat.lake.content_id`): it depends on
canonical values alone, so that neither engine nor encoding nor columns that nobody sees change a task.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np
import pyarrow as pa

from dataplat.errors import LabelConfigError
from dataplat.labeling._config_fit import ID
from dataplat.labeling._payload import plain_rows, plain_value
from dataplat.lake._hashing import lane_words, mix
from dataplat.lake.content_id import row_digests
from dataplat.lake.scan import PART_COLUMN, ROW_COLUMN
from dataplat.lake.schema import did_you_mean

if TYPE_CHECKING:
    import numpy.typing as npt

    from dataplat.labeling.config import LabelConfig
    from dataplat.labeling.spec import QueueSpec

_HEX: Final = np.frombuffer(b"".join(b"%02x" % byte for byte in range(256)), "<u2")
_QUESTIONS: Final = pa.schema({"task": pa.string(), "data": pa.string(), "part": pa.string(), "row": pa.int64()})


@dataclass(frozen=True, slots=True)
class Collected:
    """The questions that rows ask: `tasks` has the columns task, data, rows, part and row; `rows` counts all that were read."""

    tasks: pa.Table
    rows: int


def identity_columns(spec: QueueSpec) -> tuple[str, ...]:
    """Return the columns that identify a task of a queue: those shown, then those of the key."""
    return tuple(dict.fromkeys((*spec.show, *spec.key)))


def task_ids(batch: pa.RecordBatch, columns: Sequence[str], queue: str) -> pa.StringArray:
    """Return the task of every row: 32 hex digits over the queue and the values of `columns`.

    The order of the columns says nothing; a whole number and a fraction of one value are two values.

    Raises:
        LabelConfigError: A column is not there.
        SchemaError: A column's type has no canonical values.
    """
    return _hex(_big_endian(batch, columns, queue))


def tasks_of_rows(table: pa.Table, columns: Sequence[str], queue: str) -> pa.StringArray:
    """Return the task of every row of a table, as `task_ids`."""
    found = [task_ids(batch, columns, queue) for batch in table.to_batches()]
    return pa.concat_arrays(found) if found else pa.array([], pa.string())


def payload(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of a row as JSON can hold them."""
    return {name: plain_value(value) for name, value in row.items()}


def collect(
    batches: Iterable[pa.RecordBatch],
    spec: QueueSpec,
    config: LabelConfig,
    *,
    parts: Sequence[str] = (),
    without: Collection[str] = (),
) -> Collected:
    """Return the questions that rows ask, each once, in the order of the first row that asks it.

    Beside the questions themselves, and 100 bytes for each, one batch is in memory.

    Args:
        batches: As `dataplat.lake.scan.scan` gives them with `with_positions`; without positions part and row are null.
        spec: The queue.
        config: Its label config.
        parts: The ids of the parts that positions speak of.
        without: Tasks to leave out: known ones, or those held out.

    Raises:
        LabelConfigError: A column is not there, or the config does not fit what is.
    """
    columns = identity_columns(spec)
    questions = _Questions({bytes.fromhex(task): -1 for task in without})
    pieces: list[pa.RecordBatch] = []
    total = 0
    for batch in batches:
        if not total:
            config.check(batch.schema, spec.show)
        ids = _big_endian(batch, columns, spec.name)
        fresh = pa.array(questions.note(ids), pa.int64())
        if len(fresh):
            pieces.append(_asked(_hex(ids).take(fresh), batch.take(fresh), spec, parts))
        total += batch.num_rows
    tasks = pa.Table.from_batches(pieces, _QUESTIONS)
    return Collected(tasks.add_column(2, "rows", pa.array(questions.counts, pa.int64())), total)


class _Questions:
    """How often each question was asked; those with number -1 are not asked."""

    def __init__(self, numbers: dict[bytes, int]) -> None:
        self._numbers = numbers
        self.counts: list[int] = []

    def note(self, ids: npt.NDArray[np.uint8]) -> list[int]:
        """Count the questions of a batch, and return the rows that ask one that nobody asked before."""
        raw, numbers, counts = ids.tobytes(), self._numbers, self.counts
        fresh = []
        for row in range(len(ids)):
            task = raw[16 * row : 16 * row + 16]
            number = numbers.get(task)
            if number is None:
                numbers[task] = len(counts)
                counts.append(1)
                fresh.append(row)
            elif number >= 0:
                counts[number] += 1
        return fresh


def _asked(tasks: pa.StringArray, rows: pa.RecordBatch, spec: QueueSpec, parts: Sequence[str]) -> pa.RecordBatch:
    """Return the questions of rows, with what is shown of them as JSON and where they lie."""
    data = [msgspec.json.encode(row).decode() for row in plain_rows(rows.select(list(spec.show)))]
    part, row = pa.nulls(len(tasks), pa.string()), pa.nulls(len(tasks), pa.int64())
    if PART_COLUMN in rows.schema.names:
        part = pa.array(parts, pa.string()).take(rows.column(PART_COLUMN))
        row = rows.column(ROW_COLUMN).cast(pa.int64())
    return pa.RecordBatch.from_arrays([tasks, pa.array(data, pa.string()), part, row], schema=_QUESTIONS)


def _big_endian(batch: pa.RecordBatch, columns: Sequence[str], queue: str) -> npt.NDArray[np.uint8]:
    """Return the task of every row as 16 bytes."""
    for name in columns:
        if name not in batch.schema.names:
            raise LabelConfigError(f"no column {name!r} to identify a task by{did_you_mean(name, batch.schema.names)}")
    digests = row_digests(batch, pa.schema([batch.schema.field(name) for name in columns]))
    ids = np.empty((len(digests), 2), ">u8")
    for lane, word in enumerate(lane_words(f"label-task:{queue}")):
        ids[:, lane] = mix(lane, digests[:, lane] ^ np.uint64(word))
    return ids.view(np.uint8)


def _hex(ids: npt.NDArray[np.uint8]) -> pa.StringArray:
    offsets = np.arange(0, 32 * len(ids) + 1, 32, dtype=np.int32)
    return pa.StringArray.from_buffers(len(ids), pa.py_buffer(offsets), pa.py_buffer(_HEX[ids].tobytes()))


__all__ = ["ID", "Collected", "collect", "identity_columns", "payload", "task_ids"]
