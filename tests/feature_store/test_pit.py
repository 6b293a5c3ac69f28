"""The rules of point-in-time semantics, a test each: through a real lake, in training sets and in lookups, cell by cell.

What only training can be asked (the past, what came later) is asked of it alone; all else serving has to say, too. The
rules themselves are held by hand in tests/testing/test_features_reference.py, on drawn worlds in tests/features.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
import pyarrow as pa
import pytest

import dataplat as dp
from dataplat._features import _sources
from dataplat.errors import ClosureMismatch, ConfigError, SchemaError
from dataplat.server._answers import Writer

TIME = pa.timestamp("us", "UTC")
KEY = dp.Entity("key")


def row(e: Any, x: float | None = None, *, k: Any = None, key: str | None = "a", **more: Any) -> dict[str, Any]:
    """Return a row of the source: known when it happens, unless told otherwise; times are microseconds of 2100."""
    return {"key": key, "e": e, "k": e if k is None else k, "x": x, **more}


def view(*features: Any, name: str = "v", **told: Any) -> dp.FeatureView:
    """Return a view of `s`: of `key`, without ttl, and with a known time."""
    given: dict[str, Any] = {"source": "s", "entity": KEY, "timestamp": "e", "known_at": "k", "ttl": None}
    return dp.FeatureView(name, features=list(features) or ["x"], **(given | told))


def values(column: Any) -> list[Any]:
    """Return the values of cells."""
    return [value for value, _, _ in column]


def test_pit_01_a_row_at_t_is_included(site):
    """What happens at t is served at t, online too, and not a microsecond before."""
    site.land([row(10, 1.0)])
    assert site.told(view(), (10, "a"), (9, "a")) == {"v__x": [(1.0, "present", 0), (None, "missing_key", None)]}


def test_pit_02_an_age_of_exactly_the_ttl_is_included(site):
    """Expired is older than the ttl, by one predicate: for last values and for windows."""
    site.land([row(10, 1.0)])
    last = {"v__x": [(1.0, "present", 5), (None, "expired", 6)]}
    assert site.told(view(ttl="5us"), (15, "a"), (16, "a")) == last  # last values alone are searched for, not merged
    found = site.told(view("x", dp.Count(window=None), ttl="5us"), (15, "a"), (16, "a"))
    assert found == {**last, "v__count_lifetime": [(1, "present", 5), (0, "expired", 6)]}


def test_pit_03_ttl_has_no_default(site):
    """Who leaves it out, or gives nothing, is asked to say so: None never expires."""
    with pytest.raises(TypeError, match="ttl"):
        dp.FeatureView("v", source="s", timestamp="e", features=["x"])  # type: ignore[call-arg]
    with pytest.raises(ConfigError, match="ttl must be above 0"):
        view(ttl="0s")
    site.land([row(0, 1.0)])
    assert site.told(view(), (10**15, "a")) == {"v__x": [(1.0, "present", 10**15)]}


def test_pit_04_statuses_say_what_was_known_at_t(site):
    """Missing, not yet, expired, null, defaulted, present: and rows that come to be known later change none of them."""
    site.land([row(10, 1.0), row(20, None), row(50, 5.0, key="b", k=5)])
    asked = (9, "a"), (10, "a"), (20, "a"), (26, "a"), (4, "b"), (6, "b"), (50, "b"), (50, "c")
    defaulted = view("x", dp.Field("x", default=7.0, name="d"), ttl="5us")
    first = site.told(defaulted, *asked)
    words = ["missing_key", "present", "null", "expired", "missing_key", "not_yet", "present", "missing_key"]
    assert [status for _, status, _ in first["v__x"]] == words
    stands = [word if word == "present" else "defaulted" for word in words]
    assert [status for _, status, _ in first["v__d"]] == stands
    assert values(first["v__d"]) == [7.0, 1.0, 7.0, 7.0, 7.0, 7.0, 5.0, 7.0]
    site.land([row(e, 9.0, k=60, key=key) for e in (1, 10, 20, 25, 70) for key in "abc"])
    assert site.told(defaulted, *asked) == first


def test_pit_04_an_expression_that_fails_is_an_error_of_its_row(site):
    """The row is marked, and no other one is touched."""
    small = dp.on_demand(inputs=[view()], name="small")(lambda t: t.x.cast(pl.Int8))
    site.land([row(10, 6.0), row(10, 1e9, key="b")])
    assert site.told([small], (10, "a"), (10, "b"), (10, "a")) == {
        "small": [(6, "present", None), (None, "error", None), (6, "present", None)]
    }


def test_pit_05_equal_rows_of_a_spine_are_all_kept(site):
    """N rows in, N out, in their order, with their own columns, which nobody touched; then `view__feature`."""
    site.land([row(10, 1.0), row(30, 3.0)])
    given = site.spine([(30, "a"), (10, "a"), (30, "a"), (30, "a"), (10, None)], ("key",))
    given = given.append_column("note", pa.array(["p", None, "p", "p", "q"]))
    made = site.store.training_set(given, site.service(view())).to_arrow()
    assert made.select(given.schema.names).equals(given)
    assert made.schema.names == [*given.schema.names, "v__x"]
    assert made["v__x"].to_pylist() == [3.0, 1.0, 3.0, 3.0, None]


def test_pit_06_ties_go_to_the_newest_known_and_then_to_the_columns(site):
    """Columns in the order of their declaration, nulls first, NaN last; who met a tie is counted; a null time is refused."""
    rows = [row(10, 9.0, k=11), row(10, 1.0, k=12), row(20, None, n=9), row(20, 1.0, n=3), row(20, 1.0, n=4)]
    rows += [row(30, math.nan, n=1), row(30, 5.0, n=2), row(40, 2.0, n=5), row(50, 3.0, n=6), row(50, 3.0, n=6)]
    asked = [(t, "a") for t in (12, 20, 30, 40, 50)]
    for name, order in (("s", rows), ("turned", rows[::-1])):
        site.land(order, into=name)
        found = site.told(view("x", "n", source=name), *asked)
        assert repr(values(found["v__x"])) == "[1.0, 1.0, nan, 2.0, 3.0]"
        assert values(found["v__n"]) == [None, 4, 1, 5, 6]
        made = site.store.training_set(site.spine(asked, ("key",)), site.service(view("x", "n", source=name)))
        assert made.report.ties == {"v": 4}
    assert site.values(view("n"), (20, "a")) == [9]  # another declaration, another order
    site.land([row(60, 1.0) | {"k": None}])
    with pytest.raises(SchemaError, match="k is null"):
        site.trained(view(), (70, "a"))
    assert not site.store.plan(site.service(view())).ok


def test_pit_07_a_newer_k_wins_once_it_is_known(site):
    """Last values: the correction. Windows: an event more, unless a row key says that it is the same one."""
    site.land([row(10, 1.0, k=10, id=1), row(10, 5.0, k=20, id=1), row(12, 8.0, k=12, id=2)])
    total = dp.Sum("x", window=None)
    asked = (11, "a"), (19, "a"), (20, "a")
    assert site.values(view(total), *asked) == [1.0, 9.0, 14.0]
    assert site.values(view(total, row_key=["id"]), *asked) == [1.0, 9.0, 13.0]
    assert site.values(view(where="id = 1"), *asked) == [1.0, 1.0, 5.0]


def test_pit_08_a_late_row_is_not_seen_before_it_was_known(site):
    """Nor before its delay has passed; only who asks for "now" takes it as known all the time."""
    site.land([row(10, 1.0, k=30)])
    assert site.told(view(), (29, "a"), (30, "a")) == {"v__x": [(None, "missing_key", None), (1.0, "present", 20)]}
    assert site.values(view(delay="5us"), (34, "a"), (35, "a")) == [None, 1.0]
    now = site.trained(view(delay="5us"), (10, "a"), (9, "a"), as_known="now")
    assert now == {"v__x": [(1.0, "present", 0), (None, "not_yet", None)]}


def test_pit_09_pushes_out_of_order_end_as_in_order(site):
    """The newest (e, k) is served, a late event is in its window and its tile, and a push counts once however often it is sent."""
    site.land([row(0, 0.0)])
    hop = dp.Sum("x", window="100us", accuracy="hop(10us)", name="hop")
    service = site.live(view("x", dp.Sum("x", window=None), hop, known_at=None))
    for e, x, id in ((20, 2.0, "p2"), (10, 1.0, "p1"), (20, 2.0, "p2"), (10, 1.0, "p1")):
        given = {"key": ["a"], "e": [site.at(e)], "x": [x], "k": [site.at(e)]}
        site.store.push("v", given, idempotency=id)
    asked = (15, "a"), (20, "a"), (110, "a"), (111, "a")
    pushed = site.served(service, *asked)
    assert values(pushed["v__x"]) == [1.0, 2.0, 2.0, 2.0]
    assert values(pushed["v__x_sum_lifetime"]) == [1.0, 3.0, 3.0, 3.0]
    assert values(pushed["v__hop"]) == [1.0, 3.0, 2.0, 2.0]
    site.store.materialize(service)
    assert site.lake["s"].rows == 3
    assert site.served(service, *asked) == site.trained(service, *asked) == pushed


def test_pit_10_a_null_of_the_newest_row_is_null(site):
    """Never the value before it, unless the feature fills; then the ttl is that of the row that filled."""
    site.land([row(10, 1.0), row(14, None)])
    filled = dp.Field("x", fill="last_non_null", name="filled")
    assert site.told(view("x", filled, ttl="5us"), (15, "a"), (16, "a"), (19, "a"), (20, "a")) == {
        "v__x": [(None, "null", 1), (None, "null", 2), (None, "null", 5), (None, "expired", 6)],
        "v__filled": [(1.0, "present", 5), (None, "expired", 6), (None, "expired", 9), (None, "expired", 10)],
    }


def test_pit_11_composite_keys_are_typed_and_apart(site):
    """('1', '23') is not ('12', '3'), and a key of another type is refused, not cast."""
    two = view(entity=[KEY, dp.Entity("s")])
    site.land([row(1, 1.0, key="1", s="23"), row(1, 2.0, key="12", s="3")])
    asked = (1, "1", "23"), (1, "12", "3"), (1, "1", "3"), (1, "123", "")
    assert site.values(two, *asked, keys=("key", "s")) == [1.0, 2.0, None, None]
    service = site.live(two)
    for ask in (site.trained, site.served):
        with pytest.raises(SchemaError, match="key"):
            ask(service, (1, 1, "23"), keys=("key", "s"))


def test_pit_12_a_null_key_matches_nothing(site):
    """Not even a null key; of a composite one a single null is enough."""
    site.land([row(1, 1.0, key=None), row(1, 2.0, s=None), row(1, 3.0, s="z")])
    missing = (None, "missing_key", None)
    assert site.told(view(), (1, None)) == {"v__x": [missing]}
    two = view(entity=[KEY, dp.Entity("s")])
    found = site.told(two, (1, "a", "z"), (1, "a", None), (1, None, "z"), keys=("key", "s"))
    assert found == {"v__x": [(3.0, "present", 0), missing, missing]}


def test_pit_13_naive_times_need_a_zone(site):
    """Refused without one; an hour that clocks show twice is the first of them, one that they skip is refused."""
    twice, never = datetime(2035, 10, 28, 2, 30), datetime(2035, 3, 25, 2, 30)  # noqa: DTZ001
    for name, time in (("twice", twice), ("never", never)):
        rows = {"key": ["a"], "e": pa.array([time], pa.timestamp("us")), "x": [1.0]}
        site.lake.ingest(pa.table(rows), into=name)
    naive = view(source="twice", known_at=None)
    with pytest.raises(SchemaError, match="without a zone"):
        site.trained(naive, (0, "a"))
    assert "without a zone" in site.store.plan(site.service(naive)).refused[0]
    first = twice.replace(tzinfo=ZoneInfo("Europe/Berlin")).astimezone(UTC)
    asked = (first - timedelta(microseconds=1), "a"), (first, "a")
    assert site.values(view(source="twice", known_at=None, zone="Europe/Berlin"), *asked) == [None, 1.0]
    skipped = view(source="never", known_at=None, zone="Europe/Berlin")
    with pytest.raises(SchemaError, match="Europe/Berlin"):
        site.trained(skipped, (0, "a"))
    assert "Europe/Berlin" in site.store.plan(site.service(skipped)).refused[0]
    with pytest.raises(SchemaError, match="the spine's t .*without a zone"):
        site.store.training_set({"key": ["a"], "t": [never]}, site.service(skipped))


@pytest.mark.parametrize(("unit", "per"), [("ns", 1), ("us", 1000), ("ms", 1_000_000), ("s", 1_000_000_000)])
def test_pit_14_units_become_microseconds_by_floor(site, unit, per):
    """Of sources and spines alike, before 1970 as after; the columns of a spine keep their unit and value."""
    for name, micros in (("after", -site.epoch), ("before", site.epoch)):
        times = pa.array([(micros * 1000 + 999) // per], pa.int64()).cast(pa.timestamp(unit, "UTC"))
        site.lake.ingest(pa.table({"key": ["a"], "e": times, "x": [1.0]}), into=name)
        made = view(source=name, known_at=None)
        asked = pa.table({"key": ["a", "a"], "t": pa.array([micros - 1, micros], pa.int64()).cast(TIME)})
        assert site.store.training_set(asked, site.service(made)).to_arrow()["v__x"].to_pylist() == [None, 1.0]
        same = site.store.training_set({"key": ["a"], "t": times}, site.service(made)).to_arrow()
        assert same["v__x"].to_pylist() == [1.0]
        assert same["t"].combine_chunks().equals(times)
    assert site.values(view(source="after", known_at=None), (-1, "a"), (0, "a")) == [None, 1.0]


def test_pit_15_pruned_parts_change_nothing(site, reads, monkeypatch):
    """A part of which nobody knew a row at the last t is not read: and each cell and status is as if it had been."""
    monkeypatch.setattr(_sources, "PIECE", 1)  # parts are looked at one by one
    day = 86_400_000_000
    for rows in ([row(1, 1.0)], [row(60 * day, 6.0, k=5)], [row(70 * day, 7.0)], [row(2, 2.0, k=71 * day)]):
        site.land(rows)
    asked = (20, "a"), (4, "a"), (0, "a"), (20, "b")
    made = view("x", dp.Count(window=None), ttl="5us")
    reads.clear()
    pruned = site.trained(made, *asked)
    parts = [part.id for part in site.lake["s"].parts]
    assert reads.parts == set(parts[:2])
    monkeypatch.setattr(_sources.ViewSource, "until", lambda self, _: self)
    assert site.trained(made, *asked) == pruned
    assert reads.parts == set(parts)


def test_pit_16_tiles_are_open_at_their_start(site):
    """Tile j is (j·d, (j+1)·d] from the epoch in UTC, so an event on an edge is of the tile that ends there."""
    hop = dp.Count(window="10us", accuracy="hop(5us)")
    site.land([row(e) for e in (9, 10, 11, 15, 23)])
    assert site.values(view(hop), (23, "a"), (24, "a"), (25, "a"), (19, "a")) == [3, 3, 1, 4]
    old = site.epoch - 10  # before 1970, a multiple of 5
    site.land([row(e + old) for e in (-10, -9, -5)])
    found = site.trained(view(dp.Count(window="5us", accuracy="hop(5us)")), (old - 3, "a"), (old, "a"), (old + 1, "a"))
    assert values(found["v__count_5us"]) == [2, 0, 0]


def test_pit_17_late_data_is_found_however_old(site):
    """By the difference of versions: keys whose rows came or went are made anew, others are not touched."""
    site.land([row(e, float(e), key=key) for e in (100, 200) for key in "abcd"])
    service = site.service(view("x", dp.Sum("x", window=None)))
    site.store.apply(service)
    assert site.store.materialize(service).written == 4
    site.land([row(3, 9.0, key="b", k=3)])
    site.lake.delete("s", "key = 'c' and x = 200")
    site.lake.delete("s", "key = 'd'")
    made = site.store.materialize(service)
    assert (made.written, made.removed, made.full) == (2, 1, False)
    asked = [(300, key) for key in "abcd"]
    found = site.served(service, *asked)
    assert values(found["v__x_sum_lifetime"]) == [300.0, 309.0, 100.0, None]
    assert found == site.trained(service, *asked)
    site.store.materialize(service, full=True)
    assert site.served(service, *asked) == found


def test_pit_18_rows_of_the_future_wait_for_their_time(site):
    """A forecast that is known already is served from its event time on, from one snapshot."""
    past = site.epoch
    site.land([row(past, 0.0), row(past + 5, 1.0), row(30, 3.0, k=past), row(40, 4.0, k=past), row(35, 5.0)])
    asked = [(t, "a") for t in (0, 29, 30, 34, 35, 39, 40, 99)]
    assert site.values(view(), *asked) == [1.0, 1.0, 3.0, 3.0, 5.0, 5.0, 4.0, 4.0]
    assert site.trained(view(), (past + 4, "a"))["v__x"] == [(0.0, "present", 4)]


def test_pit_19_a_deletion_serves_the_row_before_it_again(site):
    """From the version that deletes on; what a training set of then sees stays, and `missing_key` is only where none is left."""
    site.land([row(site.epoch, 1.0, id=1), row(site.epoch + 1, 2.0, id=2)], key=["id"])
    service = site.live(view(history="commits", known_at=None))
    came = site.lake["s"].created
    site.lake.delete("s", "id = 2")
    gone = site.lake["s"].created
    assert site.served(service, (0, "a"))["v__x"][0][0] == 2.0  # until the next snapshot
    site.store.materialize(service)
    before = timedelta(microseconds=1)
    told = site.trained(service, (came - before, "a"), (came, "a"), (gone - before, "a"), (gone, "a"), (0, "a"))
    assert [cell[:2] for cell in told["v__x"]] == [
        (None, "missing_key"),
        (2.0, "present"),
        (2.0, "present"),
        (1.0, "present"),
        (1.0, "present"),
    ]
    assert site.served(service, (0, "a"))["v__x"] == told["v__x"][-1:]
    site.lake.delete("s", "id = 1")
    site.store.materialize(service)
    assert site.served(service, (0, "a")) == {"v__x": [(None, "missing_key", None)]}


def test_pit_20_a_view_without_an_entity_is_one_value_for_all(site):
    """As of each row's time, whatever else a row has."""
    site.land([row(1, 1.0, key="x"), row(5, 5.0, key=None)])
    both = [view(entity=None), view("n", name="own")]
    assert values(site.told(both, (4, "a"), (5, "b"), (5, None))["v__x"]) == [1.0, 5.0, 5.0]
    assert site.values(view(entity=None), (4,), (5,), keys=()) == [1.0, 5.0]


