"""The plan: what would change, what serving costs, and what is refused, on the real rows."""

from __future__ import annotations

import json

import polars as pl
import pyarrow as pa
import pytest

import dataplat as dp
from dataplat.errors import ConfigError


def test_a_new_service_and_then_the_same(desk):
    """Nothing is changed by a plan; its costs are close to those of the snapshot."""
    made = desk.store.plan(desk.service)
    assert (made.state, made.ok, made.keys) == ("new", True, 2)
    assert "features.definitions" not in {each.name for each in desk.lake.datasets()}
    desk.store.apply(desk.service)
    snapshot = desk.store.materialize("delays")
    assert desk.store.plan(desk.service).state == "same"
    assert (snapshot.keys, desk.store.online.snapshot("delays@1").keys) == (2, 2)
    assert made.bytes_per_key > 10


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("select *, interval 1 day as more from weather", None),
        (
            "select origin, at, seen, interval 1 day as temp from weather",
            "temp holds month_day_nano_interval, which cannot",
        ),
        ("select a.*, b.* from weather a join weather b using (origin)", "several columns 'at': name those"),
        ("select origin, at, seen from weather", "no column 'temp'"),
    ],
)
def test_queries_of_columns_that_cannot_be_kept(desk, query, said):
    """Are refused where the view reads them; others may be what they are."""
    service = dp.FeatureService("q", [desk.view_of(source=dp.sql(query.replace(" at,", ' "at",')), features=["temp"])])
    refused = desk.store.plan(service).refused
    assert (refused == []) if said is None else any(said in each for each in refused)


def test_bounds_and_times_that_nobody_looks_at_are_told(desk):
    """Drift of lists, and of what has one value; known_at beside commits."""
    rows = desk.weather(range(3)).append_column("far", pa.array([[1.0, 2.0]] * 6))
    desk.lake.ingest(rows, into="lists")
    given = {"source": "lists", "features": ["temp", "far"], "drift": 0.1}
    views = [
        desk.view_of(**given),
        dp.FeatureView("one", source="lists", timestamp="at", ttl=None, features=["temp"], drift=0.1),
        dp.FeatureView(
            "two", source="lists", timestamp="at", known_at="seen", ttl=None, features=["temp"], history="commits"
        ),
    ]
    told = " ".join(desk.store.plan(dp.FeatureService("d", views)).warnings)
    assert "no drift is looked for in far: it holds list<" in told
    assert "view one: no drift is looked for in temp: without an entity it has one value" in told
    assert "view two: known_at=seen is not looked at" in told


def test_conditions_that_look_at_one_row_are_taken(desk):
    """Lists of values, times, no column at all."""
    for where in ("1 = 1", "origin in ('JFK') and temp between 1 and 3", pl.col("at").dt.year() > 2020):
        assert desk.store.plan(dp.FeatureService("w", [desk.view_of(where=where)])).refused == []


def test_windows_that_are_hardly_meant_are_told(desk):
    """A number is microseconds."""
    made = desk.store.plan(dp.FeatureService("w", [desk.view_of(features=[dp.Count(window=24)])]))
    assert made.ok
    assert "count_24us looks back 24us: numbers are microseconds" in made.warnings[0]


