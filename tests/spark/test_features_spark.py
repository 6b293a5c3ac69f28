"""Features by tasks of a real Spark: ids, rows and reports of training sets, records of snapshots, as one machine makes them."""

from __future__ import annotations

import itertools
import os

import numpy as np
import pyarrow as pa
import pytest

import dataplat as dp
from dataplat._features import FeatureStore
from dataplat._features._materialize import Asked, _Work
from dataplat._spark._engine import SparkEngine
from dataplat.errors import ConfigError, SchemaError, SchemaMismatch
from dataplat.feature_store.closure import used_views
from dataplat.feature_store.online.connect import online_store
from dataplat.testing.features_worlds import differences, drawn_world

WORLDS = int(os.environ.get("DATAPLAT_SPARK_WORLDS", "2"))
"""How many are drawn; `make proofs` asks for more."""
DAY = 86_400_000_000


def times(micros: np.ndarray) -> pa.Array:
    """Return microseconds as times."""
    return pa.array(micros).cast(pa.timestamp("us", "UTC"))


@pytest.fixture
def engine(spark):
    """Return an engine of the session that tests share."""
    return SparkEngine(spark)


@pytest.fixture
def lake(tmp_path):
    """Return a lake in a folder with 6,000 facts of 50 keys in three parts, corrections among them."""
    rng = np.random.default_rng(3)
    made = dp.open(tmp_path / "lake")
    at = np.sort(rng.integers(0, 60 * DAY, 6_000))
    facts = pa.table(
        {
            "id": rng.integers(0, 3_000, 6_000),
            "key": [f"k{each}" for each in rng.integers(0, 50, 6_000)],
            "happened": times(at),
            "seen": times(at + rng.integers(0, DAY, 6_000)),
            "x": rng.normal(size=6_000),
        }
    )
    for low in range(0, 6_000, 2_000):
        made.ingest(facts.slice(low, 2_000), into="facts")
    return made


def spine(rows: int) -> pa.Table:
    """Return questions about 60 keys, of which 10 have no facts."""
    rng = np.random.default_rng(rows)
    keys = [f"k{each}" for each in rng.integers(0, 60, rows)]
    return pa.table({"key": keys, "t": times(rng.integers(0, 60 * DAY, rows)), "y": rng.normal(size=rows)})


def service(**options) -> dp.FeatureService:
    """Return views of one key, one of them without any, a query row by row, and a feature computed of two."""
    key = dp.Entity("key")
    given = {"source": "facts", "entity": key, "timestamp": "happened", "ttl": "7d"} | options
    last = dp.FeatureView("last", **given, features=["x"])
    windows = dp.FeatureView(
        "windows", **given, known_at="seen", features=[dp.Mean("x", window="2d"), dp.LastN("x", 3)]
    )
    every = dp.FeatureView(
        "every", source="facts", timestamp="happened", ttl=None, features=[dp.Count(window="1h"), "x"]
    )
    query = dp.sql("select id, key, happened, x * 2 as twice from facts where x > 0")
    shown = dp.FeatureView("shown", **(given | {"source": query}), features=["twice"])

    @dp.on_demand(inputs=[last, shown, dp.Request({"y": "float64"})])
    def together(t):
        return t.x + t.twice * t.y

    return dp.FeatureService("s", [last, windows, every, together])


def test_a_training_set_is_the_local_one(lake, engine):
    """Id, rows to the last bit, report; made again as well; saved in one commit, as the same content."""
    lake.ingest(spine(3_000), into="spine")
    store, made_of = lake.features, service()
    wanted = store.training_set("spine", made_of, statuses=True, ages=True)
    found = store.training_set("spine", made_of, statuses=True, ages=True, engine=engine)
    assert (found.id, found.report, len(found)) == (wanted.id, wanted.report, len(wanted))
    assert found.table.schema == wanted.table.schema
    assert found.table.equals(wanted.table)
    again = found.rebuild()
    assert (again.id, again.parts) == (found.id, found.parts)
    before = len(list(lake.log("train"))) if "train" in [each.name for each in lake.datasets()] else 0
    done = found.save("train")
    wanted.save("local")
    assert done.version is not None
    assert lake["train"].content_id == lake["local"].content_id
    assert len(list(lake.log("train"))) == before + 1
    assert found.save("train").version == done.version


