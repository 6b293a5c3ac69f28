"""Measures parts: some columns at a time, so that memory is bounded, by a few threads."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Final, TypeAlias

import pyarrow as pa

from dataplat.validation.profile._column import ColumnProfile
from dataplat.validation.profile._measure import measured

Read: TypeAlias = Callable[[Sequence[str]], Iterable[pa.RecordBatch]]
"""Reads some columns of the rows of a part."""

_AT_ONCE: Final = 64 << 20  # bytes of numbers, of the columns that one thread measures at once
_PER_NUMBER: Final = 16  # bytes while it is sorted


@dataclass(frozen=True, slots=True)
class Rows:
    """A part whose rows are to be measured: how many there are about, which columns are wanted, and how to read them."""

    rows: int
    columns: pa.Schema
    read: Read


def measure_all(parts: Iterable[Rows], threads: int) -> Iterator[dict[str, ColumnProfile]]:
    """Yield what is known of each part, in order; `threads` measure some columns of a part each."""
    tasks = ((rows, group) for rows in parts for group in _groups(rows))
    with ThreadPoolExecutor(threads, thread_name_prefix="dataplat-profile") as pool:
        waiting: deque[tuple[Rows, Future[dict[str, ColumnProfile]]]] = deque()

        def ahead(number: int) -> None:
            for rows, group in islice(tasks, number):
                waiting.append((rows, pool.submit(_measured, rows, group)))

        ahead(threads + 1)
        known: dict[str, ColumnProfile] = {}
        try:
            while waiting:
                rows, future = waiting.popleft()
                known |= future.result()
                ahead(1)
                if len(known) == len(rows.columns):
                    yield known
                    known = {}
        finally:
            for _, future in waiting:
                future.cancel()


def _measured(rows: Rows, group: pa.Schema) -> dict[str, ColumnProfile]:
    return measured(rows.read(group.names), group)


def _groups(rows: Rows) -> Iterator[pa.Schema]:
    size = max(1, _AT_ONCE // (max(rows.rows, 1) * _PER_NUMBER))
    fields = list(rows.columns)
    for start in range(0, max(len(fields), 1), size):
        yield pa.schema(fields[start : start + size])
