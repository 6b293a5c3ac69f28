"""Records against the rules in plain Python: made at any time, asked at any later one, the same to the last bit."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataplat.feature_store.definitions import Entity, FeatureService, FeatureView, Field
from dataplat.feature_store.kernel.facts import Facts
from dataplat.feature_store.kernel.lives import FOREVER
from dataplat.feature_store.kernel.order import facts, without_moves
from dataplat.feature_store.online import pushed
from dataplat.feature_store.online.plan import ServingPlan, bases_of
from dataplat.feature_store.online.record import changes, pack
from dataplat.feature_store.online.serve import Serving
from dataplat.feature_store.online.store import Reading, Snapshot
from dataplat.feature_store.times import to_micros
from dataplat.feature_store.windows import Count, Sum
from dataplat.lake.schema import parse_type
from dataplat.testing import _features_history as history
from dataplat.testing._features_values import bits
from dataplat.testing.features_reference import micros_at
from dataplat.testing.features_worlds import World, drawn_world, worlds

DEEP = int(os.environ.get("DATAPLAT_RECORD_WORLDS", "0"))


def facts_of(view: FeatureView, source: history.Source) -> Facts:
    """Return the rows of a view as the kernel orders them."""
    every = list(history.by_commits(view, source)) if view.view.history == "commits" else None
    rows = source.versions[-1].rows if every is None else [each.row for each in every]
    table = pa.table(
        {name: pa.array([row[name] for row in rows], parse_type(kind)) for name, kind in source.types.items()}
    )
    if every is None:
        return facts(view, table)
    k = np.array([each.k for each in every], np.int64)
    gone = np.array([FOREVER if each.gone is None else each.gone for each in every], np.int64)
    return facts(view, table, k=k, gone=gone)


class Kept:
    """The records of a world, as of a time; some rows of its sources are pushed instead."""

    def __init__(self, world: World, at: int, rng: Random | None = None) -> None:
        self.world, self.at = world, at
        self.views = {view.name: view for view in bases_of(world.service)}
        self.types = {name: dict(self.source(view).types) for name, view in self.views.items()}
        self.plan = ServingPlan.of(world.service, self.types)
        self.pushed: dict[bytes, tuple[bytes, ...]] = {}
        self.facts = {name: self.taken(view, rng) for name, view in self.views.items()}
        self.records: dict[bytes, bytes] = {}
        for group in self.plan.groups:
            own = {base.name: self.facts[base.name] for base in group.bases}
            made = list(pack(self.plan, group, own, at))
            assert [key for key, _ in made] == sorted({key for key, _ in made})
            self.records |= made
        self.serving = Serving(self.plan)

    def taken(self, view: FeatureView, rng: Random | None) -> Facts:
        """Return the rows of a view that records are made of; others are pushed."""
        every = facts_of(view, self.source(view))
        if rng is None or view.view.history == "commits" or not len(every) or not without_moves(every):
            return every
        source = self.source(view)
        rows = source.versions[-1].rows
        table = pa.table(
            {name: pa.array([row[name] for row in rows], parse_type(kind)) for name, kind in source.types.items()}
        )
        some = np.array([rng.random() < 0.2 for _ in rows], bool)
        mine = table.filter(pa.array(some))
        stamps = to_micros(mine.column(view.view.known_at), "k", view.view.zone) if view.view.known_at else []
        made = pushed.rows(self.plan, view, mine, list(stamps))
        rng.shuffle(made)
        for row in sorted(made, key=lambda one: (one.e, one.k)):
            self.pushed[row.key] = (*self.pushed.get(row.key, ()), row.data)
        return facts(view, table.filter(pa.array(~some)))

    def source(self, view: FeatureView) -> history.Source:
        """Return the source of a view."""
        return self.world.sources[str(view.view.source)]

    def read(self, keys: Sequence[bytes]) -> Reading:
        """Read as an online store does."""
        return Reading(
            Snapshot("s", self.at, {}, self.plan.closure, types=self.plan.types),
            0,
            [self.records.get(key) for key in keys],
            [self.pushed.get(key, ()) for key in keys],
        )

    def served(self, rows: list[Mapping[str, Any]], t: int) -> Any:
        """Ask for some rows."""
        entities = {name: [row[name] for row in rows] for name in self.plan.entities}
        request = {name: [row[name] for row in rows] for name in self.plan.transforms.request}
        return self.serving.answer(entities, request, t, self.read)


def plain(column: pa.ChunkedArray | pa.Array) -> list[Any]:
    """Return values as the oracle has them: times as counts."""
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if pa.types.is_temporal(kind):
        column = column.cast(pa.int32() if kind.bit_width == 32 else pa.int64())
    if pa.types.is_list(kind) and pa.types.is_temporal(kind.value_type):
        column = column.cast(pa.list_(pa.int64()))
    return list(column.to_pylist())


def disagreements(kept: Kept) -> list[str]:
    """Return where served values, statuses and ages are not what the rules say."""
    told: list[str] = []
    world = kept.world
    answer = world.answer()
    by_time: dict[int, list[int]] = {}
    for place, row in enumerate(world.spine):
        t = micros_at(row, world.types, "t")
        if t >= kept.at:
            by_time.setdefault(t, []).append(place)
    for t, places in by_time.items():
        alone = [[place] for place in places]
        together = [places] if kept.plan.entities or kept.plan.transforms.request else []
        for some in alone + together:
            served = kept.served([world.spine[place] for place in some], t)
            table = served.table(statuses=True, ages=True)
            for name, cells in answer.cells.items():
                found = zip(plain(table[name]), served.statuses[name], plain(table[f"{name}__age"]), strict=True)
                for place, one in zip(some, found, strict=True):
                    wanted = cells[place]
                    if bits(one[0]) != bits(wanted.value) or one[1] != wanted.status or one[2] != wanted.age:
                        told.append(f"{name}, row {place} at {t}: {one}, not {wanted}")
    return told


def times_of(world: World, rng: Random) -> list[int]:
    """Return times at which records are made: anything that happens, and between."""
    every = [micros_at(row, world.types, "t") for row in world.spine]
    for view in bases_of(world.service):
        facts = facts_of(view, world.sources[str(view.view.source)])
        every += facts.e.tolist() + facts.k.tolist()
    some = rng.sample(every, min(3, len(every)))
    return [min(every) - 1, *some, *(each - rng.choice((0, 1)) for each in some[:1])]


def of_fields(world: World) -> World | None:
    """Return a world without windows and what is computed: what is served of many rows at once."""
    views = []
    for view in world.service.views:
        names = [each.feature for each in view.features if isinstance(each, Field)]
        views += [view[names]] if names else []
    if not views:
        return None
    return World(None, FeatureService("fields", views), world.sources, world.spine, world.types)


def wrong(seed: int, ats: int, *, pushes: bool = False) -> dict[tuple[int, int], list[str]]:
    """Return where records of a drawn world, made at some times, are not of the opinion of the rules."""
    world = drawn_world(seed, events=120, rows=20)
    if world.as_known is not None:
        return {}
    rng = Random(seed)
    times = times_of(world, rng)[:ats]
    told = {(seed, at): disagreements(Kept(world, at, rng if pushes else None)) for at in times}
    return {each: found[:3] for each, found in told.items() if found}


@pytest.mark.parametrize("first", range(0, DEEP or 20, 10))
def test_records_answer_as_the_rules_do(first: int) -> None:
    """Late, tied, corrected, deleted, future rows; aliases, composite keys, no keys; exact, hop and lifetime windows."""
    told: dict[Any, Any] = {}
    for seed in range(first, first + 10):
        told |= wrong(seed, 5 if DEEP else 3)
    assert told == {}


@pytest.mark.parametrize("first", range(100, 100 + (DEEP or 10), 10))
def test_9_pushed_rows_are_among_the_others(first: int) -> None:
    """Whatever order they came in, late or not, with a row key or without: as if they had been there already."""
    told: dict[Any, Any] = {}
    for seed in range(first, first + 10):
        told |= wrong(seed, 2, pushes=True)
    assert told == {}


@settings(max_examples=20, deadline=None)
@given(worlds(events=24, rows=4), st.randoms(use_true_random=False), st.booleans())
def test_any_world_at_any_time(world: World, rng: Random, pushes: bool) -> None:
    """As Hypothesis draws them, which makes those that fail smaller."""
    if world.as_known is None:
        at = rng.choice(times_of(world, rng))
        assert disagreements(Kept(world, at, rng if pushes else None)) == []


@pytest.mark.parametrize("seed", range(300, 306))
def test_many_rows_at_once_are_as_one_by_one(seed: int) -> None:
    """Columns made as arrays hold what the rules say: null, expired, later rows, keys that nobody knows."""
    world = drawn_world(seed, events=120, rows=20)
    world = of_fields(world) or world
    rng = Random(seed)
    at = times_of(world, rng)[1]
    kept = Kept(world, at)
    rows = list(world.spine) * 2
    for t in (at, at + 3_600_000_000, at + 10**12):
        many = kept.served(rows, t)
        alone = [kept.served([row], t) for row in rows]
        for name in many.columns:
            assert bits(list(many.columns[name])) == bits([one.columns[name][0] for one in alone])
            assert many.statuses[name] == [one.statuses[name][0] for one in alone]


def test_15_what_cannot_matter_is_not_kept() -> None:
    """Of a thousand rows of a key one is kept, and with a window of an hour those of an hour; all of a lifetime are a tile."""
    from datetime import UTC, datetime

    hour = 3_600_000_000
    columns = {
        "k": ["a"] * 1000,
        "t": [datetime.fromtimestamp(3600 * each, UTC) for each in range(1000)],
        "x": [float(each) for each in range(1000)],
    }
    sizes = []
    for features in (["x"], ["x", Count(window="100h")], ["x", Sum("x", window=None)], ["x", Count(window="1h")]):
        view = FeatureView("v", source="s", entity=Entity("k"), timestamp="t", ttl=None, features=features)
        plan = ServingPlan.of(FeatureService("s", [view]), {"v": {"x": "float64"}})
        made = list(pack(plan, plan.groups[0], {"v": facts(view, pa.table(columns))}, 999 * hour))
        sizes.append(len(made[0][1]))
    assert sizes[0] < 50
    assert 800 < sizes[1] < 900
    assert sizes[2] < 120
    assert sizes[3] < 100


def test_19_a_key_with_nothing_left_is_told() -> None:
    """After all of its rows are gone there is no record, and a change takes it away."""
    view = FeatureView("v", source="s", entity=Entity("k"), timestamp="t", ttl=None, features=["x"], history="commits")
    plan = ServingPlan.of(FeatureService("s", [view]), {"v": {"x": "float64"}})
    table = pa.table({"k": ["a", "b"], "t": pa.array([1, 1]).cast(pa.timestamp("us", "UTC")), "x": [1.0, 2.0]})
    own = facts(view, table, k=np.array([1, 1]), gone=np.array([5, FOREVER]))
    before = dict(changes(plan, plan.groups[0], {"v": own}, 4))
    after = dict(changes(plan, plan.groups[0], {"v": own}, 5))
    assert [each is None for each in before.values()] == [False, False]
    assert [each is None for each in after.values()] == [True, False]
    assert [key for key, _ in pack(plan, plan.groups[0], {"v": own}, 5)] == [list(after)[1]]


def test_2_many_rows_expire_at_their_time() -> None:
    """An age of exactly ttl is served, a microsecond more is not; each row by its own age, unknown keys between."""
    view = FeatureView("v", source="s", entity=Entity("k"), timestamp="t", ttl="10us", features=["x"])
    plan = ServingPlan.of(FeatureService("s", [view]), {"v": {"x": "float64"}})
    times = pa.array(range(20)).cast(pa.timestamp("us", "UTC"))
    table = pa.table({"k": [f"k{at}" for at in range(20)], "t": times, "x": [float(at) for at in range(20)]})
    records = dict(pack(plan, plan.groups[0], {"v": facts(view, table)}, 19))
    snapshot = Snapshot("s", 19, {}, plan.closure, types=plan.types)
    keys = [f"k{at}" for at in range(30)] + [None]
    for t in range(19, 32):
        found = Serving(plan).answer(
            {"k": keys}, {}, t, lambda some: Reading(snapshot, 0, [*map(records.get, some)], [])
        )
        served = [float(at) if t - at <= 10 else None for at in range(20)]
        assert found.columns["v__x"] == [*served, *[None] * 11]
        assert found.statuses["v__x"] == [*(5 if value is None else 0 for value in served), *[3] * 11]
