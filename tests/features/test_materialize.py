"""Snapshots: by version difference, atomic, gated, rolled back, followed, made again from the lake alone; killed anywhere."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime

import pyarrow as pa
import pytest

import dataplat as dp
from dataplat._features import FeatureStore
from dataplat.errors import ConfigError, ContractFailed, FeatureNotFound, NotMaterialized, SchemaError
from dataplat.feature_store.online.connect import online_store


@pytest.fixture
def served(desk):
    """Return the desk with a live snapshot of a hundred airports."""
    names = [f"A{number:02}" for number in range(100)]
    desk.lake.ingest(desk.weather(range(3), names), into="weather")
    desk.store.apply(desk.service)
    desk.store.materialize("delays")
    return desk


def test_only_keys_that_changed_are_written(served):
    """Late rows and new keys are found by version difference, however old their event time (PIT 17)."""
    served.lake.ingest(served.weather([2.5], ["A07"]), into="weather")
    made = served.store.materialize("delays")
    assert (made.full, made.written, made.removed, made.keys) == (False, 1, 0, 102)
    served.lake.ingest(served.weather([0.5], ["A08", "NEW"]), into="weather")
    assert served.store.materialize("delays").written == 2
    assert served.temps("A07", "NEW") == [2.5, 0.5]
    again = served.store.materialize("delays")
    assert (again.written, again.snapshot) == (0, served.store.online.snapshot("delays@1").id)


def test_a_compaction_changes_nothing(served):
    """Parts are others, rows are not: no record is written."""
    served.lake.compact("weather")
    assert served.store.materialize("delays").written == 0


def test_a_deleted_row_is_gone_and_the_one_before_is_served(new_lake, tmp_path, desk):
    """By the differences of versions; a key without rows has no record (PIT 19, 28)."""
    service = dp.FeatureService("commits", [desk.view_of(history="commits", known_at=None, features=["temp"])])
    desk.store.apply(service)
    desk.store.materialize(service)
    desk.lake.delete("weather", "origin = 'JFK' and temp = 5")
    made = desk.store.materialize(service)
    assert made.written == 1
    found = desk.store.lookup(service, {"airport": ["JFK", "LGA"]}).to_dict()
    assert found["airport_weather__temp"] == [4.0, 105.0]


def test_one_step_back(served):
    """The snapshot before is served again, and the next one is made from it."""
    before = served.store.online.snapshot("delays@1").id
    served.lake.ingest(served.weather([7], ["A07"]), into="weather")
    served.store.materialize("delays")
    assert served.store.rollback("delays").id == before
    assert served.temps("A07") == [2.0]
    with pytest.raises(NotMaterialized):
        served.store.rollback("delays")
    assert served.store.materialize("delays").written == 1
    assert served.temps("A07") == [7.0]


def test_a_new_version_fills_while_the_old_one_serves(served):
    """Versions of a service have snapshots of their own."""
    served.store.apply(dp.FeatureService("delays", [served.view_of(ttl="1h")], version=2))
    assert served.temps("A07") == [2.0]
    with pytest.raises(NotMaterialized, match="delays@2"):
        served.store.lookup("delays@2", {"airport": ["A07"]})
    served.store.materialize("delays@2")
    assert served.store.lookup("delays@2", {"airport": ["A07"]}).to_dict()["airport_weather__temp"] == [None]
    assert served.temps("A07") == [2.0]


def test_a_plan_does_nothing(served):
    """It says how many records would be written."""
    served.lake.ingest(served.weather([7], ["A07"]), into="weather")
    made = served.store.materialize("delays", dry_run=True)
    assert (made.plan, made.written, made.full) == (True, 1, False)
    assert served.temps("A07") == [2.0]


def test_what_does_not_meet_its_contract_is_not_served(served):
    """What was live is served; the report says what failed."""
    contract = dp.Contract(checks=[dp.row_count(max=310)])
    served.lake.ingest(served.weather([7], ["A07"]), into="weather")
    with pytest.raises(ContractFailed, match="goes on to serve what is live") as failed:
        served.store.materialize("delays", contracts={"weather": contract})
    assert failed.value.report is not None
    assert served.temps("A07") == [2.0]
    loose = dp.Contract(checks=[dp.row_count(max=9999)])
    served.store.materialize("delays", contracts={"weather": loose})
    assert served.temps("A07") == [7.0]


def test_made_again_from_the_lake_alone(served, tmp_path):
    """The online folder is gone: the next snapshot serves the same."""
    before = served.store.lookup("delays", {"airport": ["A07", "JFK", "X"]}, statuses=True).to_dict()
    served.store.online.close()
    shutil.rmtree(tmp_path / "online")
    store = FeatureStore(served.lake)
    store.__dict__["online"] = online_store(f"lmdb:{tmp_path / 'online'}", served.lake.id)
    with pytest.raises(NotMaterialized):
        store.lookup("delays", {"airport": ["A07"]})
    assert store.materialize("delays").full
    after = store.lookup("delays", {"airport": ["A07", "JFK", "X"]}, statuses=True).to_dict()
    same = [name for name in before if not name.endswith("__age")]
    assert [after[name] for name in same] == [before[name] for name in same]
    store.online.close()


def test_what_cannot_be_materialised(served):
    """Not applied, applied otherwise, a source that lost a column: named, and what is live is served."""
    with pytest.raises(FeatureNotFound, match="apply it before"):
        served.store.materialize(dp.FeatureService("other", [served.view_of()]))
    with pytest.raises(ConfigError, match="another definition"):
        served.store.materialize(dp.FeatureService("delays", [served.view_of(ttl="2h")]))
    served.lake.evolve("weather", drop=["temp"])
    with pytest.raises(SchemaError, match="no column 'temp'"):
        served.store.materialize("delays")
    assert served.temps("A07") == [2.0]


def test_freshness_beside_its_limit(desk):
    """Old is stale, and what the sources have since is named."""
    service = dp.FeatureService("fresh", [desk.view_of(freshness="1us")])
    desk.store.apply(service)
    [none] = desk.store.freshness(service)
    assert (none.snapshot, none.stale) == (None, True)
    desk.store.materialize(service)
    [found] = desk.store.freshness(service)
    assert (found.stale, found.behind) == (True, ())
    desk.lake.ingest(desk.weather([9]), into="weather")
    assert desk.store.freshness(service)[0].behind == ("weather",)


def test_freshness_where_a_source_is_not_there_any_more(desk):
    """A dataset that was dropped, a branch that is gone: said in the row of that view; others are told as ever."""
    desk.lake.branch("exp")
    desk.lake.ingest(desk.weather([1]), into="other")
    views = [
        desk.view_of(),
        *(
            dp.FeatureView(name, source=source, entity=dp.Entity("airport"), keys={"origin": "airport"},
                           timestamp="at", ttl=None, features=["temp"])
            for name, source in (
                ("gone", "other"), ("away", "weather@exp"), ("query", dp.sql("select * from other where temp > 0")))
        ),
    ]  # fmt: skip
    service = dp.FeatureService("three", views)
    desk.store.apply(service)
    desk.store.materialize(service)
    desk.lake.ingest(desk.weather([9]), into="weather")
    desk.lake.drop("other")
    desk.lake.delete_branch("exp")
    there, gone, away, query = desk.store.freshness(service)
    assert (there.behind, there.gone) == (("weather",), None)
    assert (gone.behind, gone.stale, gone.snapshot) == ((), False, there.snapshot)
    assert "'other'" in str(gone.gone)
    assert "'other'" in str(query.gone)
    assert "exp" in str(away.gone)
    assert desk.store.freshness("three")[1].to_dict()["gone"] == gone.gone


def test_snapshots_follow_their_sources(served):
    """As long as nobody says stop."""
    stop, seen = threading.Event(), []

    def tell(made):
        seen.append(made.written)
        if len(seen) == 1:
            served.lake.ingest(served.weather([7], ["A07"]), into="weather")
        else:
            stop.set()

    served.store.follow("delays", tell, every=0.01, stop=stop)
    assert seen == [0, 1]


_MAKER = """
import os, sys
import dataplat as dp
from dataplat._features import FeatureStore
from dataplat.feature_store.online.connect import online_store
lake, folder, records = sys.argv[1:]
store = FeatureStore(dp.open(lake, create=False))
store.__dict__["online"] = online_store(f"lmdb:{folder}", store.lake.id)
load, change = store.online.load, store.online.change
def some(items):
    for number, item in enumerate(items):
        if number == int(records):
            os.kill(os.getpid(), 9)
        yield item