def test_what_differs_from_the_version_before(desk):
    """In words."""
    desk.store.apply(desk.service)
    made = desk.store.plan(dp.FeatureService("delays", [desk.view_of(ttl="1h")], version=2))
    assert made.changes == ["since delays@1: view airport_weather: ttl is 1h, and was none"]
    other = desk.view_of(
        ttl="1h", features=[dp.Field("temp", default=1.0), dp.Mean("temp", window="3h"), dp.Count(window="1h")]
    )
    [changed, *columns] = desk.store.plan(dp.FeatureService("delays", [other], version=3)).changes
    assert "with count_1h, temp is made otherwise" in changed
    assert any("with airport_weather__count_1h" in each for each in columns)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"source": "wether"}, "no dataset 'wether'"),
        ({"features": ["tmp"]}, "no column 'tmp'; did you mean 'temp'"),
        ({"timestamp": "temp"}, "no times"),
        ({"keys": {"temp": "airport"}}, "no key of entity airport"),
        ({"features": [dp.Count(window="3h")], "max_events_per_key": 2}, "max_events_per_key is 2.*accuracy='hop"),
        ({"where": "temp >"}, "where"),
        ({"where": "tmp > 3"}, "no column 'tmp'; did you mean 'temp'"),
        ({"where": "sum(temp) > 3"}, "view airport_weather: where= is not row-local: Agg looks at several rows"),
        ({"where": pl.col("temp").shift(1) > 3}, "view airport_weather: where= is not row-local"),
        ({"where": pl.col("temp").map_elements(bool, return_dtype=pl.Boolean)}, "where= calls a Python function"),
        (
            {"features": [dp.Count(window="3h"), dp.Field("n", default=5.5)], "source": "numbers"},
            "5.5, and n holds int64",
        ),
        ({"source": dp.sql("select * frm weather")}, "view airport_weather: the query cannot be read: syntax error"),
        ({"source": "weather@nope"}, "view airport_weather: .*no branch or tag 'nope'"),
        ({"features": [dp.Mean("origin", window="3h")]}, "view airport_weather: origin holds string.*cannot be summed"),
        ({"features": [dp.Quantile("origin", 0.5, window="3h")]}, "origin holds string, which has no quantiles"),
        ({"features": [dp.Field("temp", default="x")]}, "default of temp is 'x', and temp holds double"),
    ],
)
def test_what_cannot_be_is_refused(desk, options, said):
    """A source, a column, times, keys, too many events: said before anything is applied."""
    desk.lake.ingest(desk.weather(range(3)).append_column("n", pa.array(range(6))), into="numbers")
    service = dp.FeatureService("bad", [desk.view_of(**options)])
    with pytest.raises(ConfigError, match=said):
        desk.store.apply(service)
    assert desk.store.services() == []


def test_an_on_demand_feature_that_looks_at_other_rows_is_refused(desk):
    """A mean over the batch is another value for every batch (PIT 25)."""
    view = desk.view_of()

    @dp.on_demand(inputs=[view])
    def centred(t):
        return t.temp - t.temp.mean()

    with pytest.raises(ConfigError, match="centred is not row-local"):
        desk.store.apply(dp.FeatureService("bad", [view, centred]))


def test_a_source_that_loses_rows_is_refused(desk):
    """Training sets must see what was served: commits are read, times are part of the key, or nothing (PIT 28)."""
    desk.lake.delete("weather", "temp = 3")
    made = desk.store.plan(desk.service)
    assert not made.ok
    assert "does not only grow" in made.refused[0]
    assert desk.store.plan(dp.FeatureService("commits", [desk.view_of(history="commits", known_at=None)])).ok
    rows = desk.weather(range(3))
    desk.lake.ingest(rows, into="keyed", key=["origin", "at", "seen"])
    desk.lake.ingest(rows, into="keyed", mode="upsert", key=["origin", "at", "seen"])
    assert desk.store.plan(dp.FeatureService("keyed", [desk.view_of(source="keyed")])).ok


def test_merging_rows_that_only_came_is_growing(desk):
    """A branch that appended, a new column: nothing vanished; a branch that deleted took rows away."""
    lake = desk.lake
    for name, rows in (("taken", None), ("merged", desk.weather([9]))):
        lake.branch(name)
        lake.ingest(desk.weather([7, 8]), into="weather", branch=name)
        if rows is not None:
            lake.ingest(rows, into="weather")
        lake.merge(name, into="main")
        assert desk.store.plan(desk.service).refused == []
    lake.branch("deleted")
    lake.delete("weather", "temp = 3", branch="deleted")
    lake.ingest(desk.weather([10]), into="weather")
    lake.evolve("weather", add={"extra": "int64"})
    assert desk.store.plan(desk.service).refused == []
    lake.merge("deleted", into="main")
    assert "(merge) changed or took away rows" in desk.store.plan(desk.service).refused[0]