def test_pit_21_aliased_entities_have_keys_of_their_own(site):
    """Buyer and seller: the same view twice under names, each by its own column."""
    site.land([row(1, 1.0, key="p"), row(1, 2.0, key="q")])
    buyer = view()
    seller = buyer.alias("seller", on={"to": "key"})
    found = site.told([buyer, seller], (1, "p", "q"), (1, "q", "q"), (1, "p", None), keys=("key", "to"))
    assert values(found["v__x"]) == [1.0, 2.0, 1.0]
    assert values(found["seller__x"]) == [2.0, 2.0, None]


def test_pit_22_a_window_is_open_at_its_start_and_closed_at_t(site):
    """Exact by default: (t - w, t], whatever the time of the request; hop(d): from the tile that t - w lies in."""
    site.land([row(e, float(e)) for e in (9, 10, 13, 14, 20)])
    exact, hop = dp.Sum("x", window="7us"), dp.Sum("x", window="7us", accuracy="hop(5us)", name="hop")
    found = site.told(view(exact, hop), *[(t, "a") for t in (19, 20, 21, 22, 27)])
    assert values(found["v__x_sum_7us"]) == [27.0, 34.0, 20.0, 20.0, None]
    assert values(found["v__hop"]) == [27.0, 47.0, 47.0, 20.0, None]