def test_a_frame_of_spark_stays_in_its_tasks(lake, engine, spark, monkeypatch):
    """As a spine it gives what the same rows do as a table; to the driver come the names of parts and counts."""
    kind, came = type(spark.range(1)), []
    collect = kind.toArrow
    monkeypatch.setattr(kind, "toArrow", lambda frame: came.append(collect(frame)) or came[-1])
    store, made_of, given = lake.features, service(), spine(200_000)
    frame = spark.createDataFrame(given)
    assert frame.rdd.getNumPartitions() > 1
    found = store.training_set(frame, made_of, engine=engine)
    assert sum(each.nbytes for each in came) < given.nbytes / 20
    wanted = store.training_set(given, made_of)
    assert (found.id, found.report, len(found)) == (wanted.id, wanted.report, len(wanted))
    assert found.table.equals(wanted.table)
    assert found.rebuild().id == wanted.id


def test_a_frame_of_spark_that_no_lake_can_hold_is_refused(lake, engine, spark):
    """The column is named, before a task runs."""
    frame = spark.createDataFrame(spine(10)).selectExpr("*", "make_ym_interval(1, 2) as months")
    with pytest.raises(SchemaMismatch, match="months"):
        lake.features.training_set(frame, service(), engine=engine)


def test_splits_are_the_local_ones(lake, engine):
    """Each side is made by tasks, with a report of its own."""
    store, made_of = lake.features, service()
    given = spine(500)
    wanted = store.training_set(given, made_of).split(by="key", holdout=0.3)
    found = store.training_set(given, made_of, engine=engine).split(by="key", holdout=0.3)
    for ours, theirs in zip(found, wanted, strict=True):
        assert (ours.id, ours.report) == (theirs.id, theirs.report)
        assert ours.table.equals(theirs.table)