def test_going_back_takes_rows_away(desk):
    """However many there are afterwards; so does dropping a dataset, and to begin it anew."""
    desk.lake.ingest(desk.weather([7]), into="weather")
    desk.lake.rollback("weather~1")
    assert "(rollback) changed or took away rows" in desk.store.plan(desk.service).refused[0]
    desk.lake.ingest(desk.weather(range(3)), into="dropped")
    desk.lake.drop("dropped")
    desk.lake.ingest(desk.weather(range(3)), into="dropped")
    made = desk.store.plan(dp.FeatureService("d", [desk.view_of(source="dropped")]))
    assert "(drop) changed or took away rows" in made.refused[0]


def test_going_back_to_a_column_takes_no_row_away(desk):
    """A column that was dropped and came back by a rollback: rows are compared by what both versions have of the view."""
    desk.lake.evolve("weather", add={"extra": "int64"})
    desk.lake.evolve("weather", drop=["extra"])
    desk.lake.rollback("weather~1")
    assert desk.store.plan(desk.service).refused == []
    desk.lake.evolve("weather", drop=["temp"])
    desk.lake.rollback("weather~1")
    assert desk.store.plan(desk.service).refused == []
    desk.lake.evolve("weather", drop=["extra"])
    desk.lake.ingest(desk.weather([9]), into="weather")
    desk.lake.rollback("weather~2")
    assert "(rollback) changed or took away rows" in desk.store.plan(desk.service).refused[0]


def test_a_whole_export_that_holds_all_rows_that_there_were_grows(desk):
    """A replace is told by its rows: whether one went, or became another one."""
    desk.lake.ingest(desk.weather(range(8)), into="weather", mode="replace")
    assert desk.store.plan(desk.service).refused == []
    desk.lake.ingest(desk.weather(range(1, 9)), into="weather", mode="replace")
    assert "(replace) changed or took away rows" in desk.store.plan(desk.service).refused[0]


def test_an_upsert_over_event_times_alone_is_refused(desk):
    """Without a known time in the key the value that was served is gone; it is refused once rows were replaced (PIT 28)."""
    rows = desk.weather(range(3)).drop(["seen"])
    desk.lake.ingest(rows, into="upserted", key=["origin", "at"])
    service = dp.FeatureService("u", [desk.view_of(source="upserted", known_at=None, features=["temp"])])
    assert desk.store.plan(service).ok
    other = rows.set_column(2, "temp", pa.array([9.0] * 6))
    desk.lake.ingest(other, into="upserted", mode="upsert", key=["origin", "at"])
    assert "(upsert) changed or took away rows" in desk.store.plan(service).refused[0]


def test_a_query_of_rows_that_vanish_is_refused(desk):
    """As its dataset would be, unless it reads one version; reading commits is no way out, since a query has none."""
    pinned = dp.sql(f'select * from "weather@id:{desk.lake["weather"].id[:12]}"')
    desk.lake.delete("weather", "temp = 3")
    made = desk.store.plan(dp.FeatureService("q", [desk.view_of(source=dp.sql("select * from weather"))]))
    assert "view airport_weather: weather does not only grow" in made.refused[0]
    assert "history=" not in made.refused[0]
    assert desk.store.plan(dp.FeatureService("q", [desk.view_of(source=pinned)])).refused == []


def test_all_that_is_wrong_is_said_at_once(desk):
    """Of all views and features, and not one thing at a time; a source that is not there hides nothing of the others."""
    view = desk.view_of(features=[dp.Mean("origin", window="3h"), dp.Field("temp", default="x")])
    given = {"timestamp": "at", "ttl": None}
    other = dp.FeatureView("other", source="weather", features=["tmp", "orign"], **given)
    nowhere = dp.FeatureView("nowhere", source="wether", features=["temp"], **given)
    desk.lake.delete("weather", "temp = 3")
    refused = desk.store.plan(dp.FeatureService("bad", [view, other, nowhere])).refused
    said = ["no column 'tmp'", "no column 'orign'", "no dataset 'wether'", "does not only grow", "be summed", "default"]
    assert len(refused) == len(said)
    assert all(any(each in reason for reason in refused) for each in said)


def test_a_plan_as_json_is_the_same_each_time(desk):
    """Plain values under names that stay."""
    names = "service closure state changes refused warnings views keys bytes_per_key nbytes memory memory_is ok"
    told = [json.dumps(desk.store.plan(desk.service).to_dict()) for _ in range(2)]
    assert told[0] == told[1]
    assert list(json.loads(told[0])) == names.split()
    view = json.loads(told[0])["views"][0]
    assert list(view) == ["view", "source", "versions", "rows", "keys", "keyless", "ties", "events", "features"]


