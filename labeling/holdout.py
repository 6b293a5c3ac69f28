"""Rows that may never be labelled for training: the tasks that they would be, so that no queue asks them.

They are told by what identifies a task (`dataplat.labeling.task`), that is by content: whichever dataset or version a row
of the hold-out lies in, and whatever else is in it, a row of the source that shows the same is the same task. That holds
only where both have these columns, with values of one kind: `41` and `"41"` would never meet, and every row held out
would be asked. So this is looked at first.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from dataplat.errors import LabelError
from dataplat.labeling.task import task_ids
from dataplat.lake.canonical import family_tree
from dataplat.lake.schema import did_you_mean

if TYPE_CHECKING:
    import pyarrow as pa


def check_comparable(source: pa.Schema, other: pa.Schema, columns: Sequence[str], name: str) -> None:
    """Raise `LabelError` where rows of another dataset can never be the tasks of a source's rows.

    Args:
        source: The columns of what is asked about.
        other: Those of the other dataset.
        columns: What identifies a task.
        name: How the other dataset is called in messages.
    """
    for column in columns:
        if column not in other.names:
            raise LabelError(
                f"rows of {name} cannot be told among the tasks: it has no column {column!r}"
                f"{did_you_mean(column, other.names)}, and a task is told by {', '.join(columns)}"
            )
        asked, held = source.field(column).type, other.field(column).type
        if not _may_be_equal(asked, held):
            raise LabelError(
                f"rows of {name} cannot be told among the tasks: {column} is {held} there and {asked} in the source, "
                "so that no value of one is one of the other; bring them to one type"
            )


def _may_be_equal(one: pa.DataType, other: pa.DataType) -> bool:
    import pyarrow as pa

    families = family_tree(one), family_tree(other)
    if "null" in families:
        return True
    if pa.types.is_decimal(one) and pa.types.is_decimal(other):
        return bool(one.scale == other.scale)  # 1.5 and 1.50 are two values
    return families[0] == families[1]


def tasks_asked(batches: Iterable[pa.RecordBatch], columns: Sequence[str], queue: str) -> pa.StringArray:
    """Return the tasks that rows are, each once; in memory are these, at 36 bytes each, and one batch.

    Args:
        batches: Rows, with these columns at least.
        columns: What identifies a task.
        queue: The queue.
    """
    import pyarrow as pa

    found = [task_ids(batch, columns, queue).unique() for batch in batches]
    return pa.chunked_array(found, pa.string()).unique()
