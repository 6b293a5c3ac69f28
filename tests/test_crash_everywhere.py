"""A death at any call to the store: the lake is exactly as before, or exactly as after."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from dataplat._lake import Lake
from dataplat.lake.stores import MemoryStore
from dataplat.testing.store_faults import CrashStore, SimulatedCrash
from dataplat.versioning.lakefile import create_lake

ROWS = pa.table({"id": range(6), "v": [0] * 6})
Act = Callable[[Lake, Path], object]

ACTS: dict[str, Act] = {
    "create": lambda lake, _: lake.ingest(ROWS, "new", key="id"),
    "append": lambda lake, _: lake.ingest(pa.table({"id": [6], "v": [1]}), "d"),
    "a file with rejects": lambda lake, path: lake.ingest(path, "d", sort="v"),
    "upsert": lambda lake, _: lake.ingest(pa.table({"id": [5, 6], "v": [1, 1]}), "d", mode="upsert"),
    "replace": lambda lake, _: lake.ingest(pa.table({"id": [5, 6], "v": [0, 1]}), "d", mode="replace"),
    "replace where": lambda lake, _: lake.ingest(pa.table({"id": [5], "v": [1]}), "d", mode="replace", where="id = 5"),
    "delete": lambda lake, _: lake.delete("d", "id < 3"),
    "rollback": lambda lake, _: lake.rollback("d@main~1"),
    "rename": lambda lake, _: lake.rename("d", "e"),
    "drop": lambda lake, _: lake.drop("d"),
    "describe": lambda lake, _: lake.describe("d", "what it is"),
    "sql": lambda lake, _: lake.sql("select id, v + 1 as v from d").commit("made", key="id"),
    "branch": lambda lake, _: lake.branch("exp"),
    "delete branch": lambda lake, _: lake.delete_branch("old"),
    "tag": lambda lake, _: lake.tag("v2"),
}


def prepared() -> MemoryStore:
    """A store with a lake: dataset `d` in two versions, a branch `old`, a tag `v1`."""
    store = MemoryStore()
    create_lake(store)
    lake = Lake(store, "test", "memory")
    lake.ingest(ROWS, "d", key="id")
    lake.branch("old")
    lake.tag("v1")
    lake.delete("d", "id = 0")
    return store


def picture(store: MemoryStore) -> dict[str, Any]:
    """All that a reader can see."""
    lake = Lake(store, "test", "memory")
    branches = {}
    for head in lake.branches():
        infos = lake.datasets(head.branch)
        branches[head.branch] = {
            info.name: (info.description, lake[f"{info.name}@{head.branch}"].to_arrow().to_pylist()) for info in infos
        }
    return {"branches": branches, "tags": [tag.name for tag in lake.tags()]}


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with a good and a bad record."""
    path = tmp_path_factory.mktemp("crash") / "a.csv"
    path.write_text("id,v\n6,1\n7\n")
    return path


def count_calls(act: Act, path: Path) -> tuple[int, dict[str, Any]]:
    """Return how many calls an act makes, once files are verified, and the picture afterwards."""
    act(Lake(prepared(), "test", "memory"), path)
    store = prepared()
    counting = CrashStore(store)
    act(Lake(counting, "test", "memory"), path)
    return counting.calls, picture(store)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("name", ACTS)
def test_before_or_after_and_nothing_else(name: str, when: str, path: Path) -> None:
    """At whatever call the writer dies, others see all of the change or none, and the lake verifies."""
    act, before = ACTS[name], picture(prepared())
    calls, after = count_calls(act, path)
    assert after != before
    seen = []
    for at in range(1, calls + 1):
        store = prepared()
        with pytest.raises(SimulatedCrash):
            act(Lake(CrashStore(store, at, when), "test", "memory"), path)
        now = picture(store)
        assert now in (before, after), f"dying {when} call {at}"
        seen.append(now == after)
        if at == calls or at % 4 == 0:
            assert Lake(store, "test", "memory").verify().ok
    assert seen == sorted(seen), "once it has happened it stays so"


@pytest.mark.parametrize("name", ["append", "upsert", "replace", "delete", "sql"])
def test_a_second_try_ends_it(name: str, path: Path) -> None:
    """After a death at any call before the change took effect, doing it again does it."""
    act = ACTS[name]
    calls, after = count_calls(act, path)
    for at in range(1, calls + 1):
        store = prepared()
        with pytest.raises(SimulatedCrash):
            act(Lake(CrashStore(store, at, "before"), "test", "memory"), path)
        if picture(store) != after:
            act(Lake(store, "test", "memory"), path)
        assert picture(store) == after