store.online.load = lambda space, snapshot, items, **more: load(space, snapshot, some(items), **more)
store.online.change = lambda space, snapshot, items, **more: change(space, snapshot, some(items), **more)
store.materialize("delays")
"""


@pytest.mark.slow
def test_killed_in_the_midst(tmp_path):
    """Of a first snapshot nothing is served; of a later one what was before; the next one is whole."""
    lake = dp.open(tmp_path / "lake")
    names = [f"A{number:02}" for number in range(50)]

    def rows(value):
        at = pa.array([datetime(2026, 1, 5, int(value), tzinfo=UTC)] * 50, pa.timestamp("us", "UTC"))
        return pa.table({"airport": names, "at": at, "temp": [value] * 50})

    lake.ingest(rows(1.0), into="weather")
    view = dp.FeatureView(
        "w", source="weather", entity=dp.Entity("airport"), timestamp="at", ttl=None, features=["temp"]
    )
    store = FeatureStore(lake)
    store.__dict__["online"] = online_store(f"lmdb:{tmp_path / 'online'}", lake.id)
    store.apply(dp.FeatureService("delays", [view]))

    def killed(records):
        store.online.close()
        run = [sys.executable, "-c", _MAKER, str(tmp_path / "lake"), str(tmp_path / "online"), str(records)]
        assert subprocess.run(run, capture_output=True, check=False).returncode == -signal.SIGKILL

    for records in range(0, 50, 1 if os.environ.get("DATAPLAT_DEATHS") else 24):
        killed(records)
        with pytest.raises(NotMaterialized):
            store.lookup("delays", {"airport": names})
    store.materialize("delays")
    lake.ingest(rows(2.0), into="weather")
    for records in range(0, 50, 1 if os.environ.get("DATAPLAT_DEATHS") else 24):
        killed(records)
        assert store.lookup("delays", {"airport": names}).to_dict()["w__temp"] == [1.0] * 50
    assert store.materialize("delays").written == 50
    assert store.lookup("delays", {"airport": names}).to_dict()["w__temp"] == [2.0] * 50
    store.online.close()


def test_keys_that_lost_all_rows(served):
    """Their records go, of those alone that no view has rows of any more."""
    lake = served.lake
    lake.ingest(served.weather([1], ["A01", "A02"]), into="other")
    second = dp.FeatureView(
        "second", source="other", entity=dp.Entity("airport"), keys={"origin": "airport"}, timestamp="at", ttl=None,
        features=["temp"],
    )  # fmt: skip
    both = dp.FeatureService("both", [served.view_of(), second])
    served.store.apply(both)
    served.store.materialize(both)
    lake.delete("weather", "origin in ('A01', 'A03')")
    made = served.store.materialize("delays")
    assert (made.full, made.written, made.removed, made.keys) == (False, 0, 2, 100)
    assert served.temps("A01", "A02", "A03") == [None, 2.0, None]
    made = served.store.materialize(both)
    assert (made.full, made.written, made.removed, made.keys) == (False, 1, 1, 101)
    found = served.store.lookup(both, {"airport": ["A01", "A03"]}).to_dict()
    assert (found["airport_weather__temp"], found["second__temp"]) == ([None, None], [1.0, None])
    lake.delete("other", "origin = 'A01'")
    assert served.store.materialize(both).removed == 1
    assert served.store.rollback(both)
    found = served.store.lookup(both, {"airport": ["A01"]}).to_dict()
    assert found["second__temp"] == [1.0]


def test_rows_that_do_not_count_change_nothing(desk):
    """Keys are found by the rows that pass the view's condition; other columns may come and be filled meanwhile."""
    service = desk.service = dp.FeatureService("delays", [desk.view_of(where="temp < 1000", features=["temp"])])
    desk.store.apply(service)
    desk.store.materialize(service)
    desk.lake.ingest(desk.weather([2000], ["JFK"]), into="weather")
    made = desk.store.materialize(service)
    assert (made.written, made.removed) == (0, 0)
    desk.lake.evolve("weather", add={"rain": "float64"})
    made = desk.store.materialize(service)
    assert (made.full, made.written, made.removed) == (False, 0, 0)
    assert desk.temps("JFK") == [5.0]