def test_pit_22_too_many_events_of_a_key_are_refused(site):
    """The plan tells the bytes of a key, and past `max_events_per_key` refuses, and says which hop to take."""
    site.land([row(e, float(e)) for e in range(20)])
    exact = dp.Sum("x", window="24h")
    assert site.store.plan(site.service(view(exact))).bytes_per_key > 20 * 8
    refused = site.store.plan(site.service(view(exact, max_events_per_key=19))).refused
    assert "19" in refused[0]
    assert "accuracy='hop(1h)'" in refused[0]
    tiles = dp.Sum("x", window="24h", accuracy="hop(1h)")
    for made, most in ((exact, 20), (tiles, 19)):
        assert site.store.plan(site.service(view(made, max_events_per_key=most))).ok


def test_pit_23_sums_are_correctly_rounded(site):
    """The value of fsum, whatever the order, the parts, or a compaction: trained, served, of events and of tiles."""
    random = Random(23)
    numbers = [random.choice((1e16, -1e16, 1.0, 0.1, 1e-9)) * random.random() for _ in range(60)]
    rows = [row(e, x) for e, x in enumerate(numbers)]
    tiles = dp.Sum("x", window="100us", accuracy="hop(10us)", name="tiles")
    made = [dp.Sum("x", window=None), dp.Mean("x", window="40us"), tiles]
    kept = numbers[20:]
    exact = [math.fsum(numbers), math.fsum(kept) / len(kept), math.fsum(numbers)]
    turned = random.sample(rows, len(rows))
    for name, pieces in (("s", [rows]), ("parts", [turned[:7], turned[7:30], turned[30:]])):
        for piece in pieces:
            site.land(piece, into=name)
        asked = view(*made, source=name)
        assert [values(cells)[0] for cells in site.told(asked, (59, "a")).values()] == exact
        site.lake.compact(name)
        assert [values(cells)[0] for cells in site.told(asked, (59, "a")).values()] == exact


