"""What tasks do for features, without Spark: whatever moves their packets, cells are those that the rules ask for."""

from __future__ import annotations

import itertools
import os
import pickle
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pytest

import dataplat as dp
from dataplat._features._sources import ViewSource
from dataplat._features._spine import Spine
from dataplat._features._training import asked
from dataplat._spark import _features_routes
from dataplat._spark._features_packets import Packet
from dataplat._spark._features_pieces import fact_pieces, spine_pieces
from dataplat._spark._features_routes import Heavy, Routes, routes
from dataplat._spark._features_tasks import Answering, Asking, Bringing, Carrying, Group, Work, Writing
from dataplat._spark._features_weigh import Weighing, Weights
from dataplat.feature_store.closure import used_views
from dataplat.feature_store.codec import service_to_json
from dataplat.feature_store.kernel.order import facts, without_moves
from dataplat.feature_store.kernel.tables import unpacked
from dataplat.testing.features_worlds import World, differences, drawn_world

WORLDS = int(os.environ.get("DATAPLAT_SPARK_TASK_WORLDS", "20"))
"""How many are drawn; `make proofs` asks for more."""
APPENDED = [
    world
    for seed in range(3 * WORLDS)
    for world in [drawn_world(seed, events=60, rows=12)]
    if all(view.view.history == "append" for view in used_views(world.service))
]


def moved(packets: Iterable[Packet]) -> dict[int, list[Packet]]:
    """Return packets by where they go, those of a side together."""
    found: dict[int, list[Packet]] = defaultdict(list)
    for each in packets:
        found[each.to].append(each)
    return {to: sorted(some, key=lambda each: (each.side, each.at)) for to, some in found.items()}


def done(task, packets: Iterable[Packet]) -> Iterator[Packet]:
    """Yield what a task makes of the packets of each partition."""
    for _, some in sorted(moved(packets).items()):
        yield from task((side, iter(list(own))) for side, own in itertools.groupby(some, key=lambda each: each.side))


@dataclass
class Tried:
    """A training set that was made here, and how many rows each task looked at."""

    table: pa.Table
    rows: dict[int, int]
    routes: list[Routes]


def tried(lake, spine: pa.Table, service, *, size: int, rows: int, as_known=None, statuses=True) -> Tried:
    """Make a training set as tasks do, with partitions of `size` rows, and pieces of a spine of `rows`."""
    store, views = lake.features, used_views(service)
    sources = [ViewSource.of(store, view) for view in views]
    pieces = spine_pieces(Spine(spine), rows)
    facts = [fact_pieces(number, source, store) for number, source in enumerate(sources)]
    numbers: dict[object, list[int]] = defaultdict(list)
    for number, view in enumerate(views):
        numbers[asked(view)].append(number)
    groups, first = [], 0
    for own in numbers.values():
        weighing = Weighing("t", (views[own[0]],), (0,) * len(views), (1.0,) * len(views))
        weights = Weights()
        for each in (*pieces, *(piece for number in own for piece in facts[number])):
            weights.add(weighing(each))
        count = weights.rows + sum(piece.rows for number in own for piece in facts[number])
        made = routes(first, count, weights.heavy.get(0, ()), size, 1)
        if not all(without_moves(sources[number].whole) for number in own):
            made = Routes(first, 1)
        groups.append(Group(tuple(own), made))
        first = made.stop
    work = Work(views, tuple(each.schema for each in sources), tuple(groups), "t", as_known, 8, ages=True)
    work = pickle.loads(pickle.dumps(work))  # noqa: S301 - as it travels
    packets = [each for piece in pieces for each in Asking(work)(piece)]
    packets += [each for own in facts for piece in own for each in Bringing(work)(piece)]
    cells = list(done(Answering(work), packets))
    whole = [each for piece in pieces for each in Carrying(work)(piece)]
    writing = _Kept(work, service_to_json(service), lake.objects, statuses, ())
    list(done(writing, [*whole, *cells]))
    counted = {to: sum(unpacked(each.data).num_rows for each in some) for to, some in moved(packets).items()}
    return Tried(pa.concat_tables(writing.tables), counted, [each.routes for each in groups])


class _Kept(Writing):
    """Keeps the tables that would be parts."""

    @property
    def tables(self) -> list[pa.Table]:
        return self.__dict__.setdefault("_tables", [])

    def _parts(self, table: pa.Table) -> list:
        self.tables.append(table)
        return []


def landed(lake, world: World) -> None:
    """Land the sources of a world, each in three commits."""
    for name in world.sources:
        table = world.table(name)
        cuts = np.linspace(0, table.num_rows, 4).astype(int)
        for low, high in itertools.pairwise(cuts):
            lake.ingest(table.slice(low, high - low), into=name, schema=table.schema)


@pytest.mark.parametrize("first", range(0, WORLDS, 10))
def test_any_partitions_give_what_the_rules_say(new_lake, first):
    """Few rows in each, so that most keys are hot and are cut by time: every value, status and age."""
    hot = 0
    for number, world in enumerate(APPENDED[first : first + 10]):
        lake = new_lake()
        landed(lake, world)
        spine, size = world.spine_table(), (5, 11, 40)[number % 3]
        found = tried(lake, spine, world.service, size=size, rows=7, as_known=world.as_known)
        assert differences(world.answer(), found.table) == []
        hot += sum(len(each.hot) for each in found.routes)
    assert hot


