"""From rows to tasks: which task each row is, and what several rows of one say together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

import numpy as np
import polars as pl
import pyarrow as pa

from dataplat.errors import BadColumn
from dataplat.labeling.order._context import Context, Rows
from dataplat.lake.schema import did_you_mean

Array: TypeAlias = np.ndarray[Any, Any]

TASK = "task"


def read(context: Context, rows: Rows, columns: Sequence[str], title: str) -> tuple[pa.Array, pa.Table]:
    """Return the task of each row, and these columns of it.

    Rows say which task they are by the columns that identify one, or by a column `task` of ids.

    Raises:
        BadColumn: A column is not there, or nothing says which tasks the rows are.
    """
    names = rows.schema.names
    for name in columns:
        if name not in names:
            raise BadColumn(f"no column {name!r} in {title}{did_you_mean(name, names)}")
    missing = [name for name in context.columns if name not in names]
    if missing and TASK not in names:
        raise BadColumn(
            f"{title} does not say which tasks its rows are: it has no column {missing[0]!r}, which identifies them, and no `task` of ids"
        )
    by = list(context.columns) if not missing else [TASK]
    table = rows.to_arrow(columns=list(dict.fromkeys((*by, *columns))))
    ids = context.task_ids(table.select(by)) if not missing else table.column(TASK).cast(pa.string())
    return (ids.combine_chunks() if isinstance(ids, pa.ChunkedArray) else ids), table.select(list(columns))


def by_task(context: Context, ids: Any, values: Any, together: Literal["mean", "max"] = "max") -> Array:
    """Return one value for each task of the context, NaN where no row has one.

    Args:
        context: whose tasks.
        ids: the task of each row.
        values: a number for each row; NaN says nothing.
        together: what several rows of one task say.
    """
    frame = pl.DataFrame({TASK: _texts(ids), "value": pl.Series(np.asarray(values, np.float64), nan_to_null=True)})
    value = pl.col("value").mean() if together == "mean" else pl.col("value").max()
    found = _wanted(context).join(frame.group_by(TASK).agg(value), on=TASK, how="left", maintain_order="left")
    return found["value"].cast(pl.Float64).fill_null(float("nan")).to_numpy()


def first_rows(context: Context, ids: Any) -> Array:
    """Return the number of the first row of each task of the context, -1 where there is none."""
    frame = pl.DataFrame({TASK: _texts(ids)}).with_row_index("at").group_by(TASK).agg(pl.col("at").min())
    found = _wanted(context).join(frame, on=TASK, how="left", maintain_order="left")
    return found["at"].cast(pl.Int64).fill_null(-1).to_numpy()


def _wanted(context: Context) -> pl.DataFrame:
    return pl.DataFrame({TASK: pl.Series(list(context.tasks), dtype=pl.String)})


def _texts(ids: Any) -> pl.Series:
    found = pl.Series(pl.from_arrow(ids)) if isinstance(ids, pa.Array | pa.ChunkedArray) else pl.Series(ids)
    return found.cast(pl.String)
