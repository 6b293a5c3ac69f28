"""What users corrected, the newest first."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import polars as pl

from dataplat.labeling.order._context import Context
from dataplat.labeling.order._policies import Corrections
from dataplat.labeling.order._tasks import by_task, read

Array: TypeAlias = np.ndarray[Any, Any]


def corrected(order: Corrections, context: Context) -> Array:
    """Return 1 for the task corrected last, 1/2 for the one before it, and so on; 0 where nothing was corrected."""
    ids = _newest_first(order, context).unique(maintain_order=True)
    wanted = ids.is_in(list(context.tasks))
    ranks = 1 / np.arange(1.0, int(wanted.sum()) + 1)
    return np.nan_to_num(by_task(context, ids.filter(wanted), ranks))


def _newest_first(order: Corrections, context: Context) -> pl.Series:
    """Return the tasks that were corrected, the newest first."""
    changes = None if order.time is not None or context.changes is None else context.changes(order.ref)
    if changes is not None:
        found = [_texts(read(context, _Table(table), [], order.ref)[0]) for table in changes]
        return pl.concat([pl.Series([], dtype=pl.String), *found])
    ids, table = read(context, context.version(order.ref), [order.time] if order.time else [], order.ref)
    if order.time is None:
        return _texts(ids).reverse()
    times = pl.Series("time", pl.from_arrow(table.column(order.time)))
    frame = pl.DataFrame({"task": _texts(ids), "time": times})
    return frame.sort("time", descending=True, nulls_last=True, maintain_order=True)["task"]


def _texts(ids: Any) -> pl.Series:
    return pl.Series(pl.from_arrow(ids)).cast(pl.String)


class _Table:
    """A table as rows of a version."""

    def __init__(self, table: Any) -> None:
        self.schema = table.schema
        self._table = table

    def to_arrow(self, *, columns: Any = None, where: Any = None) -> Any:
        del where
        return self._table if columns is None else self._table.select(columns)