def test_pit_23_functions_skip_nulls_carry_nan_and_know_nothing(site):
    """Std of exact sums, quantiles by linear interpolation, distinct exactly; of an empty window the count is 0, others null."""
    site.land([row(e, x) for e, x in enumerate((2.0, None, 4.0, 4.0, 9.0))])
    site.land([row(1, math.nan, key="n"), row(2, 1.0, key="n")])
    squares = [Fraction(each) for each in (2, 4, 4, 9)]
    mean = sum(squares) / 4
    std = math.sqrt(sum((each - mean) ** 2 for each in squares) / 3)
    wanted = {
        dp.Count(window="9us"): [5, 0, 2, 0],
        dp.Sum("x", window="9us"): [19.0, None, math.nan, None],
        dp.Mean("x", window="9us"): [4.75, None, math.nan, None],
        dp.Std("x", window="9us"): [std, None, math.nan, None],
        dp.Min("x", window="9us"): [2.0, None, math.nan, None],
        dp.Max("x", window="9us"): [9.0, None, math.nan, None],
        dp.Quantile("x", 0.9, window="9us"): [4.0 + 5.0 * (0.9 * 3 - 2), None, math.nan, None],
        dp.DistinctCount("x", window="9us"): [3, None, 2, None],
        dp.First("x", window="9us"): [2.0, None, math.nan, None],
        dp.LastN("x", 3, window="9us"): [[9.0, 4.0, 4.0], None, [1.0, math.nan], None],
    }
    found = site.told(view(*wanted), (8, "a"), (99, "a"), (8, "n"), (8, "never seen"))
    for feature, its in wanted.items():
        assert repr(values(found[f"v__{feature.feature}"])) == repr(its), feature
    assert [status for _, status, _ in found["v__count_9us"]] == ["present", "present", "present", "missing_key"]


