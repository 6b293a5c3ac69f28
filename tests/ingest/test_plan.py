"""A plan says what an ingest would do, and touches nothing."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pytest

import dataplat as dp
from dataplat._lake import Lake


def test_touches_nothing(memory_lake: Lake, write: Any, listing: Any) -> None:
    """After a plan, for a new dataset and an old one, the store holds exactly what it held."""
    path = write("a.csv", "id,x\n1,a\n2,b\n")
    for _ in range(2):
        before = listing(memory_lake)
        memory_lake.plan_ingest(path, "d", key="id")
        memory_lake.plan_ingest(path, "d", mode="replace")
        memory_lake.plan_ingest(pa.table({"id": [1], "x": ["a"]}), "d", mode="upsert", key="id")
        assert listing(memory_lake) == before
        memory_lake.ingest(path, "d", key="id")


def test_says_what_would_be_read(memory_lake: Lake, write: Any) -> None:
    """New files are to be read, those that landed are left out with the reason, types are shown."""
    first = write("in/a.csv", "id,x\n1,a\n")
    memory_lake.ingest(first, "d")
    second = write("in/b.csv", "id,x,y\n2,b,3\n")
    plan = memory_lake.plan_ingest(second.parent, "d")
    assert [split.label for split in plan.to_read] == [str(second)]
    assert [split.label for split in plan.skipped] == [str(first)]
    assert plan.schema_changes == ["adds column y (int64)"]
    told = plan.to_dict()
    assert told["bytes"] == second.stat().st_size
    assert told["skipped"][0]["reason"].startswith("already ingested")
    assert json.loads(json.dumps(told)) == told
    assert any("read" in line and "b.csv" in line for line in plan.lines())


def test_of_a_new_dataset(memory_lake: Lake, write: Any) -> None:
    """A dataset that is not there yet is planned with its columns."""
    plan = memory_lake.plan_ingest(write("a.csv", "id,x\n1,a\n"), "d", key="id", sort="x")
    assert plan.existing is None
    assert "would append to d@main (a new dataset)" in plan.lines()
    assert "  column id: int64" in plan.lines()
    assert (plan.to_dict()["key"], plan.to_dict()["sort"], plan.to_dict()["exists"]) == (["id"], ["x"], False)


def test_of_what_has_landed(memory_lake: Lake, write: Any) -> None:
    """Where everything has landed there is nothing to do."""
    path = write("a.csv", "id\n1\n")
    memory_lake.ingest(path, "d")
    plan = memory_lake.plan_ingest(path, "d")
    assert (plan.nbytes, plan.schema) == (0, None)
    assert "  nothing to do: everything has landed already" in plan.lines()


def test_what_would_fail_fails(memory_lake: Lake, write: Any) -> None:
    """What can be known before reading is an error of the plan already: columns, key, branch, file."""
    path = write("a.csv", "id,x\n1,a\n")
    with pytest.raises(dp.SchemaMismatch, match="the key column 'no'"):
        memory_lake.plan_ingest(path, "d", key="no")
    with pytest.raises(dp.BranchNotFound):
        memory_lake.plan_ingest(path, "d", branch="exp")
    with pytest.raises(dp.SourceNotFound):
        memory_lake.plan_ingest("nope.csv", "d")
    memory_lake.ingest(path, "d", key="id")
    with pytest.raises(dp.KeyViolation, match="has the key id, not x"):
        memory_lake.plan_ingest(write("b.csv", "id,x\n1,a\n"), "d", key="x")
    with pytest.raises(dp.SchemaMismatch, match="id"):
        memory_lake.plan_ingest(write("c.csv", "x\na\n"), "d")
