"""Puts new tasks in order behind those that the queue has; gold tasks are dealt out among the others as they are placed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dataplat.labeling.tables import schema

if TYPE_CHECKING:
    import pyarrow as pa

    from dataplat._labels._state import State


def ordered(state: State, fresh: pa.Table, gold: pa.Table) -> pa.Table:
    """Return all tasks: those that are held as they are, then `fresh` and `gold` ones in order.

    `fresh` has task, data, rows, part, row; `gold` these and `expected`.
    """
    import pyarrow as pa

    from dataplat._labels._prelabel import prelabels

    held = state.tasks
    rows = _columns(prelabels(state, _arranged(state, fresh)))
    mixed = pa.concat_tables([rows, _columns(_with(gold, "stream", "gold"))])
    first = 0 if not held.num_rows else int(held["position"][-1].as_py()) + 1
    places = pa.array(range(first, first + mixed.num_rows), pa.int64())
    mixed = mixed.set_column(mixed.schema.get_field_index("position"), schema("tasks").field("position"), places)
    return pa.concat_tables([held, mixed]).sort_by("position")


def _arranged(state: State, fresh: pa.Table) -> pa.Table:
    """Return new tasks in the order in which they are to be asked, with how each was drawn."""
    if state.spec.order is None or not fresh.num_rows:
        return _with(fresh, "stream", "fixed")
    from dataplat._labels._scores import context
    from dataplat.labeling.order import plan, scores

    tasks = fresh["task"].to_pylist()
    points = scores(state.spec.order, context(state, tasks))
    drawn = plan(state.spec.order, tasks, points, seed=state.name)
    for name in ("position", "stream", "rate", "arrival", "probability"):
        fresh = fresh.append_column(name, drawn[name])
    return fresh.sort_by("position")


def _columns(table: pa.Table) -> pa.Table:
    """Return the table with the columns of `NAME.tasks`, null where it has none."""
    import pyarrow as pa

    wanted = schema("tasks")
    arrays: list[Any] = [
        table[field.name].cast(field.type) if field.name in table.schema.names else pa.nulls(table.num_rows, field.type)
        for field in wanted
    ]
    return pa.Table.from_arrays(arrays, schema=wanted)


def _with(table: pa.Table, name: str, value: str) -> pa.Table:
    import pyarrow as pa

    column = pa.array([value] * table.num_rows, pa.string())
    at = table.schema.get_field_index(name)
    return table.append_column(name, column) if at < 0 else table.set_column(at, name, column)
