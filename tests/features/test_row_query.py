"""Queries that look at one row at a time: told from others, read part by part, and pushed to."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

import dataplat as dp
from dataplat._features import FeatureStore
from dataplat._features._row_query import row_query
from dataplat._features._served import ServedLog
from dataplat._features._sources import ViewSource
from dataplat.errors import ConfigError, PredicateError

NOW = datetime.now(UTC)
QUERY = "select flight, upper(dest) as dest, arrived - dep as delay, arrived_at, landed_at from landings where not cancelled"


def landings(rows, start=0):
    """Return landings, a minute after the other, of two carriers; each fifth was cancelled."""
    numbers = range(start, start + rows)
    times = pa.array([NOW - timedelta(hours=3) + timedelta(minutes=n) for n in numbers], pa.timestamp("us", "UTC"))
    return pa.table(
        {
            "flight": [f"F{n}" for n in numbers],
            "carrier": [("AA", "UA")[n % 2] for n in numbers],
            "dest": [("jfk", "lga", None)[n % 3] for n in numbers],
            "dep": pa.array([n % 7 for n in numbers], pa.int32()),
            "arrived": pa.array([n % 11 for n in numbers], pa.int32()),
            "arrived_at": times,
            "landed_at": times,
            "cancelled": [n % 5 == 0 for n in numbers],
        }
    )


def view(query, name="delays", **options):
    """Return a view of delays."""
    given = {
        "entity": dp.Entity("carrier"),
        "timestamp": "arrived_at",
        "known_at": "landed_at",
        "ttl": None,
        "features": ["delay", dp.Mean("delay", window="24h"), dp.Count(window="1h"), dp.Last("dest", window="24h")],
    }
    return dp.FeatureView(name, source=dp.sql(query), **(given | options))


BY_ROW = view(QUERY.replace("select flight", "select carrier, flight"))
WHOLE = view(QUERY.replace("select flight", "select distinct carrier, flight"))


@pytest.fixture
def store(tmp_path, monkeypatch):
    """A lake with landings in three parts."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    lake = dp.open(f"memory://{uuid.uuid4().hex}")
    for start in (0, 40, 80):
        lake.ingest(landings(40, start), into="landings")
    store = FeatureStore(lake)
    yield store
    store.online.close()


@pytest.mark.parametrize(
    ("query", "reads", "keeps"),
    [
        ("select a, b * 2 as c from t where d > 1", {"a", "b", "d"}, {"a"}),
        ("from t select A as a, t.b", {"a", "t", "b"}, set()),
        ('select * from "t" x where a in (1, 2) and b is not null', None, {"a", "b", "anything"}),
        ("select * exclude (a) replace (b + 1 as b) from t", None, set()),
        ("select case when a > 1 then date_trunc('day', b) end c, a::int i, {'x': a} s, [a, 2][1] e from t", {"a", "b"}, set()),
        ("select coalesce(a, b) as a, list_transform(l, x -> x + 1) l, b between 1 and 2 w from t", None, set()),
    ],
)  # fmt: skip
def test_queries_by_row(query, reads, keeps):
    """What they read, and which columns they show as they are."""
    found = row_query(query)
    assert found is not None
    assert found.name == "t"
    assert reads is None or found.reads == reads
    assert {name for name in ("a", "b", "anything") if found.keeps(name)} == keeps


@pytest.mark.parametrize(
    "query",
    [
        "select sum(a) from t",
        "select count(*) filter (where a > 1) from t",
        "select distinct a from t",
        "select a from t limit 3",
        "select a from t order by a",
        "select a from t group by a",
        "select a from t qualify row_number() over (order by a) = 1",
        "with u as (select 1) select * from t",
        "select a, row_number() over () from t",
        "select unnest(a) from t",
        "select random() as r from t",
        "select now() as n from t",
        "select age(a) as n from t",
        "select current_date as n from t",
        "select a from t using sample 3",
        "select (select 1) from t",
        "select a from t where a in (select a from u)",
        "select a from t, u",
        "select a from t join u using (a)",
        "select a from t union all select 1",
        "select a from (select a from t)",
        "select a from read_csv('x')",
        "select columns('a.*') from t",
        "select *, a + 1 as b from t",
        "no query",
        "select 1; select 2",
        "select 1",
    ],
)
def test_queries_that_look_at_more(query):
    """A row more may change rows that were there, or its own value the next time."""
    assert row_query(query) is None


