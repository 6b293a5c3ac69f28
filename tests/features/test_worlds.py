"""Drawn worlds through a real lake: training sets, and lookups after snapshots by difference, are what PIT.md says."""

from __future__ import annotations

import itertools

import numpy as np
import pyarrow as pa
import pytest

import dataplat as dp
from dataplat._features import FeatureStore
from dataplat._features._sources import ViewSource
from dataplat._features._training import joined
from dataplat.feature_store.closure import used_views
from dataplat.feature_store.kernel.answer import Answer, answer, finished
from dataplat.feature_store.kernel.ask import Ask
from dataplat.feature_store.kernel.asof import latest
from dataplat.feature_store.kernel.ondemand import Transforms
from dataplat.feature_store.online.connect import online_store
from dataplat.feature_store.times import to_micros
from dataplat.testing.features_worlds import World, differences, drawn_world


def appended(world: World) -> bool:
    """Say whether rows of all sources only come, so that ingesting them is their history."""
    return all(view.view.history == "append" for view in used_views(world.service))


WORLDS = [world for seed in range(60) if appended(world := drawn_world(seed, events=60, rows=12))]


def landed(lake: dp.Lake, world: World, pieces: int) -> FeatureStore:
    """Land the sources of a world, each in so many commits."""
    for name in world.sources:
        table = world.table(name)
        cuts = np.linspace(0, table.num_rows, pieces + 1).astype(int)
        for low, high in itertools.pairwise(cuts):
            lake.ingest(table.slice(low, high - low), into=name, schema=table.schema)
    return lake.features


@pytest.mark.parametrize("number", range(12))
def test_a_training_set_is_what_the_rules_say(new_lake, number):
    """From parts of a lake, and in ranges of keys: every value, status and age of every cell."""
    world = WORLDS[number]
    store = landed(new_lake(), world, 1 + number % 3)
    made = store.training_set(world.spine_table(), world.service, statuses=True, ages=True, as_known=world.as_known)
    assert differences(world.answer(), made.table) == []
    again = made.rebuild()
    assert (again.id, as_bytes(again.table)) == (made.id, as_bytes(made.table))


def as_bytes(table: pa.Table) -> bytes:
    """Return a table as it is written."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table.combine_chunks())
    return sink.getvalue().to_pybytes()


@pytest.mark.parametrize("number", range(12, 18))
def test_ranges_of_keys_are_the_whole(new_lake, number):
    """A history that is joined a few rows at a time gives what all at once does."""
    world = WORLDS[number]
    store = landed(new_lake(), world, 2)
    spine = world.spine_table()
    t = to_micros(spine.column("t"), "t")
    found = Answer()
    for view in used_views(world.service):
        told = joined(view, ViewSource.of(store, view), Ask.of(view, spine, t), as_known=world.as_known, rows=7)
        for mine, its in ((found.columns, told.columns), (found.statuses, told.statuses), (found.ages, told.ages)):
            mine.update({f"{view.name}__{name}": each for name, each in its.items()})
    made = finished(world.service, Transforms.of(world.service), found, spine)
    assert differences(world.answer(), made) == []


@pytest.mark.parametrize("number", range(18, 26))
def test_snapshots_by_difference_serve_what_the_rules_say(new_lake, number, tmp_path):
    """What was there, then what came: after each, lookups at later times are what a training set says of these times."""
    world = WORLDS[number]
    lake = new_lake()
    store = FeatureStore(lake)
    store.__dict__["online"] = online_store(f"lmdb:{tmp_path}", "test")
    last = None
    for share in (0.5, 0.8, 1.0):
        for name in world.sources:
            table = world.table(name)
            low = 0 if last is None else round(last * table.num_rows)
            part = table.slice(low, round(share * table.num_rows) - low)
            lake.ingest(part, into=name, schema=table.schema)
        last = share
        if share == 0.5:
            store.apply(world.service)
        made = store.materialize(world.service)
        assert made.full == (share == 0.5)
        served_as_trained(store, world)
    assert store.materialize(world.service, full=True).full
    served_as_trained(store, world)


def served_as_trained(store: FeatureStore, world: World) -> None:
    """Hold lookups against training sets of the same keys and times, all after the snapshot."""
    live = store.online.snapshot(f"{world.service.name}@{world.service.version}")
    assert live is not None
    spine = world.spine_table().drop(["t"])
    for later in (0, 1, 3_600_000_000, 10**13):
        t = live.at + later
        times = pa.array([t] * spine.num_rows, pa.int64()).cast(pa.timestamp("us", "UTC"))
        wanted = store.training_set(spine.append_column("t", times), world.service, statuses=True, ages=True)
        looked = store.lookup(
            world.service, {name: spine.column(name).to_pylist() for name in asked(store, world)}, t=t, statuses=True
        ).to_arrow()
        for name in looked.schema.names:
            one, other = wanted.table.column(name), looked.column(name)
            assert repr(plain(one)) == repr(plain(other)), (name, later)


def plain(column: pa.ChunkedArray) -> list:
    """Return values, statuses as words, ages as microseconds."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(pa.string())
    return column.cast(pa.int64()).to_pylist() if pa.types.is_duration(column.type) else column.to_pylist()


def asked(store: FeatureStore, world: World) -> list[str]:
    """Return the columns that a lookup is asked with."""
    names = [name for view in used_views(world.service) for name in view.spine_keys]
    return list(dict.fromkeys([*names, *Transforms.of(world.service).request]))


@pytest.mark.parametrize("first", range(0, 30, 10))
def test_last_values_searched_part_by_part_are_those_of_all_rows(new_lake, first):
    """Nothing is merged where last values alone are asked for: the same cells, and the same ties."""
    searched = 0
    for world in WORLDS[first : first + 10]:
        store = landed(new_lake(), world, 3)
        spine = world.spine_table()
        t = to_micros(spine.column("t"), "t")
        for view in used_views(world.service):
            names = [each.feature for each in view.features if isinstance(each, dp.Field) and each.fill == "null"]
            if not names:
                continue
            own, ask = view[names], Ask.of(view, spine, t)
            source = ViewSource.of(store, own)
            told, wanted = (
                joined(own, source, ask, as_known=world.as_known),
                answer(own, source.whole, ask, as_known=world.as_known),
            )
            searched += latest(source.parts, ask, as_known=world.as_known) is not None
            for name in names:
                assert repr(told.columns[name].to_pylist()) == repr(wanted.columns[name].to_pylist())
                assert told.statuses[name].tolist() == wanted.statuses[name].tolist()
                assert told.ages[name].tolist() == wanted.ages[name].tolist()
    assert searched