def test_a_plan_asks_for_each_source_once(desk, monkeypatch):
    """A view and its alias are one source; the columns of a query are asked for once, and so is how it is served."""
    from dataplat._features import _plan
    from dataplat._query import Query

    asked, made = [], []
    schema, of = Query.schema, _plan.ServingPlan.of
    monkeypatch.setattr(Query, "schema", property(lambda query: asked.append(1) or schema.__get__(query)))
    monkeypatch.setattr(_plan.ServingPlan, "of", lambda *given: made.append(1) or of(*given))
    view = desk.view_of(source=dp.sql("select distinct * from weather"))
    service = dp.FeatureService("q", [view, view.alias("there", on={"other": "airport"})])
    assert desk.store.plan(service).refused == []
    assert (len(asked), len(made)) == (1, 1)


def test_functions_that_fail_and_services_of_nothing(desk):
    """Are named, and no traceback."""
    view = desk.view_of()

    @dp.on_demand(inputs=[view])
    def boom(t):
        raise RuntimeError("of its own")

    @dp.on_demand(inputs=[dp.Request({"distance": "float64"})])
    def doubled(t):
        return t.distance * 2

    with pytest.raises(ConfigError, match="boom: its function failed: RuntimeError: of its own"):
        desk.store.plan(dp.FeatureService("b", [view, boom]))
    for nothing in ([], [doubled]):
        assert "has no features of a view" in desk.store.plan(dp.FeatureService("e", nothing)).refused[0]


def test_naive_times_are_refused_unless_a_zone_is_named(desk):
    """Naive times could be any (PIT 13)."""
    naive = desk.weather(range(3)).set_column(
        1, "at", pa.array([desk.hour(0).replace(tzinfo=None)] * 6, pa.timestamp("us"))
    )
    desk.lake.ingest(naive, into="naive")
    assert "without a zone" in desk.store.plan(dp.FeatureService("n", [desk.view_of(source="naive")])).refused[0]
    assert desk.store.plan(dp.FeatureService("n", [desk.view_of(source="naive", zone="America/New_York")])).ok


def test_null_keys_and_ties_are_told(desk):
    """They are no errors, and nobody wants them."""
    rows = desk.weather([1.0, 1.0], ["JFK", None])
    desk.lake.ingest(rows, into="odd")
    told = " ".join(desk.store.plan(dp.FeatureService("odd", [desk.view_of(source="odd")])).warnings)
    assert "2 rows have no key" in told
    assert "agree with another one" in told


def test_labels_do_not_leak(desk):
    """A feature of the label itself, or of its dataset without a known time, is refused with the reason (PIT 27)."""
    labels = pa.table({"origin": ["JFK"], "at": pa.array([desk.hour(1)], pa.timestamp("us", "UTC")), "late": [1.0]})
    desk.lake.ingest(labels, into="labels")
    spine = {"airport": ["JFK"], "origin": ["JFK"], "t": [desk.hour(2)]}
    asked = {"entity": dp.Entity("airport"), "keys": {"origin": "airport"}, "timestamp": "at", "ttl": None}
    itself = dp.FeatureView("itself", source="labels", features=["late"], **asked)
    with pytest.raises(ConfigError, match="made of the label itself"):
        desk.store.training_set(spine, dp.FeatureService("l", [itself]), labels="labels", label_on="origin")
    asked_of = dp.FeatureView("asked", source="labels", where="late > 0", features=[dp.Count(window="3h")], **asked)
    with pytest.raises(ConfigError, match="its where= looks at the label itself .labels: late"):
        desk.store.training_set(spine, dp.FeatureService("l", [asked_of]), labels="labels", label_on="origin")
    silent = dp.FeatureView("silent", source="labels", features=[dp.Count(window="3h")], **asked)
    with pytest.raises(ConfigError, match="does not say when its rows were known"):
        desk.store.training_set(spine, dp.FeatureService("l", [silent]), labels="labels", label_on="origin")