@pytest.mark.parametrize("number", range(WORLDS))
def test_worlds_are_what_the_rules_say(tmp_path, engine, number):
    """Drawn definitions and facts: Spark, one machine and the reference agree in every cell."""
    seeds = (seed for seed in itertools.count(100 * number) if appended(drawn_world(seed, events=60, rows=12)))
    world = drawn_world(next(seeds), events=60, rows=12)
    made = dp.open(tmp_path / "lake")
    for name in world.sources:
        table = world.table(name)
        for piece in (table.slice(0, table.num_rows // 2), table.slice(table.num_rows // 2)):
            made.ingest(piece, into=name, schema=table.schema)
    asked = {"statuses": True, "ages": True, "as_known": world.as_known}
    found = made.features.training_set(world.spine_table(), world.service, **asked, engine=engine)
    wanted = made.features.training_set(world.spine_table(), world.service, **asked)
    assert differences(world.answer(), found.table) == []
    assert (found.id, found.report) == (wanted.id, wanted.report)
    assert found.table.schema == wanted.table.schema
    assert repr(found.table.to_pydict()) == repr(wanted.table.to_pydict())  # NaN equals no NaN


def appended(world) -> bool:
    """Say whether rows of all sources only come, in types that a lake keeps: ingesting them is their history."""
    seconds = any("timestamp[s" in str(source.types) for source in world.sources.values())
    return not seconds and all(view.view.history == "append" for view in used_views(world.service))


def test_no_rows_come_to_the_driver(lake, engine):
    """What tasks send back is as much for ten times the rows: counts, and what was written."""
    sizes = []
    for rows in (4_000, 40_000):
        lake.ingest(spine(rows), into=f"spine_{rows}")
        before = engine.returned
        lake.features.training_set(f"spine_{rows}", service(), engine=engine)
        sizes.append(engine.returned - before)
    assert sizes[1] < 1.2 * sizes[0] < 100_000


def test_a_snapshot_has_the_local_records(lake, engine, tmp_path):
    """Every record, byte for byte, of the same time; what is served is what a training set says."""
    store = FeatureStore(lake)
    store.__dict__["online"] = online_store(f"lmdb:{tmp_path / 'online'}", lake.id)
    made_of = service(row_key=["id"])
    store.apply(made_of)
    work = _Work.of(store, made_of, Asked(plan=True))
    assert dict(work.everything(store, engine)) == dict(work.everything(store, "local"))
    done = store.materialize(made_of, engine=engine)
    assert done.full
    assert done.keys == len(dict(work.everything(store, "local")))
    looked = store.lookup(made_of, {"key": ["k1", "k77"], "y": [1.0, 2.0]}).to_dict()
    assert looked["last__x"][1] is None
    store.online.close()


def test_errors_are_those_of_one_machine(lake, engine):
    """A task's error is raised here as it is, in its own words; what cannot be is said before a task starts."""
    bad = spine(100).append_column("last__x", pa.array(np.zeros(100)))
    with pytest.raises(SchemaError, match="the spine has a column 'last__x'"):
        lake.features.training_set(bad, service(), engine=engine)
    with pytest.raises(SchemaError, match="is null in row"):
        lake.features.training_set(
            {"key": ["k1"], "y": [1.0], "t": pa.array([None], pa.timestamp("us", "UTC"))}, service(), engine=engine
        )


def test_labels_come_along(lake, engine):
    """Joined by key, immature rows left out, what has none counted: in the whole, and in each side of a split."""
    keys = [f"k{each}" for each in range(40)]
    seen = times(np.full(40, 30 * DAY))
    lake.ingest(
        pa.table({"key": keys, "late": [each % 3 == 0 for each in range(40)], "seen": seen}), into="labels", key=["key"]
    )
    asked = {"labels": "labels", "label_known_at": "seen", "horizon": "1d"}
    wanted = lake.features.training_set(spine(400), service(), **asked)
    found = lake.features.training_set(spine(400), service(), **asked, engine=engine)
    assert found.report.immature
    assert found.report.unlabelled
    for ours, theirs in ((found, wanted), (found.split(holdout=0.4)[1], wanted.split(holdout=0.4)[1])):
        assert (ours.id, ours.report) == (theirs.id, theirs.report)
        assert ours.table.equals(theirs.table)


def test_a_lake_in_memory_is_refused(memory_lake, engine):
    """Tasks are in other processes."""
    memory_lake.ingest(
        pa.table(
            {"key": ["a"], "happened": times(np.zeros(1, np.int64)), "seen": times(np.zeros(1, np.int64)), "x": [1.0]}
        ),
        into="facts",
    )
    with pytest.raises(ConfigError, match="needs a folder or a URL"):
        memory_lake.features.training_set(spine(10), service(), engine=engine)


def test_no_rows_at_all(lake, engine):
    """A spine without rows is a training set without rows, of all columns."""
    given = spine(10).slice(0, 0)
    found = lake.features.training_set(given, service(), engine=engine)
    wanted = lake.features.training_set(given, service())
    assert (found.id, found.report, found.table.schema) == (wanted.id, wanted.report, wanted.table.schema)


def test_a_query_of_several_rows_is_made_by_one_task(lake, engine):
    """Its rows are no sum of those of parts: one task makes it, with what one machine would."""
    query = dp.sql("select key, happened, avg(x) as x from facts group by key, happened order by key, happened")
    view = dp.FeatureView("v", source=query, entity=dp.Entity("key"), timestamp="happened", ttl=None, features=["x"])
    commits = dp.FeatureView(
        "c", source="facts", entity=dp.Entity("key"), timestamp="happened", ttl=None, features=["x"], history="commits"
    )
    made_of = dp.FeatureService("s", [view, commits])
    found = lake.features.training_set(spine(200), made_of, engine=engine, as_known="now")
    assert found.table.equals(lake.features.training_set(spine(200), made_of, as_known="now").table)