def test_pit_24_integers_with_nulls_stay_integers(site):
    """Arrow types from the source to the model, beyond what floats hold; JSON writes NaN and infinities as strings, never null."""
    site.land([row(1, math.nan, n=2**53 + 1), row(2, math.inf, n=None), row(3, -math.inf, n=2**53 + 2), row(4, None)])
    made = view("n", "x", dp.Sum("n", window=None))
    found = site.told(made, *[(t, "a") for t in (1, 2, 3, 4)])
    assert values(found["v__n"]) == [2**53 + 1, None, 2**53 + 2, None]
    assert values(found["v__n_sum_lifetime"]) == [2**53 + 1, 2**53 + 1, 2**54 + 3, 2**54 + 3]
    service = site.live(made)
    trained = site.store.training_set(site.spine([(4, "a")], ("key",)), service)
    looked = site.store.lookup(service, {"key": ["a"]}, t=site.at(4))
    for table in (trained.to_arrow(), looked.to_arrow()):
        assert [table.schema.field(f"v__{name}").type for name in ("n", "n_sum_lifetime")] == [pa.int64()] * 2
    assert trained.to_polars().schema["v__n"] == pl.Int64
    assert trained.to_pandas()["v__n_sum_lifetime"].tolist() == [2**54 + 3]
    write = Writer("m@1", {"v__x": pa.float64()})
    said = write.json({"v__x": values(found["v__x"])}, snapshot="", sequence=0, t=0, stale=())
    assert b'{"v__x":["NaN","Infinity","-Infinity",null]}' in said


