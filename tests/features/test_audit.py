"""The audit: what was rightly served has no difference, and what was not is found, each with its cause."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pytest

import dataplat as dp
from dataplat._features import FeatureStore
from dataplat._features._audit import CAUSES
from dataplat._features._served import DATASET, ServedLog, folder_of, land
from dataplat._features._sources import ViewSource
from dataplat.errors import NotMaterialized
from dataplat.feature_store.closure import closure_hash
from dataplat.feature_store.kernel.order import facts
from dataplat.feature_store.online.plan import ServingPlan, bases_of, types_of
from dataplat.feature_store.online.record import pack
from dataplat.feature_store.online.serve import Serving
from dataplat.feature_store.online.store import Reading, Snapshot
from dataplat.feature_store.served import segments

START = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)
AIRPORTS = ["JFK", "LGA", "EWR"]


def micros(at: dt.datetime) -> int:
    """Return microseconds since 1970."""
    return (at - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(microseconds=1)


def rows(hours, *, warmer=0.0, kind=None):
    """Return weather: a row for each airport and hour."""
    return pa.table(
        {
            "airport": [name for _ in hours for name in AIRPORTS],
            "at": pa.array([START + hour * HOUR for hour in hours for _ in AIRPORTS], pa.timestamp("us", "UTC")),
            "temp": pa.array([warmer + hour + 10 * n for hour in hours for n in range(3)], kind or pa.float64()),
        }
    )


def service_of(ttl="6h", *, window="3h", version=1):
    """Return a service of a last value, a window and an on-demand feature."""
    view = dp.FeatureView(
        "weather",
        source="weather",
        entity=dp.Entity("airport"),
        timestamp="at",
        ttl=ttl,
        features=["temp", dp.Mean("temp", window=window), dp.Count(window=window)],
    )

    @dp.on_demand(inputs=[view, dp.Request({"extra": "float64"})])
    def warmer(t):
        return t.temp + t.extra

    return dp.FeatureService("model", [view, warmer], version=version)


@dataclass
class Site:
    """A lake with weather, and a server of it that may be told to serve something wrong."""

    store: FeatureStore
    service: dp.FeatureService

    def snapshot(self, *, at=START + 10 * HOUR, table=None, service=None) -> Serving:
        """Make records as materialisation does, or of other rows, or for another service."""
        meant = service or self.service
        sources = {base.name: ViewSource.of(self.store, base) for base in bases_of(meant)}
        of = {base.name: sources[base.name].whole if table is None else facts(base, table) for base in bases_of(meant)}
        schemas = {name: source.schema if table is None else table.schema for name, source in sources.items()}
        plan = ServingPlan.of(meant, types_of(schemas))
        pins = {name: pin for source in sources.values() for name, pin in source.pins.items()}
        self.records = dict(pack(plan, plan.groups[0], of, micros(at)))
        self.live = Snapshot(uuid.uuid4().hex, micros(at), pins, plan.closure, types=plan.types)
        self.serving = Serving(plan)
        return self.serving

    def serve(self, hours=(11, 12, 15.5, 20), *, log: Any = None) -> None:
        """Answer requests, and log them."""
        asked = {"airport": [*AIRPORTS, "XXX"], "extra": [1.5] * 4}
        with log or ServedLog.of(self.store, most=None) as to:
            for hour in hours:
                t = micros(START + hour * HOUR)
                served = self.serving.answer(asked, asked, t, lambda keys: Reading(
                    self.live, 0, [self.records.get(key) for key in keys], [()] * len(keys)
                ))  # fmt: skip
                to.record("model@1", asked, asked, 4, t, served)


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A lake whose weather goes to hour 12, materialised at hour 10."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    lake = dp.open(f"memory://{uuid.uuid4().hex}")
    lake.ingest(rows(range(13)), into="weather", key=["airport", "at"])
    site = Site(FeatureStore(lake), service_of())
    site.store.apply(site.service)
    site.snapshot()
    return site


def test_what_was_rightly_served_has_no_difference(site):
    """All rows, values and statuses, of present and missing keys, expired ones too; and nothing is stale."""
    site.serve()
    found = site.store.audit("model")
    assert (found.rows, found.cells, found.snapshots) == (16, 64, 1)
    assert found.ok
    assert found.causes == {}
    assert found.stale == {}
    assert str(found) == "model@1: 16 served rows, 64 cells, 0 differences"


def test_nothing_logged_is_nothing_found(site):
    """Without a log the audit is of no rows."""
    assert site.store.audit("model").rows == 0


def test_only_what_is_asked_for_is_looked_at(site):
    """Since and until are of the requests' times; other services are none of it."""
    site.serve()
    assert site.store.audit("model", since=START + 12 * HOUR).rows == 12
    assert site.store.audit("model", until=START + 12 * HOUR).rows == 4
    site.store.apply(service_of(version=2))
    assert site.store.audit("model@2").rows == 0
    assert site.store.audit("model@1").rows == 16


