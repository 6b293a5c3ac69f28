"""A lake of rows that are asked about, and what orders look at of it."""

from __future__ import annotations

import pyarrow as pa
import pytest

from dataplat.labeling.order import Context
from dataplat.labeling.task import task_ids

QUEUE = "q"


def ids_of(table, columns):
    """Return the tasks of rows, by these columns."""
    found = [task_ids(batch, columns, QUEUE) for batch in table.to_batches()]
    return pa.concat_arrays(found) if found else pa.array([], pa.string())


@pytest.fixture
def make_context(new_lake):
    """Return a function that lands tables in a lake in memory and gives a context whose tasks are the rows of `source`."""

    def make(source, columns=("id",), *, asked=(), changes=None, **others):
        lake = new_lake()
        for name, table in {"source": source, **others}.items():
            lake.ingest(pa.table(table), into=name)
        rows = lake["source"]
        tasks = list(dict.fromkeys(ids_of(rows.to_arrow(columns=list(columns)), columns).to_pylist()))
        return Context(
            tasks=[task for task in tasks if task not in asked],
            source=rows,
            version=lambda reference: lake[reference],
            task_ids=lambda table: ids_of(table, columns),
            columns=tuple(columns),
            asked=frozenset(asked),
            changes=changes,
        )

    return make
