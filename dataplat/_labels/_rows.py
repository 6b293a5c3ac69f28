"""Rows of datasets, by the task that they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dataplat._frames import to_polars
from dataplat.errors import BadColumn

if TYPE_CHECKING:
    import pyarrow as pa

    from dataplat._labels._state import State
    from dataplat._version import Version


def source_rows(state: State, columns: Sequence[str]) -> pa.Table:
    """Return rows of the source that are asked about, with `task` before the columns asked for."""
    return _with_tasks(state, state.source, columns, state.spec.where)


def tasks_of(state: State, other: Version, columns: Sequence[str], where: Any = None) -> pa.Table:
    """Return rows of another dataset with the task that each belongs to.

    It has the columns that identify a task, or the key of the source; else `BadColumn` says so.
    """
    from dataplat.labeling.task import identity_columns

    there, wanted = set(other.schema.names), identity_columns(state.spec)
    if there.issuperset(wanted):
        return _with_tasks(state, other, columns, where)
    version = state.source
    key = list(version.key)
    if not key or not there.issuperset(key):
        raise BadColumn(
            f"{other.dataset} cannot be joined to the tasks of {state.name}: it has neither {', '.join(wanted)} nor "
            f"{'the key ' + ', '.join(key) if key else 'a key'} of {version.dataset}"
        )
    rows = to_polars(source_rows(state, key))
    given = to_polars(other.to_arrow(columns=list(dict.fromkeys([*key, *columns])), where=where))
    return (
        rows.join(given, on=key, how="inner")
        .unique("task", keep="first", maintain_order=True)
        .drop([name for name in key if name not in columns])
        .to_arrow()
    )


def _with_tasks(state: State, version: Version, columns: Sequence[str], where: Any) -> pa.Table:
    """Return rows that have all that identifies a task, with `task` before the columns asked for."""
    from dataplat.labeling.task import identity_columns, tasks_of_rows

    wanted = identity_columns(state.spec)
    table = version.to_arrow(columns=list(dict.fromkeys([*wanted, *columns])), where=where)
    return table.select(list(columns)).add_column(0, "task", tasks_of_rows(table, wanted, state.name))
