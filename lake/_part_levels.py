"""Counts the values that Parquet stores for nested columns, to be held against the footer.

A page's CRC does not cover its header. Of all bits of a header, turning one in the count of its values is the only
one that nothing else notices, and only in a column with lists: the last list of the page is cut short, in
silence (found by turning every bit of a part). The footer, whose hash is known, holds the right count.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyarrow import types


def stored_values(column: pa.ChunkedArray) -> list[int]:
    """Return how many values (null and empty lists count as one) each Parquet column of `column` stores."""
    totals: list[int] = []
    for chunk in column.chunks:
        counts = [int(per_row.sum()) for per_row in _values_per_row(chunk)]
        totals = counts if not totals else [a + b for a, b in zip(totals, counts, strict=True)]
    return totals


def _values_per_row(array: pa.Array) -> Iterator[npt.NDArray[np.int64]]:
    """Yield for each leaf how many values every row of `array` stores."""
    kind = array.type
    if types.is_struct(kind):
        for i in range(kind.num_fields):
            yield from _values_per_row(array.field(i))
    elif types.is_map(kind):
        for side in (array.keys, array.items):
            yield from _summed(array, side, array.offsets.to_numpy())
    elif types.is_list(kind) or types.is_large_list(kind):
        yield from _summed(array, array.values, array.offsets.to_numpy())
    elif types.is_fixed_size_list(kind):
        offsets = np.arange(array.offset, array.offset + len(array) + 1) * kind.list_size
        yield from _summed(array, array.values, offsets)
    else:
        yield np.ones(len(array), dtype=np.int64)


def _summed(array: pa.Array, values: pa.Array, offsets: npt.NDArray[np.integer]) -> Iterator[npt.NDArray[np.int64]]:
    for inner in _values_per_row(values):
        before = np.concatenate([[0], np.cumsum(inner)])
        rows = before[offsets[1:]] - before[offsets[:-1]]
        rows[array.is_null().to_numpy(zero_copy_only=False) | (rows == 0)] = 1
        yield rows
