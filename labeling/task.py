"""Tasks: what identifies a question, what of its rows is shown, and which questions a dataset version asks.

    task id = mix(row digest ^ salt(queue)), both lanes, as 32 hex digits

The row digest is that of the content id over the columns shown and the key (`dataplat.lake.content_id`): it depends on
canonical values alone, so that neither engine nor encoding nor columns that nobody sees change a task.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np
import pyarrow as pa

from dataplat.errors import LabelConfigError
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


@dataclass(frozen=True, slots=True)
class Collected:
    """The questions of a version. `tasks` has the columns task, data, rows, part and row of a queue's tasks; `rows` counts all."""

    tasks: pa.Table
    rows: int


def identity_columns(spec: QueueSpec) -> tuple[str, ...]:
    """Return the columns that identify a task of a queue: those shown, then those of the key."""
    return tuple(dict.fromkeys((*spec.show, *spec.key)))


def task_ids(batch: pa.RecordBatch, columns: Sequence[str], queue: str) -> pa.StringArray:
    """Return the task of every row: 32 hex digits over the queue and the values of `columns`.

    Raises:
        LabelConfigError: A column is not there.
        SchemaError: A column's type has no canonical values.
    """
    return _hex(_lanes(batch, columns, queue))


def payload(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of a row as JSON can hold them."""
    return {name: plain_value(value) for name, value in row.items()}


def collect(
    batches: Iterable[pa.RecordBatch],
    spec: QueueSpec,
    config: LabelConfig,
    *,
    parts: Sequence[str] = (),
    forbidden: frozenset[str] = frozenset(),
) -> Collected:
    """Return the questions that rows ask, each once, in the order of the first row that asks it.

    Args:
        batches: As `dataplat.lake.scan.scan` gives them with `with_positions`; without positions part and row are null.
        spec: The queue.
        config: Its label config.
        parts: The ids of the parts that positions speak of.
        forbidden: Tasks that are left out.
    """
    columns = identity_columns(spec)
    found: dict[str, int] = {}
    counts: list[int] = []
    made: list[tuple[str, str | None, int | None]] = []
    total = 0
    for batch in batches:
        ids = task_ids(batch, columns, spec.name).to_pylist()
        total += batch.num_rows
        fresh = []
        for row, task in enumerate(ids):
            if task in found:
                counts[found[task]] += 1
            elif task not in forbidden:
                found[task] = len(counts)
                counts.append(1)
                fresh.append(row)
        made += _made(batch.take(pa.array(fresh, pa.int64())), spec, parts)
    data, part, row_ = zip(*made, strict=True) if made else ((), (), ())
    return Collected(
        pa.table(
            {
                "task": pa.array(list(found), pa.string()),
                "data": pa.array(data, pa.string()),
                "rows": pa.array(counts, pa.int64()),
                "part": pa.array(part, pa.string()),
                "row": pa.array(row_, pa.int64()),
            }
        ),
        total,
    )


def _made(rows: pa.RecordBatch, spec: QueueSpec, parts: Sequence[str]) -> Iterator[tuple[str, str | None, int | None]]:
    shown = plain_rows(rows.select(list(spec.show)))
    if PART_COLUMN in rows.schema.names:
        places = zip(rows.column(PART_COLUMN).to_pylist(), rows.column(ROW_COLUMN).to_pylist(), strict=True)
        where: list[tuple[str | None, int | None]] = [(parts[part], row) for part, row in places]
    else:
        where = [(None, None)] * rows.num_rows
    for data, (part, row) in zip(shown, where, strict=True):
        yield msgspec.json.encode(data).decode(), part, row


def _lanes(batch: pa.RecordBatch, columns: Sequence[str], queue: str) -> npt.NDArray[np.uint64]:
    for name in columns:
        if name not in batch.schema.names:
            raise LabelConfigError(f"no column {name!r} to identify a task by{did_you_mean(name, batch.schema.names)}")
    digests = np.array(row_digests(batch.select(list(columns))))
    for lane, word in enumerate(lane_words(f"label-task:{queue}")):
        digests[:, lane] = mix(lane, np.ascontiguousarray(digests[:, lane]) ^ np.uint64(word))
    return digests


def _hex(lanes: npt.NDArray[np.uint64]) -> pa.StringArray:
    raw = np.ascontiguousarray(lanes).astype(">u8").view(np.uint8)
    text = np.ascontiguousarray(_HEX[raw])
    offsets = np.arange(0, 32 * len(lanes) + 1, 32, dtype=np.int32)
    return pa.StringArray.from_buffers(len(lanes), pa.py_buffer(offsets), pa.py_buffer(text.tobytes()))
