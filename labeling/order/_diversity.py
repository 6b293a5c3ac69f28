"""What is unlike everything that was asked before: k-centre, greedily."""

from __future__ import annotations

from typing import Any, Final, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dataplat.errors import BadColumn, ConfigError
from dataplat.labeling.order._context import Context
from dataplat.labeling.order._policies import Diversity
from dataplat.labeling.order._tasks import first_rows, read

Array: TypeAlias = np.ndarray[Any, Any]

_LISTS: Final = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)


def apart(order: Diversity, context: Context) -> Array:
    """Return how early each task comes: as many as there are tasks for the first, 1 for the last; NaN without a row."""
    if not order.columns:
        raise ConfigError("diversity is by columns: diversity(['x', 'y'])")
    rows = context.source if order.ref is None else context.version(order.ref)
    ids, table = read(context, rows, order.columns, order.ref or "the source")
    points = _points(table)
    at = first_rows(context, ids)
    there = np.flatnonzero(at >= 0)
    found = np.full(len(context.tasks), np.nan)
    if not len(there):
        return found
    there = there[
        np.argsort(np.array(context.tasks, object)[there], kind="stable")
    ]  # by id: whatever order they came in
    before = np.flatnonzero(pc.is_in(ids, pa.array(sorted(context.asked), pa.string())).to_numpy(zero_copy_only=False))
    order_ = k_centre(points[at[there]], order.centres, order.seed, points[before[: order.centres]])
    found[there[order_]] = np.arange(len(there), 0, -1)
    return found


def k_centre(points: Array, centres: int, seed: int, before: Array | None = None) -> Array:
    """Return the points in the order of their distance from all before them: the next is the farthest from its nearest.

    No other choice of k centres leaves every point less than half as far from its nearest (Gonzalez 1985). Takes time in
    proportion to centres x points.

    Args:
        points: rows of coordinates.
        centres: how many are chosen so; the rest come by their distance from these.
        seed: which comes first, where nothing was before.
        before: centres that are there already.
    """
    near = np.full(len(points), np.inf)
    for centre in before if before is not None else ():
        np.minimum(near, _away(points, centre), out=near)
    chosen: list[int] = []
    left = np.ones(len(points), bool)
    for _ in range(min(centres, len(points))):
        if chosen or not np.isinf(near[0]):
            following = int(np.where(left, near, -1.0).argmax())
        else:
            following = int(np.random.default_rng(seed).integers(len(points)))
        chosen.append(following)
        left[following] = False
        np.minimum(near, _away(points, points[following]), out=near)
    rest = np.flatnonzero(left)
    return np.concatenate((np.array(chosen, np.int64), rest[np.argsort(-near[rest], kind="stable")]))


def _away(points: Array, centre: Array) -> Array:
    found: Array = ((points - centre) ** 2).sum(axis=1)
    return found


def _points(table: pa.Table) -> Array:
    """Return rows of coordinates: a column of unit variance each, or a list of unit variance in all; gaps are the mean."""
    blocks = []
    for name in table.column_names:
        block = _block(table.column(name), name)
        there = np.isfinite(block)
        count = np.maximum(there.sum(axis=0), 1)
        centred = np.where(there, block - np.where(there, block, 0.0).sum(axis=0) / count, 0.0)
        spread = np.sqrt((centred**2).sum(axis=0).sum() / max(there.sum(), 1) * block.shape[1])
        blocks.append(centred / spread if spread > 0 else centred)
    return np.hstack(blocks)


def _block(column: pa.ChunkedArray, name: str) -> Array:
    if any(is_list(column.type) for is_list in _LISTS):
        rows = column.to_pylist()
        lengths = {len(row) for row in rows if row is not None}
        if len(lengths) > 1:
            raise BadColumn(
                f"the lists of column {name!r} are of {min(lengths)} to {max(lengths)} numbers: embeddings have one length"
            )
        width = lengths.pop() if lengths else 1
        return np.array([row if row is not None else [np.nan] * width for row in rows], np.float64).reshape(-1, width)
    try:
        return np.asarray(pc.cast(column, pa.float64(), safe=False).fill_null(np.nan))[:, None]
    except pa.ArrowException as error:
        raise BadColumn(f"diversity is by numbers, and column {name!r} holds {column.type}") from error
