"""What `pyarrow.json` does not look at, told in whole blocks at once."""

from __future__ import annotations

from functools import reduce

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dataplat.connectors.files import _types as t
from dataplat.connectors.files._records import Bytes8


def is_utf8(data: Bytes8) -> bool:
    """Return whether the text is UTF-8, which the parser does not ask."""
    bounds = pa.py_buffer(np.array([0, len(data)]))
    text = pa.Array.from_buffers(pa.large_binary(), 1, [None, bounds, pa.py_buffer(data)])
    return t.castable(text, pa.large_string())


def begins_with_object(data: Bytes8) -> bool:
    """Return whether the first thing is an object: a `null` there ends the process (a fault of pyarrow 26)."""
    head: bytes = data[:256].tobytes().lstrip()
    return head.startswith(b"{")


def has_empty_row(batch: pa.RecordBatch) -> bool:
    """Return whether a row has no value at all: the parser makes one of a line that says `null`."""
    if not batch.columns:
        return True
    if not all(column.null_count for column in batch.columns):
        return False
    filled = [column.is_valid() for column in batch.columns]
    return not pc.all(reduce(pc.or_, filled), min_count=0).as_py()


def has_forbidden_null(batch: pa.RecordBatch) -> bool:
    """Return whether a column that is declared as never null has one."""
    pairs = zip(batch.schema, batch.columns, strict=True)
    return any(column.null_count for field, column in pairs if not field.nullable)


def may_lose(array: pa.Array) -> bool:
    """Return whether float64, at any depth, may have lost digits of an integer, or overflowed."""
    if pa.types.is_floating(array.type):
        bounds = pc.min_max(array).as_py()
        low, high = bounds["min"], bounds["max"]
        lost: bool = low is not None and max(-low, high) >= t.EXACT_IN_FLOAT
        return lost
    if pa.types.is_struct(array.type):
        return any(may_lose(inner) for inner in array.flatten())
    if pa.types.is_list(array.type):
        return may_lose(array.flatten())
    return False
