"""Rows of datasets, by the task that they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dataplat.errors import BadColumn

if TYPE_CHECKING:
    import pyarrow as pa

    from dataplat._labels._state import State
    from dataplat._version import Version


def source_rows(state: State, version: Version, columns: Sequence[str]) -> pa.Table:
    """Return rows of the source that are asked about, with `task` before the columns asked for."""
    from dataplat.labeling.task import identity_columns, task_ids

    names = list(dict.fromkeys([*identity_columns(state.spec), *columns]))
    table = version.to_arrow(columns=names, where=state.spec.where)
    import pyarrow as pa

    ids = pa.chunked_array(
        [task_ids(batch, identity_columns(state.spec), state.name) for batch in table.to_batches()], type=pa.string()
    )
    return table.select(list(columns)).add_column(0, "task", ids)


def tasks_of(state: State, version: Version, other: Version, columns: Sequence[str], where: Any = None) -> pa.Table:
    """Return rows of another dataset with the task that each belongs to.

    It has the columns that identify a task, or the key of the source; else `BadColumn` says so.
    """
    import pyarrow as pa

    from dataplat._labels._consensus import frame
    from dataplat.labeling.task import identity_columns, task_ids

    there, wanted = set(other.schema.names), identity_columns(state.spec)
    if there.issuperset(wanted):
        table = other.to_arrow(columns=list(dict.fromkeys([*wanted, *columns])), where=where)
        ids = [task_ids(batch, wanted, state.name) for batch in table.to_batches()]
        return table.select(list(columns)).add_column(0, "task", pa.chunked_array(ids, type=pa.string()))
    key = list(version.key)
    if not key or not there.issuperset(key):
        raise BadColumn(
            f"{other.dataset} cannot be joined to the tasks of {state.name}: it has neither {', '.join(wanted)} nor "
            f"{'the key ' + ', '.join(key) if key else 'a key'} of {version.dataset}"
        )
    rows = frame(source_rows(state, version, key))
    given = frame(other.to_arrow(columns=list(dict.fromkeys([*key, *columns])), where=where))
    return (
        rows.join(given, on=key, how="inner")
        .unique("task", keep="first", maintain_order=True)
        .drop([name for name in key if name not in columns])
        .to_arrow()
    )