def test_pit_25_on_demand_features_look_at_one_row(site):
    """Whole, split and shuffled batches agree, in training and in serving; what looks at other rows is refused before it is applied."""
    request = dp.Request({"distance": "float64"})
    per = dp.on_demand(inputs=[view(), request], name="per")(lambda t: t.x / t.distance)
    chain = dp.on_demand(inputs=[per, view("n", name="other")], name="chain")(lambda t: t.per * 3 + t.n)
    site.land([row(1, 6.0, n=1), row(1, 1.0, key="b"), row(1, 0.1, n=3, key="c")])
    asked = [(t, key, distance) for t in (1, 0) for key in "abcd" for distance in (3.0, 0.0, 0.7, None)]
    keys = ("key", "distance")
    whole = site.told([per, chain], *asked, keys=keys)
    assert whole["per"][:2] == [(2.0, "present", None), (math.inf, "present", None)]
    assert whole["chain"][0] == (7.0, "present", None)
    order = list(range(len(asked)))
    Random(25).shuffle(order)
    service = site.live([per, chain])
    for ways in ([[each] for each in order], [order[:5], order[5:]], [order]):
        for places in ways:
            some = [asked[place] for place in places]
            for ask in (site.trained, site.served):
                found = ask(service, *some, keys=keys)
                wanted = {name: [its[place] for place in places] for name, its in whole.items()}
                assert repr(found) == repr(wanted)
    centred = dp.on_demand(inputs=[view()], name="centred")(lambda t: t.x - t.x.mean())
    with pytest.raises(ConfigError, match="centred is not row-local"):
        site.store.apply(site.service([centred]))


