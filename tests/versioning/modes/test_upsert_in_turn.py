"""Upsert where rows count in the order in which they come, and keys may be deleted in between: what streams need."""

from __future__ import annotations

import hypothesis.strategies as st
import pyarrow as pa
import pytest
from hypothesis import given, settings

import dataplat as dp
from dataplat._lake import Lake
from dataplat.lake.objects import Objects, Stage
from dataplat.lake.stores import MemoryStore
from dataplat.versioning.lakefile import create_lake
from dataplat.versioning.manifest import load_manifest
from dataplat.versioning.modes import Base, Upsert
from dataplat.versioning.publish import PlannedChange, commit

SCHEMA = pa.schema([("id", pa.int64()), ("a", pa.int64())])


def rows(*pairs: tuple[int, int]) -> pa.RecordBatch:
    """Return rows of id and a."""
    return pa.RecordBatch.from_pylist([{"id": id, "a": a} for id, a in pairs], schema=SCHEMA)


def keys(*ids: int) -> pa.RecordBatch:
    """Return keys to delete."""
    return pa.RecordBatch.from_pylist([{"id": id} for id in ids], schema=pa.schema([SCHEMA.field("id")]))


def apply(lake: Lake, steps: list[tuple[str, pa.RecordBatch]]) -> dict[int, int]:
    """Upsert the steps into dataset `d` in one commit; return what it holds."""
    head = lake.refs.head("main").commit
    state = head.dataset("d", lake.objects.read)
    assert state is not None
    assert state.version is not None
    manifest = load_manifest(lake.objects, state.version)
    stage = Stage(lake.store)
    base = Base(manifest, manifest.schema, manifest.key, manifest.sort, Objects(lake.store, stage), stage)
    sink = Upsert(base, last_wins=True)
    for what, batch in steps:
        (sink.write if what == "rows" else sink.delete)(batch)
    outcome = sink.finish()
    change = PlannedChange(dataset="d", mode="upsert", base_version=manifest.id, edit=outcome.edit)
    before = manifest.rows
    if not outcome.edit.is_empty:
        commit(lake.io, "main", [change], stage)
    held = lake["d"].to_arrow().to_pylist()
    assert len(held) == before + outcome.rows_added - outcome.rows_deleted
    assert len({row["id"] for row in held}) == len(held)
    return {row["id"]: row["a"] for row in held}


@pytest.fixture(params=[None, "a"], ids=["unsorted", "sorted"])
def lake(request: pytest.FixtureRequest, memory_lake: Lake) -> Lake:
    """Return a lake with rows 1 and 2 in `d`."""
    memory_lake.ingest(pa.table({"id": [1, 2], "a": [10, 20]}), "d", key="id", sort=request.param)
    return memory_lake


def test_the_last_row_of_a_key_is_kept(lake: Lake) -> None:
    """Within a batch and across batches a later row replaces an earlier one, and what was there."""
    assert apply(lake, [("rows", rows((1, 11), (3, 30), (1, 12))), ("rows", rows((3, 31)))]) == {1: 12, 2: 20, 3: 31}


def test_a_deleted_key_is_gone(lake: Lake) -> None:
    """A delete takes a row that was there, and one that came before it in the same commit."""
    assert apply(lake, [("rows", rows((3, 30))), ("keys", keys(1, 3))]) == {2: 20}


def test_a_row_after_its_delete_stays(lake: Lake) -> None:
    """A key that is deleted and then comes again has the row that came."""
    assert apply(lake, [("keys", keys(1)), ("rows", rows((1, 11)))]) == {1: 11, 2: 20}


def test_a_key_that_is_not_there(lake: Lake) -> None:
    """To delete it is nothing, also twice."""
    assert apply(lake, [("keys", keys(7, 7)), ("keys", keys(7))]) == {1: 10, 2: 20}


def test_a_null_key_is_refused(lake: Lake) -> None:
    """A delete that does not say of which row is refused as a row without key is."""
    with pytest.raises(dp.KeyViolation, match="null or NaN in the key column 'id'"):
        apply(lake, [("keys", pa.RecordBatch.from_pylist([{"id": None}], schema=pa.schema([SCHEMA.field("id")])))])


BATCHES = st.lists(
    st.tuples(st.sampled_from(["rows", "keys"]), st.lists(st.tuples(st.integers(0, 6), st.integers()), max_size=5)),
    max_size=6,
)


@settings(max_examples=60, deadline=None)
@given(commits=st.lists(BATCHES, min_size=1, max_size=4))
def test_as_a_dict(commits: list[list[tuple[str, list[tuple[int, int]]]]]) -> None:
    """Whatever comes, in however many commits, the dataset holds what a dict would."""
    store = MemoryStore()
    create_lake(store)
    lake = Lake(store, "test", "memory")
    lake.ingest(pa.table({"id": [1, 2], "a": [10, 20]}), "d", key="id")
    wanted = {1: 10, 2: 20}
    for steps in commits:
        given_steps = []
        for what, pairs in steps:
            pairs = [(id, a % 1000) for id, a in pairs]
            if what == "rows":
                wanted.update(pairs)
                given_steps.append((what, rows(*pairs)))
            else:
                for id, _ in pairs:
                    wanted.pop(id, None)
                given_steps.append((what, keys(*(id for id, _ in pairs))))
        assert apply(lake, given_steps) == wanted
