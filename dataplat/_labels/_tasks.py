"""What becomes of a source's rows: tasks, in order, with what is prefilled; and what of a task goes to the server."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from dataplat.labeling.tables import KEYS, dataset, schema

if TYPE_CHECKING:
    import pyarrow as pa

    from dataplat._labels._state import State
    from dataplat._version import Version
    from dataplat.ingest._progress import Meter

Links: TypeAlias = "Callable[[State, dict[str, Any], str], str]"
"""What makes a link of a picture or a sound: of a queue, a row of `NAME.tasks`, and the column (`pages[2]` in a list)."""


@dataclass(frozen=True, slots=True)
class Tasks:
    """All tasks of a queue in order, how many of them are new, and how many were left out because they are held out."""

    table: pa.Table
    new: int
    held_out: int


def queue_tasks(state: State, meter: Meter, *, plan: bool) -> Tasks:
    """Find the tasks of the source's rows; commit those that are new, unless this is a plan."""
    import polars as pl

    from dataplat._frames import to_polars
    from dataplat._labels._gold import gold_tasks
    from dataplat._labels._order import ordered

    meter.enter("finding tasks")
    version, held = state.source, state.tasks
    found = to_polars(collected(state, version, state.spec.where))
    known = held["task"].to_pylist()
    fresh = found.filter(~pl.col("task").is_in(known))
    free = fresh.filter(~pl.col("task").is_in(list(_held_out(state))))
    held_out = fresh.height - free.height
    gold = gold_tasks(state, known)
    free = free.filter(~pl.col("task").is_in(gold["task"].to_pylist()))
    if not free.height and not gold.num_rows:
        return Tasks(held, 0, held_out)
    table = ordered(state, free.to_arrow(), gold)
    if not plan:
        import pyarrow as pa

        name = dataset(state.name, "tasks")
        message = f"label queue {state.name}: {table.num_rows - held.num_rows:,} tasks"
        lineage = [(version.dataset, version.id)]
        with state.lake.transaction(state.branch, message=message) as tx:
            state.check_unchanged(tx, "tasks", "queue")
            rows = table.select(schema("tasks").names).cast(schema("tasks"))
            assert isinstance(rows, pa.Table)
            tx.ingest(rows, into=name, mode="upsert", key=KEYS["tasks"], lineage=lineage)
    return Tasks(table, table.num_rows - held.num_rows, held_out)


def task_payload(state: State, row: dict[str, Any], links: Links) -> dict[str, Any]:
    """Return what the server is given of a task."""
    data = json.loads(row["data"])
    for column in state.config.media:
        value = data.get(column)
        if isinstance(value, list):
            data[column] = [links(state, row, f"{column}[{number}]") for number in range(len(value))]
        elif value is not None:
            data[column] = links(state, row, column)
    payload: dict[str, Any] = {"data": state.config.fit(data) | {"dataplat_id": row["task"]}}
    if row["prediction"] is not None:
        prediction = {"result": json.loads(row["prediction"]), "model_version": "dataplat"}
        if row["score"] is not None:
            prediction["score"] = row["score"]
        payload["predictions"] = [prediction]
    return payload


def _held_out(state: State) -> set[str]:
    """Return the tasks of rows that may never be labelled for training."""
    from dataplat.labeling.holdout import check_comparable, tasks_asked
    from dataplat.labeling.task import identity_columns

    columns, found = identity_columns(state.spec), set[str]()
    for reference in state.spec.holdout:
        other = state.referred(reference)
        check_comparable(state.source.schema, other.schema, columns, reference)
        found.update(tasks_asked(other.batches(columns=columns), columns, state.name).to_pylist())
    return found


def collected(state: State, version: Version, where: str | None) -> pa.Table:
    """Return the questions that a version's rows ask; only the columns that identify them are read."""
    from dataplat.labeling.task import collect, identity_columns
    from dataplat.lake.scan import scan
    from dataplat.lake.where import parse_where

    batches = scan(
        version.objects,
        version.parts,
        version.manifest.schema,
        columns=identity_columns(state.spec),
        where=None if where is None else parse_where(where, version.schema),
        with_positions=True,
    )
    return collect(batches, state.spec, state.config, parts=[part.id for part in version.parts]).tasks