def test_pit_26_a_model_of_another_definition_is_refused(site):
    """By the hash of all that its values depend on, both hashes told; a version never changes, several are served side by side."""
    site.land([row(10, 1.0)])
    first = dp.FeatureService("m", [view(ttl="5us")])
    second = dp.FeatureService("m", [view(ttl="9us")], version=2)
    for each in (first, second):
        site.store.apply(each)
        site.store.materialize(each)
    asked = site.spine([(17, "a")], ("key",))
    hashes = [site.store.training_set(asked, name).closure for name in ("m@1", "m@2")]
    for name, own, wanted in zip(("m@1", "m@2"), hashes, (None, 1.0), strict=True):
        looked = site.store.lookup(name, {"key": ["a"]}, t=site.at(17), closure=own)
        assert looked.to_dict() == {"v__x": [wanted]}
    with pytest.raises(ClosureMismatch, match=f"{hashes[0]}.*{hashes[1]}"):
        site.store.lookup("m@2", {"key": ["a"]}, t=site.at(17), closure=hashes[0])
    with pytest.raises(ConfigError, match="a version never changes its meaning"):
        site.store.apply(dp.FeatureService("m", [view(ttl="6us")]))
    limits = view(ttl="5us", freshness="1h", max_events_per_key=7)  # are none of what it means
    assert site.store.apply(dp.FeatureService("m", [limits])).closure == hashes[0]


