"""A dataset t of three rows on two branches: what tests of merges begin with."""

from __future__ import annotations

import pyarrow as pa

KEY = ["id"]


def rows(**columns):
    """Return a table."""
    return pa.table(columns)


def shown(lake, reference="t"):
    """Return rows in order of their first column."""
    table = lake[reference].to_arrow()
    return table.sort_by(table.column_names[0]).to_pylist()


def upsert(lake, branch, **columns):
    """Upsert rows on a branch."""
    lake.ingest(rows(**columns), into="t", mode="upsert", branch=branch)