def test_a_value_that_was_tampered_with_in_the_store_is_found(site):
    """One record of another temperature: every cell made of it differs, of that key alone, by cause `store`."""
    table = rows(range(13))
    temps = [value + (0.25 if name == "LGA" else 0) for name, value in zip(
        table["airport"].to_pylist(), table["temp"].to_pylist(), strict=True
    )]  # fmt: skip
    site.snapshot(table=table.set_column(2, "temp", pa.array(temps)))
    site.serve([11])
    found = site.store.audit("model")
    assert found.causes == {"store": 3}
    assert {each.entities["airport"] for each in found.differences} == {"LGA"}
    assert {each.column for each in found.differences} == {"weather__temp", "weather__temp_mean_3h", "warmer"}
    one = next(each for each in found.differences if each.column == "weather__temp")
    assert (one.served, one.replayed, one.served_status) == (21.25, 21.0, "present")
    assert json.loads(json.dumps(found.to_dict(), default=str))["causes"] == {"store": 3}


def test_one_bit_in_the_log_is_found(site):
    """The last bit of one logged value, changed in the dataset itself."""
    site.serve([11])
    land(site.store)
    version = site.store.lake[DATASET]
    table = version.to_arrow()
    features = table["features"].to_pylist()
    place = next(at for at, each in enumerate(table["entities"].to_pylist()) if "JFK" in each)
    assert '"weather__temp_mean_3h":10.0' in features[place]
    features[place] = features[place].replace('_3h":10.0', '_3h":10.000000000000002')
    changed = table.set_column(table.schema.get_field_index("features"), "features", pa.array(features))
    site.store.lake.ingest(changed, into=DATASET, mode="upsert", key=["id"])
    found = site.store.audit("model")
    assert [(each.column, each.served, each.replayed) for each in found.differences] == [
        ("weather__temp_mean_3h", 10.000000000000002, 10.0)
    ]


def test_a_row_that_was_not_to_be_had_is_late(site):
    """Served of rows that are in no pinned version, but came afterwards: `late`; not stale, since they are there now."""
    more = rows([9], warmer=100)
    late = more.set_column(1, "at", pa.array([START + 9.5 * HOUR] * 3, pa.timestamp("us", "UTC")))
    site.snapshot(table=pa.concat_tables([rows(range(10)), late]))
    pins = site.live.pins
    site.store.lake.ingest(pa.concat_tables([rows(range(10)), late]), into="weather", mode="replace",
                           key=["airport", "at"])  # fmt: skip
    site.live = replace_struct(site.live, pins=pins)
    site.serve([10])
    found = site.store.audit("model")
    assert set(found.causes) == {"late"}
    assert found.causes["late"] == 3 * 4 - 3  # counts agree: three of 8, 9, 10 and three of 8, 9, 9.5
    assert found.stale_rows == 3


def test_a_value_served_past_its_ttl_is_expired(site):
    """Records made as if nothing expired: what was too old, and was served, is `expired`."""
    forever = service_of(ttl=None)
    site.snapshot(service=forever)
    site.live = replace_struct(site.live, closure=closure_hash(site.service))
    site.serving.plan.__dict__["closure"] = site.live.closure
    site.serve([12, 20])
    found = site.store.audit("model")
    assert set(found.causes) == {"expired"}
    assert {each.t for each in found.differences} == {START + 20 * HOUR}
    assert {
        (each.served_status, each.replayed_status) for each in found.differences if each.column == "weather__temp"
    } == {("present", "expired")}