def test_a_correction_that_moved_an_event_and_went_again(desk):
    """What it moved counts where it was before: for a key, too, of which no row came or went since."""
    rows = pa.table(
        {
            "carrier": ["AA", "AA", "UA"],
            "flight": [1, 2, 3],
            "at": pa.array([desk.hour(each) for each in (1, 2, 3)], pa.timestamp("us", "UTC")),
            "seen": pa.array([desk.hour(each) for each in (1, 2, 3)], pa.timestamp("us", "UTC")),
        }
    )
    moved = pa.table({"carrier": ["UA"], "flight": [1], "at": rows["at"][:1],
                      "seen": pa.array([desk.hour(4)], pa.timestamp("us", "UTC"))})  # fmt: skip
    desk.lake.ingest(rows, into="landings")
    view = dp.FeatureView(
        "landings", source="landings", entity=dp.Entity("airline"), keys={"carrier": "airline"}, timestamp="at",
        known_at="seen", row_key=["flight"], ttl=None, max_events_per_key=9, features=[dp.Count(window="3650d")],
    )  # fmt: skip
    service = dp.FeatureService("moves", [view])
    desk.store.apply(service)

    def counted():
        """Return what is served, which is what a training set says."""
        desk.store.materialize(service)
        found = desk.store.lookup(service, {"airline": ["AA", "UA"]}).to_dict()
        made = desk.store.training_set({"airline": ["AA", "UA"], "t": [datetime.now(UTC)] * 2}, service)
        assert made.table["landings__count_3650d"].to_pylist() == found["landings__count_3650d"]
        return found["landings__count_3650d"]

    assert counted() == [2, 1]
    desk.lake.ingest(moved.select(rows.schema.names), into="landings")
    assert counted() == [1, 2]
    desk.lake.rollback("landings~1")
    assert counted() == [2, 1]
