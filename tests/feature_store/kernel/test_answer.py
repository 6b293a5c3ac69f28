"""Whole services by the kernel, from rows as they lie in a source, against PIT.md in plain Python: values, statuses, ages."""

from __future__ import annotations

import tracemalloc
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings

from dataplat.feature_store.closure import used_views
from dataplat.feature_store.definitions import Entity, FeatureView
from dataplat.feature_store.kernel.answer import answer, answers
from dataplat.feature_store.kernel.ask import Ask
from dataplat.feature_store.kernel.facts import Facts
from dataplat.feature_store.kernel.lives import FOREVER
from dataplat.feature_store.kernel.order import between, facts, merged, of_keys, starts_of, without_moves
from dataplat.feature_store.times import to_micros
from dataplat.lake.schema import parse_type
from dataplat.testing import _features_history as history
from dataplat.testing.features_worlds import World, differences, drawn_world, worlds


def rows_of(world: World, view: FeatureView) -> tuple[pa.Table, np.ndarray | None, np.ndarray | None]:
    """Return the rows of a view's source, with when each was known and deleted where commits say so."""
    source = world.sources[str(view.view.source)]
    if view.view.history == "append":
        return world.table(str(view.view.source)), None, None
    every = list(history.by_commits(view, source))
    table = pa.table(
        {name: pa.array([each.row[name] for each in every], parse_type(kind)) for name, kind in source.types.items()}
    )
    gone = [FOREVER if each.gone is None else each.gone for each in every]
    return table, np.array([each.k for each in every], np.int64), np.array(gone, np.int64)


def facts_of(world: World, view: FeatureView, pieces: int = 1) -> Facts:
    """Return the facts of a view, made of so many parts."""
    table, k, gone = rows_of(world, view)
    cuts = np.linspace(0, table.num_rows, pieces + 1).astype(int)
    several = [
        facts(
            view, table[low:high], k=None if k is None else k[low:high], gone=None if gone is None else gone[low:high]
        )
        for low, high in pairwise(cuts)
    ]
    return merged(view, several)


def told(world: World, pieces: int = 1) -> list[str]:
    """Return where kernel and rules differ."""
    spine = world.spine_table()
    t = to_micros(spine.column("t"), "spine.t")
    own = {view.name: facts_of(world, view, pieces) for view in used_views(world.service)}
    return differences(world.answer(), answers(world.service, own, spine, t, as_known=world.as_known))


@pytest.mark.parametrize("first", range(0, 60, 20))
def test_drawn_worlds(first):
    """Late, tied, corrected and deleted rows, NaN, nulls, aliases, composite keys, on-demand: all cells, in one part or three."""
    wrong = {seed: told(drawn_world(seed, events=200, rows=25), 1 + seed % 3) for seed in range(first, first + 20)}
    assert {seed: each[:3] for seed, each in wrong.items() if each} == {}


@settings(max_examples=30, deadline=None)
@given(worlds(events=24, rows=5))
def test_any_world(world):
    """Small worlds of every kind, in two parts."""
    assert told(world, 2) == []


@pytest.mark.parametrize("seed", range(8))
def test_keys_can_be_worked_on_apart(seed):
    """A range of keys, or some keys alone, give what all together do, unless corrections move between keys."""
    world = drawn_world(seed, events=120, rows=20)
    spine = world.spine_table()
    t = to_micros(spine.column("t"), "spine.t")
    for view in used_views(world.service):
        every = facts_of(world, view)
        if not without_moves(every):
            continue
        ask = Ask.of(view, spine, t)
        whole = answer(view, every, ask, as_known=world.as_known)
        alone = answer(view, of_keys(every, ask.high, ask.low), ask, as_known=world.as_known)
        half = 1 << 63
        parts = [between(every, 0, half), between(every, half, 1 << 64)]
        assert sum(map(len, parts)) == len(every)
        for name, column in whole.columns.items():
            assert same(alone.columns[name], column)
            for part, upper in zip(parts, (False, True), strict=True):
                rows = np.flatnonzero((ask.high >= np.uint64(half)) == upper)
                apart = answer(view, part, ask.take(rows), as_known=world.as_known)
                assert same(apart.columns[name], column.take(pa.array(rows)))
                assert (apart.statuses[name] == whole.statuses[name][rows]).all()
                assert (apart.ages[name] == whole.ages[name][rows]).all()


def same(one: pa.Array, other: pa.Array) -> bool:
    """Say whether two columns are equal, NaN to NaN."""
    return repr(one.to_pylist()) == repr(other.to_pylist())


def test_parts_in_any_order_are_the_same_facts():
    """What is merged does not depend on how rows lie in parts."""
    for seed in range(12):
        world = drawn_world(seed, events=100, rows=2)
        for view in used_views(world.service):
            one, several = facts_of(world, view), facts_of(world, view, 4)
            for name in ("high", "low", "e", "k"):
                assert (getattr(one, name) == getattr(several, name)).all()
            assert repr(one.columns.to_pylist()) == repr(several.columns.to_pylist())
            assert len(starts_of(one)) == len(starts_of(several))


def test_facts_of_a_key_that_many_ask_for_are_taken_once():
    """Memory is that of the rows, not of rows by questions: a log names the same keys over and over."""
    view = FeatureView("v", source="s", entity=Entity("key"), timestamp="e", ttl=None, features=["x"])
    rows = 2_000
    times = pa.array(range(rows), pa.int64()).cast(pa.timestamp("us", "UTC"))
    every = facts(view, pa.table({"key": ["a", "b"] * (rows // 2), "e": times, "x": [1.0] * rows}))
    starts = starts_of(every)
    asked = np.array([starts[1], starts[0]] * 20_000)
    tracemalloc.start()
    found = of_keys(every, every.high[asked], every.low[asked])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert np.array_equal(found.e, every.e)
    assert peak < 20_000_000  # 40,000 questions of 1,000 rows each are 320 MB
