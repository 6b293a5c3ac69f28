"""The lake that tests of merges begin with."""

from __future__ import annotations

import pytest

from .shop import KEY, rows  # noqa: TID252


@pytest.fixture
def lake(memory_lake):
    """Return a lake whose dataset t has three rows, with a branch exp."""
    memory_lake.ingest(rows(id=[1, 2, 3], a=[1, 1, 1], b=["x", "x", "x"]), into="t", key=KEY)
    memory_lake.branch("exp")
    return memory_lake