def test_pit_27_rows_whose_label_cannot_be_known_yet_are_left_out(site):
    """T + h past the labels' newest known time: dropped and counted; features that could know the label are refused."""
    site.land([row(site.epoch, 1.0)])
    told = [row(site.epoch, x, id=id, key=None) for id, x in ((1, 1.0), (2, 0.0), (3, 1.0))]
    site.land(told, into="labels", key=["id"])
    newest, hour = site.lake["labels"].created, timedelta(hours=1)
    times = [newest - hour, newest - hour + timedelta(microseconds=1), newest - 2 * hour]
    asked = pa.table({"t": pa.array(times, TIME), "airport": ["a"] * 3, "id": [1, 2, 3]})
    given = {"labels": "labels", "label_on": ["id"], "horizon": "1h"}
    own = view().alias("own", on={"airport": "key"})
    made = site.store.training_set(asked, site.service(own), **given)
    found = made.to_arrow().select(["id", "x", "own__x"]).to_pydict()
    assert found == {"id": [1, 3], "x": [1.0, 1.0], "own__x": [1.0, 1.0]}
    assert made.report.immature == 1
    of = {"source": "labels", "entity": dp.Entity("id", "int64")}
    with pytest.raises(ConfigError, match="v: x is made of the label itself"):
        site.store.training_set(asked, site.service(view("x", **of)), **given)
    with pytest.raises(ConfigError, match="known_at="):
        site.store.training_set(asked, site.service(view(dp.Count(window=None), known_at=None, **of)), **given)
    site.store.training_set(asked, site.service(view(dp.Count(window=None), **of)), **given)


def test_pit_28_history_that_was_served_does_not_vanish(site):
    """A source that was upserted is refused, unless its key holds event and known time, or its commits are the history."""
    first, second = row(site.epoch, 1.0, id=1), row(site.epoch, 2.0, k=site.epoch + 1, id=1)
    times = []
    for name, key in (("timed", ["key", "e", "k"]), ("half", ["key", "e"]), ("s", ["id"])):
        for mode, each in (("append", first), ("upsert", second)):
            site.land([each], into=name, mode=mode, key=key)
            times.append(site.lake[name].created)
            assert site.store.plan(site.service(view(source=name))).ok == (mode == "append" or name == "timed")
    refused = site.store.plan(site.service(view())).refused[0]
    assert "does not only grow" in refused
    assert 'history="commits"' in refused
    with pytest.raises(ConfigError, match="does not only grow"):
        site.store.apply(site.service(view()))
    before, after = times[-2:]
    commits = view("x", dp.Count(window=None), history="commits", known_at=None)
    found = site.trained(commits, (before, "a"), (after - timedelta(microseconds=1), "a"), (after, "a"))
    assert values(found["v__x"]) == [1.0, 1.0, 2.0]
    assert values(found["v__count_lifetime"]) == [1, 1, 1]
    assert site.values(view(history="commits", known_at=None), (0, "a")) == [2.0]