def test_another_definition_is_named_as_the_cause(site):
    """A snapshot of another closure: where it makes a difference, that is why."""
    other = service_of(window="2h")
    site.snapshot(service=service_of(window="3h", ttl="1h"))
    assert closure_hash(other) != closure_hash(site.service)
    site.serve([15.5])
    found = site.store.audit("model")
    assert set(found.causes) == {"definition"}
    assert all(each.served_status in {"expired", "null"} for each in found.differences)


def test_another_type_is_named_as_the_cause(site):
    """Served as whole numbers where the pinned version has floats: the values are the same, the type is not."""
    site.snapshot(table=rows(range(13), kind=pa.int64()))
    site.serve([11])
    found = site.store.audit("model")
    told = {each.column: each for each in found.differences}
    assert found.causes["type"] == 4
    assert set(found.causes) == {"type"}
    assert set(told) == {"weather__temp"}
    assert isinstance(told["weather__temp"].served, int | None)


def test_what_serving_could_not_know_is_stale_and_no_difference(site):
    """Rows that land after the snapshot change what training says, cell by cell, and nothing that was served wrongly."""
    site.serve([11, 12])
    changed = pa.concat_tables([rows(range(12)), rows([12], warmer=5)])
    site.store.lake.ingest(changed, into="weather", mode="replace", key=["airport", "at"])
    found = site.store.audit("model")
    assert found.ok
    assert found.stale == {"weather__temp": 3, "weather__temp_mean_3h": 3, "warmer": 3}
    assert found.stale_rows == 3
    assert "3 rows stale" in str(found)


def test_every_cause_is_explained():
    """What the audit says as a cause is one of those that are described."""
    assert list(CAUSES) == ["late", "expired", "definition", "type", "store"]


def test_rows_are_landed_once_whoever_dies_between(site):
    """Killed after the commit and before the segment is removed, the next landing adds nothing."""
    log = ServedLog.of(site.store, most=None)
    site.serve(log=log)
    site.serve()
    version = site.store.lake[DATASET]
    assert version.rows == 32
    spool = ServedLog.of(site.store, most=None, every=1000)
    site.serve([11], log=_Unlanded(spool))
    (path,) = segments(folder_of(site.store))
    content = path.read_bytes()
    assert land(site.store).rows == 4
    path.write_bytes(content)  # as if it had not been removed
    assert land(site.store).rows == 4
    assert site.store.lake[DATASET].rows == 36
    assert site.store.audit("model").rows == 36
    assert segments(folder_of(site.store)) == []


class _Unlanded:
    """A log that ends without landing what it wrote."""

    def __init__(self, log: ServedLog) -> None:
        self.log = log

    def __enter__(self) -> ServedLog:
        return self.log

    def __exit__(self, *_: object) -> None:
        self.log.spool.close()


def test_a_lake_that_cannot_be_written_keeps_rows_waiting(site, monkeypatch, caplog):
    """Closing does not raise: what was written lands with the next landing."""
    with monkeypatch.context() as broken:
        broken.setattr(type(site.store.lake), "ingest", _fail)
        site.serve([11])
    assert "served requests wait in" in caplog.text
    assert site.store.audit("model").rows == 4


def _fail(*_: object, **__: object) -> None:
    raise dp.StoreError("no route to host")


def replace_struct(snapshot: Snapshot, **changes: Any) -> Snapshot:
    """Return a snapshot with other fields."""
    import msgspec

    return msgspec.structs.replace(snapshot, **changes)


def test_records_of_another_layout_are_refused_and_made_anew(desk, monkeypatch):
    """A snapshot that another version of dataplat laid out is never read as if it were ours."""
    from dataplat.feature_store.online import plan

    desk.store.apply(desk.service)
    with monkeypatch.context() as older:
        older.setattr(plan, "FORMAT", 0)
        desk.store.materialize(desk.service)
    with pytest.raises(NotMaterialized, match="another version of dataplat"):
        desk.temps("JFK")
    assert desk.store.materialize(desk.service).full
    assert desk.temps("JFK") != [None]
