"""Scans of stores far away: the same rows for the columns asked for, fetched ahead, and no more than is needed."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow as pa
import pytest
from pyroaring import BitMap

from dataplat.errors import IntegrityError
from dataplat.lake._object_keys import object_key
from dataplat.lake._scan_remote import Task, in_order
from dataplat.lake.deletes import stage_deletes
from dataplat.lake.objects import Objects, Stage
from dataplat.lake.parts import PartWriter
from dataplat.lake.scan import scan, to_table
from dataplat.lake.stores import CachingStore, MemoryStore
from dataplat.lake.take import rows_at
from dataplat.lake.where import parse_where
from dataplat.testing.store_faults import CountingStore, LatencyStore

ROWS, PART, GROUP, WIDTH = 160_000, 40_000, 10_000, 30


class Slow(LatencyStore):
    """Notes how many calls are under way at once."""

    def __init__(self, inner):
        super().__init__(inner, 0.02)  # so long that a busy machine has the others begin meanwhile
        self.now = self.most = 0
        self._noting = threading.Lock()

    def _call(self, operation, key, call, sent=None):
        with self._noting:
            self.now += 1
            self.most = max(self.most, self.now)
        try:
            return super()._call(operation, key, call, sent)
        finally:
            with self._noting:
                self.now -= 1


@pytest.fixture(scope="module")
def made():
    """A store of four parts of four row groups, the parts, and their rows."""
    rng = np.random.default_rng(3)
    rows = pa.table({"k": np.arange(ROWS), **{f"c{i}": rng.random(ROWS) for i in range(WIDTH - 1)}})
    store = MemoryStore()
    with (
        Stage(store) as stage,
        PartWriter(stage, rows.schema, target_rows=PART, row_group_rows=GROUP, threads=0) as writer,
    ):
        for batch in rows.to_batches():
            writer.write(batch)
        parts = writer.close()
        deletes = stage_deletes(stage, range(0, PART, 7))
        stage.flush()
    assert len(parts) == 4
    return store, parts, rows, deletes, stage


@pytest.fixture
def far(made, tmp_path):
    """The same store far away: what is counted, and objects behind a cache."""
    counted = CountingStore(Slow(made[0]))
    return counted, Objects(CachingStore(counted, folder=tmp_path))


def test_two_of_thirty_columns_cost_two_thirtieths(made, far):
    """The bytes of a projection are its columns' and the footers', in one request for a part and one for a row group."""
    _, parts, rows, _, _ = made
    counted, objects = far
    assert to_table(objects, parts, rows.schema, columns=["c8", "c9"]).equals(rows.select(["c8", "c9"]))
    assert counted.calls["read"] == 4 + 16
    assert counted.bytes["read"] < 4 * (64 << 10) + 1.1 * sum(part.size for part in parts) * 2 / WIDTH
    assert counted.inner.most > 4


def test_statistics_leave_parts_and_row_groups_unread(made, far):
    """A key that one row group may hold costs a footer and two chunks; one that none may hold costs nothing."""
    _, parts, rows, _, _ = made
    counted, objects = far
    where = parse_where("k = 55123", rows.schema)
    found = to_table(objects, parts, rows.schema, columns=["c8"], where=where)
    assert found.equals(rows.select(["c8"]).slice(55_123, 1))
    assert counted.calls["read"] == 3
    assert counted.bytes["read"] < (64 << 10) + 2 * 1.2 * 8 * GROUP
    counted.reset()
    assert to_table(objects, parts, rows.schema, where=parse_where("k < 0", rows.schema)).num_rows == 0
    assert not counted.calls


def test_what_does_not_match_is_not_fetched(made, far):
    """Of row groups in which no row matches only the columns of the condition come."""
    _, parts, rows, _, _ = made
    counted, objects = far
    where = parse_where("c0 > 2 or c1 < -1", rows.schema)
    assert to_table(objects, parts, rows.schema, where=where).num_rows == 0
    assert counted.bytes["read"] < sum(part.size for part in parts) / 10


def test_all_of_it_comes_whole_and_once(made, far):
    """A whole version is a request for a part, and nothing the second time, of whatever columns."""
    _, parts, rows, _, _ = made
    counted, objects = far
    assert to_table(objects, parts, rows.schema).equals(rows)
    assert counted.calls["read"] == 4
    assert counted.bytes["read"] == sum(part.size for part in parts)
    counted.reset()
    assert to_table(objects, parts, rows.schema).equals(rows)
    assert to_table(objects, parts, rows.schema, columns=["k"]).equals(rows.select(["k"]))
    assert not counted.calls


def test_nearly_all_columns_come_whole_too(made, far):
    """28 of 30 columns are fetched as whole parts; half of them are not."""
    _, parts, rows, _, _ = made
    counted, objects = far
    half = rows.column_names[: WIDTH // 2]
    assert to_table(objects, parts, rows.schema, columns=half).equals(rows.select(half))
    assert counted.bytes["read"] < 0.6 * sum(part.size for part in parts)
    nearly = rows.column_names[:28]
    assert to_table(objects, parts, rows.schema, columns=nearly).equals(rows.select(nearly))
    counted.reset()
    to_table(objects, parts, rows.schema, columns=nearly)
    assert not counted.calls


def test_a_stream_gives_the_same_rows(made, far):
    """Streamed, with positions, deletes and a condition: the rows of the store itself."""
    store, parts, rows, deletes, _ = made
    _, objects = far
    some = [parts[0].with_deletes(*deletes), *parts[1:]]
    where = parse_where("c3 < 0.3", rows.schema)
    for condition in (None, where):
        near = scan(Objects(store), some, rows.schema, where=condition, with_positions=True)
        there = scan(objects, some, rows.schema, where=condition, with_positions=True)
        assert pa.Table.from_batches(there).equals(pa.Table.from_batches(near))


def test_the_first_rows_cost_little(made, far):
    """Who takes one batch pays for two footers and two or three row groups."""
    _, parts, rows, _, _ = made
    counted, objects = far
    stream = scan(objects, parts, rows.schema)
    assert next(stream).num_rows == GROUP
    stream.close()
    assert counted.bytes["read"] < 4 * parts[0].size / 4 + 3 * (64 << 10)


def test_rows_by_position_cost_their_row_groups(made, far):
    """Some rows of each part are a footer and a row group of each."""
    _, parts, rows, _, _ = made
    counted, objects = far
    found = pa.Table.from_batches(rows_at(objects, ((part, BitMap([5, 6])) for part in parts), rows.schema, ["k"]))
    assert found["k"].to_pylist() == [at + part for part in range(0, ROWS, PART) for at in (5, 6)]
    assert counted.calls["read"] == 8


def test_damage_ends_a_scan(made, tmp_path):
    """A part that is damaged or gone raises, after the rows before it."""
    store, parts, rows, _, _ = made
    other = MemoryStore()
    for part in parts[:3]:
        other.create(object_key(part.id, ".parquet"), store.read(object_key(part.id, ".parquet")))
    objects = Objects(CachingStore(LatencyStore(other, 0), folder=tmp_path))
    stream = scan(objects, parts, rows.schema, columns=["k"])
    taken = [next(stream) for _ in range(8)]
    assert pa.Table.from_batches(taken)["k"].to_pylist() == list(range(8 * GROUP))
    with pytest.raises(IntegrityError, match=f"part {parts[3].id} is missing"):
        list(stream)


def test_tasks_run_ahead_in_order_and_in_budget():
    """Results come in order; what is under way and not taken keeps to its number and its weight."""
    lock, state = threading.Lock(), {"held": 0, "most": 0, "tasks": 0}

    def task(number):
        with lock:
            state["held"] += 1
            state["most"] = max(state["most"], state["held"])
        return number

    def tasks(pool, weight, places):
        for number in range(50):
            state["tasks"] += 1
            yield Task(pool, lambda number=number: task(number), weight, places)

    for weight, places, most in ((1, 1, 8), (30, 1, 3), (1000, 1, 1), (1, 4, 2)):
        state.update(held=0, most=0)
        with ThreadPoolExecutor(4) as pool:
            for expected, result in enumerate(in_order(tasks(pool, weight, places), most=8, budget=100)):
                assert result == expected
                with lock:
                    state["held"] -= 1
        assert state["most"] <= most + 1
    state["tasks"] = 0
    with ThreadPoolExecutor(4) as pool:
        next(in_order(tasks(pool, 1, 1)))
    assert state["tasks"] == 2


def test_an_error_of_a_task_is_raised_in_its_place():
    """Results before it come first."""
    with ThreadPoolExecutor(2) as pool:
        results = in_order(Task(pool, call, 1) for call in (lambda: 1, lambda: 1 // 0))
        assert next(results) == 1
        with pytest.raises(ZeroDivisionError):
            next(results)