def skewed(rng: np.random.Generator, rows: int) -> np.ndarray:
    """Return keys of which one has 30 % of the rows."""
    return np.where(rng.random(rows) < 0.3, 7, rng.integers(100, 5_000, rows))


def times(micros: np.ndarray) -> pa.Array:
    """Return microseconds as times."""
    return pa.array(micros).cast(pa.timestamp("us", "UTC"))


DAY = 86_400_000_000


@pytest.mark.parametrize("where", ["spine", "both", "facts"])
def test_a_hot_key_is_spread_over_tasks(memory_lake, where):
    """30 % of the rows are of one key: no task has more than twice the mean, and cells are those of one machine."""
    rng = np.random.default_rng(5)
    rows = 40_000
    keys = {
        side: skewed(rng, rows) if where in (side, "both") else rng.integers(0, 5_000, rows)
        for side in ("spine", "facts")
    }
    memory_lake.ingest(
        pa.table(
            {"key": keys["facts"], "at": times(np.sort(rng.integers(0, 60 * DAY, rows))), "x": rng.normal(size=rows)}
        ),
        into="facts",
    )
    spine = pa.table({"key": keys["spine"], "t": times(rng.integers(0, 60 * DAY, rows))})
    view = dp.FeatureView(
        "v",
        source="facts",
        entity=dp.Entity("key", "int64"),
        timestamp="at",
        ttl="7d",
        features=["x", dp.Mean("x", window="1d"), dp.Count(window="2h")],
    )
    service = dp.FeatureService("s", [view])
    found = tried(memory_lake, spine, service, size=5_000, rows=10_000)
    assert len(found.rows) >= 8
    assert max(found.rows.values()) <= 2 * sum(found.rows.values()) / len(found.rows)
    assert sum(found.rows.values()) <= 2.1 * rows  # nearly nothing travels twice
    wanted = memory_lake.features.training_set(spine, service, statuses=True, ages=True)
    assert found.table.equals(wanted.table)


def test_keys_that_are_not_there_are_spread(memory_lake):
    """A key column that is null in most rows sends them everywhere, and they match nothing."""
    memory_lake.ingest(pa.table({"key": ["a"], "at": times(np.zeros(1, np.int64)), "x": [1.0]}), into="facts")
    rows = 60_000
    keys = ["a"] + [None] * (rows - 1)
    spine = pa.table({"key": pa.array(keys, pa.string()), "t": times(np.full(rows, DAY))})
    view = dp.FeatureView("v", source="facts", entity=dp.Entity("key"), timestamp="at", ttl=None, features=["x"])
    found = tried(memory_lake, spine, dp.FeatureService("s", [view]), size=10_000, rows=20_000)
    assert max(found.rows.values()) <= 2 * rows / len(found.rows)
    assert found.table["v__x"].to_pylist() == [1.0] + [None] * (rows - 1)
    assert Counter(found.table["v__x__status"].to_pylist()) == {"present": 1, "missing_key": rows - 1}


def test_counts_of_pieces_find_the_hot_keys():
    """A key that has few rows in each piece and many in all is hot; it is cut where half of its rows lie."""
    heavy = [Heavy(9, 9, 300, tuple(range(at, at + 100))) for at in range(0, 1000, 100)]
    found = routes(4, 10_000, [*heavy, Heavy(8, 8, 40, (1,))], 2_000, 1)
    assert [(each.high, len(each.times)) for each in found.hot] == [(9, 1)]
    assert abs(found.hot[0].times[0] - 500) < 20
    assert found.stop == 4 + found.buckets + 2
    assert routes(0, 10, (), 100, 1) == Routes(0, 1)
    assert replace(found, hot=()).stop == 4 + found.buckets


def test_cells_and_rows_cut_by_bytes_are_put_together(new_lake, monkeypatch):
    """Packets of a few hundred bytes give what the rules say: rows of a spine and cells are cut as facts are."""
    monkeypatch.setattr(_features_routes, "SLICE_BYTES", 300)
    for world in APPENDED[:6]:
        lake = new_lake()
        landed(lake, world)
        found = tried(lake, world.spine_table(), world.service, size=40, rows=7, as_known=world.as_known)
        assert differences(world.answer(), found.table) == []


def test_packets_of_wide_rows_are_small(monkeypatch):
    """What travels together is bounded in bytes, also where few of many rows are wide; each row goes along once, in order."""
    monkeypatch.setattr(_features_routes, "SLICE_BYTES", 50_000)
    view = dp.FeatureView("v", source="s", entity=dp.Entity("key", "int64"), timestamp="t", ttl=None, features=["x"])
    texts = ["x" * (20_000 if 100 <= row < 110 else 10) for row in range(1_000)]
    times = pa.array(range(1_000), pa.timestamp("us", "UTC"))
    found = facts(view, pa.table({"key": [7] * 1_000, "t": times, "x": texts}))
    packets = [each for _, each in Routes(0, 2).of_facts(view, found, None)]
    assert max(each.nbytes for each in packets) <= 50_000
    assert len(packets) < 20
    assert np.concatenate([each.e for each in packets]).tolist() == list(range(1_000))