def test_what_it_makes_of_parts_is_part_of_what_it_makes_of_all(store):
    """By place, and with the types of the whole query."""
    query = row_query(QUERY)
    whole = store.lake.sql(QUERY).to_arrow()
    pieces, places = [], []
    for start in (0, 40, 80):
        made, place = query.of(landings(40, start))
        pieces.append(made)
        places += [start + each for each in place.tolist()]
    assert pa.concat_tables(pieces).sort_by("arrived_at").to_pylist() == whole.sort_by("arrived_at").to_pylist()
    assert pieces[0].schema.types == whole.schema.types
    assert places == [n for n in range(120) if n % 5]
    with pytest.raises(PredicateError, match="query failed"):
        row_query("select cast(dest as int) as n from landings").of(landings(40))


def test_training_answers_as_with_the_query_as_a_whole(store):
    """Part by part, each made once: of a row more only the part that it lies in."""
    spine = pa.table({"carrier": ["AA", "UA", "XX"], "t": pa.array([NOW] * 3, pa.timestamp("us", "UTC"))})
    sets = [
        store.training_set(spine, dp.FeatureService("s", [each]), statuses=True).to_arrow() for each in (BY_ROW, WHOLE)
    ]
    assert sets[0].equals(sets[1])
    assert sets[0]["delays__delay"].null_count == 1
    source = ViewSource.of(store, BY_ROW)
    assert (source.by_parts, ViewSource.of(store, WHOLE).by_parts) == (True, False)
    before = source.pins
    store.lake.ingest(landings(1, 121), into="landings")
    read = []
    now = ViewSource.of(store, BY_ROW)
    rows_of = ViewSource._rows_of
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ViewSource, "_rows_of", lambda me, parts, *more: read.extend(parts) or rows_of(me, parts, *more))
        assert len(now.changed(before)[0]) == 1
    assert sum(part.rows for part in read) == 1


def test_rows_are_pushed_in_the_columns_of_the_dataset(store):
    """They are served as the query shows them, those that it leaves out not, land as they are, and the audit agrees."""
    service = dp.FeatureService("model", [BY_ROW])
    store.apply(service)
    store.materialize("model")
    log = ServedLog.of(store, most=None, every=60)

    def asked():
        looked = store.lookup("model", {"carrier": ["AA"]})
        log.record("model@1", {"carrier": ["AA"]}, {}, 1, looked.t, looked.served)
        return [looked.to_dict()[f"delays__{name}"][0] for name in ("delay", "dest_last_24h")]

    rows = landings(3, 200).set_column(5, "arrived_at", pa.array([datetime.now(UTC)] * 3, pa.timestamp("us", "UTC")))
    rows = rows.set_column(1, "carrier", pa.array(["AA"] * 3))
    rows = rows.set_column(4, "arrived", pa.array([1000, 3000, 2000], pa.int32()))
    before = asked()
    made = store.push("delays", rows.slice(0, 1), idempotency="cancelled")  # F200
    assert (made.rows, asked()) == (1, before)
    store.push("delays", rows.slice(1, 1), idempotency="one")
    assert asked() == [3000 - 201 % 7, "JFK"]
    store.push("delays", rows.slice(1, 1), idempotency="one")
    seen = asked()
    assert store.flush("landings") == 2
    assert store.lake["landings"].rows == 122
    assert asked() == seen
    store.materialize("model")
    assert asked() == seen
    log.close()
    audit = store.audit("model")
    assert (audit.rows, audit.causes) == (6, {}), audit.differences


@pytest.mark.parametrize(
    ("source", "options", "why"),
    [
        ("select distinct carrier, arrived_at, landed_at, dep as delay, dest from landings", {}, "more than one row"),
        (
            "select carrier, arrived_at, arrived_at + interval 1 hour as landed_at, dep as delay, dest from landings",
            {},
            r"known_at='landed_at' is not that column of landings as it is",
        ),
        ('select carrier, arrived_at, landed_at, dep as delay, dest from "landings@v1"', {}, "pinned"),
    ],
)
def test_what_nothing_can_be_pushed_to(store, source, options, why):
    """The reason is said."""
    store.lake.tag("v1")
    store.apply(dp.FeatureService("model", [view(source, **options)]))
    with pytest.raises(ConfigError, match=f"nothing can be pushed to view delays: .*{why}"):
        store.push("delays", landings(1, 200))


def test_a_pushed_row_that_the_query_fails_on_is_refused(store):
    """Nothing of it is kept."""
    store.apply(
        dp.FeatureService("model", [view(BY_ROW.view.source.query.replace("arrived - dep", "flight[2:]::int"))])
    )
    with pytest.raises(PredicateError, match="query failed"):
        store.push("delays", landings(1, 201).set_column(0, "flight", pa.array(["FX"])))
    assert store.flush("landings") == 0
