"""PIT.md, rule by rule, each with cells worked out by hand: what every engine is held to is held to these."""

from __future__ import annotations

import math
from itertools import permutations

import polars as pl
import pytest

import dataplat.feature_store.windows as w
from dataplat.errors import ClosureMismatch, ConfigError, SchemaError
from dataplat.feature_store.closure import check_closure, closure_hash
from dataplat.feature_store.definitions import Entity, FeatureService, FeatureView, Field, Request, on_demand
from dataplat.testing._features_functions import tile_of
from dataplat.testing._features_history import facts
from dataplat.testing._features_upkeep import (
    can_matter,
    changed,
    counted,
    kept,
    leaks,
    mature,
    refusal,
    upserted,
)
from dataplat.testing._features_values import float_sum, json_cell, micros_of
from dataplat.testing.features_reference import Source, Version, reference

US = "timestamp[us, UTC]"
TYPES = {
    "key": "string",
    "e": US,
    "k": US,
    "x": "float64",
    "n": "int64",
    "s": "string",
    "id": "int64",
    "v": {"list": "float64"},
}
KEY = Entity("key")
SECOND = 1_000_000


def row(e, x=None, *, k=None, key="a", **others):
    """Return a row of the source: known when it happens, unless told otherwise."""
    plain = {"n": None, "s": None, "id": None, "v": None}
    return plain | {"key": key, "e": e, "k": e if k is None else k, "x": x} | others


def view(*features, ttl=None, name="v", **told):
    """Return a view of the source; entity, ttl and times as most tests want them."""
    told = {"entity": KEY, "timestamp": "e", "source": "s", "known_at": "k"} | told
    return FeatureView(name, ttl=ttl, features=list(features) or ["x"], **told)


def ask(features, rows, *spine, types=TYPES, versions=None, as_known=None, keys=("key",)):
    """Return {column: [(value, status, age)]} for spine rows (t, key, …)."""
    service = FeatureService("m", features if isinstance(features, list) else [features])
    source = Source(types, tuple(versions)) if versions else Source.of(types, rows)
    asked = [dict(zip(("t", *keys), one, strict=True)) for one in spine]
    kinds = {"t": US, **dict.fromkeys(keys, "string"), "distance": "float64"}
    found = reference(service, {"s": source}, asked, kinds, as_known=as_known)
    return {name: [(cell.value, cell.status.word, cell.age) for cell in cells] for name, cells in found.cells.items()}


def one(features, rows, *spine, **told):
    """Return the cells of the only column."""
    (cells,) = ask(features, rows, *spine, **told).values()
    return cells


def values(features, rows, *spine, **told):
    """Return the values of the only column."""
    return [value for value, _, _ in one(features, rows, *spine, **told)]


def test_01_event_at_t_is_included():
    """A row whose event time is t is served at t, and not a microsecond before."""
    assert one(view(), [row(10, 1.0)], (10, "a"), (9, "a")) == [(1.0, "present", 0), (None, "missing_key", None)]


def test_02_age_of_exactly_the_ttl_is_included():
    """Expired is t - e > ttl."""
    cells = one(view(ttl="5us"), [row(10, 1.0)], (15, "a"), (16, "a"))
    assert cells == [(1.0, "present", 5), (None, "expired", 6)]


def test_03_ttl_has_no_default_and_zero_is_refused():
    """No ttl is written ttl=None; it never expires."""
    with pytest.raises(TypeError, match="ttl"):
        FeatureView("v", source="s", timestamp="e", features=["x"])  # type: ignore[call-arg]
    with pytest.raises(ConfigError, match="ttl must be above 0"):
        view(ttl="0s")
    assert one(view(), [row(0, 1.0)], (10**15, "a")) == [(1.0, "present", 10**15)]


def test_04_status_of_a_cell():
    """Missing, not yet, expired, present, null: by what was known at t alone."""
    rows = [row(10, 1.0), row(20, None), row(50, 5.0, key="b", k=5)]
    spine = (9, "a"), (10, "a"), (20, "a"), (26, "a"), (6, "b"), (4, "b"), (50, "c")
    assert one(view(ttl="5us"), rows, *spine) == [
        (None, "missing_key", None),
        (1.0, "present", 0),
        (None, "null", 0),
        (None, "expired", 6),
        (None, "not_yet", None),
        (None, "missing_key", None),
        (None, "missing_key", None),
    ]


def test_04_default_stands_where_there_is_no_value():
    """A feature's default is served, as defaulted, for a null and where there is no row to serve."""
    rows = [row(10, None), row(50, 5.0, key="b", k=5)]
    cells = one(view(Field("x", default=7.5), ttl="5us"), rows, (10, "a"), (16, "a"), (6, "b"), (6, "c"))
    assert cells == [(7.5, "defaulted", 0), (7.5, "defaulted", 6), (7.5, "defaulted", None), (7.5, "defaulted", None)]


def test_05_equal_spine_rows_are_all_kept():
    """N rows in, N rows out, in their order."""
    assert values(view(), [row(1, 1.0), row(3, 3.0)], (3, "a"), (1, "a"), (3, "a"), (3, "a")) == [3.0, 1.0, 3.0, 3.0]


def test_06_ties_on_e_go_to_the_newest_k_then_to_own_columns():
    """Then the view's columns in declared order, nulls first, NaN last; how many spine rows met a tie is told."""
    rows = [row(10, 9.0, k=11), row(10, 1.0, k=12), row(20, None, n=9), row(20, 1.0, n=3), row(20, 1.0, n=4)]
    rows += [row(30, 5.0), row(30, math.nan), row(40, 2.0)]
    found = ask(view("x", "n"), rows, (12, "a"), (20, "a"), (30, "a"), (40, "a"))
    assert [value for value, _, _ in found["v__x"]][:2] == [1.0, 1.0]
    assert [value for value, _, _ in found["v__n"]] == [None, 4, None, None]
    assert math.isnan(found["v__x"][2][0])
    source, asked = Source.of(TYPES, rows), [{"t": t, "key": "a"} for t in (12, 20, 30, 40)]
    service = FeatureService("m", [view("x", "n")])
    assert reference(service, {"s": source}, asked, {"t": US, "key": "string"}).ties == {"v": 3}


def test_06_some_features_of_a_view_are_ordered_by_all_its_columns():
    """A feature has one value, whichever others are asked for with it."""
    rows = [row(10, 1.0, n=9), row(10, 2.0, n=3)]
    whole = view("x", "n")
    assert values(whole[["n"]], rows, (10, "a")) == [3]
    assert values(view("n"), rows, (10, "a")) == [9]


def test_06_null_time_is_refused():
    """A row that has no known time, or no event time, cannot be placed."""
    for column in ("k", "e"):
        with pytest.raises(SchemaError, match=f"s.{column} is null"):
            one(view(), [row(10, 1.0) | {column: None}], (10, "a"))


def test_07_newer_k_of_the_same_e_wins_once_it_is_known():
    """A correction of a value is served from its k on."""
    rows = [row(10, 1.0, k=10), row(10, 2.0, k=20)]
    assert values(view(), rows, (19, "a"), (20, "a")) == [1.0, 2.0]


def test_07_windows_count_every_row_or_the_newest_known_of_a_row_key():
    """Without a row key a correction is one event more; with it, it takes the event's place, as soon as it is known."""
    rows = [row(10, 1.0, k=10, id=1), row(11, 5.0, k=20, id=1), row(12, 8.0, k=12, id=2)]
    total = w.Sum("x", window=None)
    assert values(view(total), rows, (19, "a"), (20, "a")) == [9.0, 14.0]
    assert values(view(total, row_key=["id"]), rows, (19, "a"), (20, "a")) == [9.0, 13.0]


def test_07_correction_moves_an_event_to_another_key():
    """The row key is one for the whole view: the event is gone where it was."""
    rows = [row(10, 1.0, k=10, id=1), row(10, 1.0, k=20, id=1, key="b")]
    counted_once = view(w.Count(window=None), row_key=["id"])
    assert values(counted_once, rows, (19, "a"), (20, "a"), (20, "b")) == [1, 0, 1]


def test_07_correction_may_move_an_event_to_nobody():
    """A newer version with a null key takes it away; versions that tie in all else are ordered by their keys."""
    counted_once = view(w.Count(window=None), row_key=["id"])
    rows = [row(10, 1.0, k=10, id=1), row(10, 1.0, k=20, id=1, key=None)]
    assert values(counted_once, rows, (19, "a"), (20, "a")) == [1, 0]
    tied = [row(10, 1.0, id=1), row(10, 1.0, id=1, key="b")]
    for order in (tied, tied[::-1]):
        assert values(counted_once, order, (10, "a"), (10, "b")) == [0, 1]


def test_07_null_row_key_names_no_event():
    """Rows without one are events of their own."""
    rows = [row(10, 1.0, k=10), row(10, 2.0, k=20)]
    assert values(view(w.Count(window=None), row_key=["id"]), rows, (20, "a")) == [2]


def test_08_late_row_is_invisible_unless_asked_for():
    """K > t: not seen; as_known="now" sees it; delay holds it back until k + delay."""
    rows = [row(10, 1.0, k=30)]
    assert one(view(), rows, (29, "a"), (30, "a")) == [(None, "missing_key", None), (1.0, "present", 20)]
    assert values(view(), rows, (10, "a"), as_known="now") == [1.0]
    assert values(view(delay="5us"), rows, (34, "a"), (35, "a")) == [None, 1.0]


def test_09_out_of_order_writes_end_as_in_order():
    """Guarded by (e, k), a store ends with the newest row whatever the order; a push that is tried again counts once."""
    rows = facts(view(), Source.of(TYPES, [row(10, 1.0), row(20, 2.0, k=21), row(20, 3.0, k=22)]))
    for order in permutations(rows):
        held = None
        for fact in order:
            held = upserted(held, fact)
        assert held is not None
        assert held.row["x"] == 3.0
    pushes = [("p1", row(10, 1.0)), ("p2", row(11, 1.0)), ("p1", row(10, 1.0))]
    assert values(view(w.Sum("x", window=None)), counted(pushes), (20, "a")) == [2.0]


def test_10_null_of_the_newest_row_is_null():
    """Never the previous value, unless the feature says so; the ttl is then that of the row that filled."""
    rows = [row(10, 1.0), row(14, None)]
    assert one(view(ttl="5us"), rows, (15, "a")) == [(None, "null", 1)]
    filled = view(Field("x", fill="last_non_null"), ttl="5us")
    assert one(filled, rows, (15, "a"), (16, "a")) == [(1.0, "present", 5), (None, "expired", 6)]
    assert one(filled, [row(10, None)], (15, "a"), (16, "a")) == [(None, "null", 5), (None, "expired", 6)]


def test_11_composite_keys_are_typed_and_apart():
    """('1', '23') is not ('12', '3'); a key of another type is refused, not cast."""
    two = view(entity=(KEY, Entity("s")))
    rows = [row(1, 1.0, key="1", s="23"), row(1, 2.0, key="12", s="3")]
    assert values(two, rows, (1, "1", "23"), (1, "12", "3"), (1, "1", "3"), keys=("key", "s")) == [1.0, 2.0, None]
    with pytest.raises(SchemaError, match="spine.key holds 1, which is no string"):
        one(view(), rows, (1, 1))


def test_12_null_key_matches_nothing():
    """Not even a null key; of a composite key one null is enough."""
    assert one(view(), [row(1, 1.0, key=None)], (1, None)) == [(None, "missing_key", None)]
    two = view(entity=(KEY, Entity("s")))
    assert one(two, [row(1, 1.0)], (1, "a", None), keys=("key", "s")) == [(None, "missing_key", None)]


def test_13_naive_times_need_a_zone():
    """Refused without; an hour that is there twice is the first one, one that is not there is refused."""
    naive = "timestamp[s]"
    with pytest.raises(SchemaError, match="without a zone"):
        micros_of(0, naive, "s.e")
    fold, gap = 1_792_895_400, 1_774_751_400  # 2026-10-25 02:30 and 2026-03-29 02:30 on the wall
    assert micros_of(fold, naive, "s.e", "Europe/Berlin") == (fold - 2 * 3600) * SECOND
    assert micros_of(fold + 3600, naive, "s.e", "Europe/Berlin") == fold * SECOND
    with pytest.raises(SchemaError, match="clocks of Europe/Berlin never showed"):
        micros_of(gap, naive, "s.e", "Europe/Berlin")
    assert micros_of(gap + 3600, naive, "s.e", "Europe/Berlin") == (gap - 3600) * SECOND


def test_14_units_become_microseconds_by_floor():
    """Below zero, too; a nanosecond before t is t - 1 µs, and one behind it is t."""
    assert [micros_of(count, "timestamp[ns, UTC]", "e") for count in (1999, 2000, -1, -1000)] == [1, 2, -1, -1]
    assert micros_of(-3, "timestamp[ms, UTC]", "e") == -3000
    assert micros_of(2, "timestamp[s, UTC]", "e") == 2 * SECOND
    assert micros_of(1, "date", "e", "UTC") == 86_400 * SECOND
    nanos = TYPES | {"e": "timestamp[ns, UTC]"}
    assert values(view(known_at=None), [row(10_999, 1.0)], (9, "a"), (10, "a"), types=nanos) == [None, 1.0]


def test_15_pruned_parts_change_nothing():
    """A part none of whose rows is known by the last t is not read; others tell statuses apart, so they are."""
    parts = [[row(1, 1.0)], [row(60, 6.0, k=5)], [row(70, 7.0)]]
    read = [part for part in parts if can_matter(facts(view(), Source.of(TYPES, part)), 20, 0)]
    assert read == parts[:2]
    spine = (20, "a"), (4, "a"), (0, "a")
    assert one(view(ttl="5us"), [*read[0], *read[1]], *spine) == one(
        view(ttl="5us"), [each for part in parts for each in part], *spine
    )


def test_16_tiles_are_open_at_their_start():
    """Tile j covers (j·d, (j+1)·d]: an event on an edge belongs to the tile that ends there, before 1970 as after."""
    assert [tile_of(e, 10) for e in (1, 10, 11, 0, -9, -10)] == [0, 0, 1, -1, -1, -2]


def test_17_late_data_is_found_by_difference_of_versions():
    """However old its event time; so are deletions. Keys whose rows are the same are not touched."""
    before = [row(100, 1.0), row(100, 2.0, key="b"), row(90, 3.0, key="c"), row(80, 3.0, key="c")]
    after = [row(100, 1.0), row(100, 2.0, key="b"), row(3, 9.0, key="b", k=200), row(90, 3.0, key="c")]
    ours, theirs = (facts(view(), Source.of(TYPES, rows)) for rows in (before, after))
    assert changed(ours, theirs) == {("b",), ("c",)}


def test_18_future_rows_wait_for_their_time():
    """A forecast that is known already is served from its event time on, from what a snapshot keeps, too."""
    rows = [row(10, 1.0), row(20, 2.0), row(30, 3.0, k=5), row(40, 4.0, k=5)]
    assert values(view(), rows, (25, "a"), (30, "a"), (45, "a")) == [2.0, 3.0, 4.0]
    left = [fact.row for fact in kept(facts(view(), Source.of(TYPES, rows)), 25)]
    assert len(left) == 3
    assert values(view(), left, (25, "a"), (30, "a"), (45, "a")) == [2.0, 3.0, 4.0]


def test_19_deletion_serves_the_previous_row_again():
    """From the version that deletes on; missing_key only if nothing is left."""
    old, new = row(1, 1.0), row(2, 2.0)
    versions = [Version(10, (old, new)), Version(20, (old,)), Version(30, ())]
    history = view(history="commits", known_at=None)
    assert one(history, [], (9, "a"), (10, "a"), (19, "a"), (20, "a"), (30, "a"), versions=versions) == [
        (None, "missing_key", None),
        (2.0, "present", 8),
        (2.0, "present", 17),
        (1.0, "present", 19),
        (None, "missing_key", None),
    ]


def test_20_view_without_an_entity_is_one_for_all_rows():
    """Also for a spine row whose key is null."""
    rows = [row(1, 1.0, key="x"), row(5, 5.0, key=None)]
    assert values(view(entity=None), rows, (4, "a"), (5, None)) == [1.0, 5.0]


def test_21_aliased_entities_have_keys_of_their_own():
    """The same view twice: by its own key, and by another column."""
    rows = [row(1, 1.0, key="buyer"), row(1, 2.0, key="seller")]
    whole = view()
    found = ask([whole, whole.alias("other", on={"to": "key"})], rows, (1, "buyer", "seller"), keys=("key", "to"))
    assert found == {"v__x": [(1.0, "present", 0)], "other__x": [(2.0, "present", 0)]}


def test_22_window_is_open_at_its_start_and_closed_at_t():
    """Exact: (t - w, t]. hop(d): (floor_d(t - w), t]."""
    rows = [row(e, float(e)) for e in (9, 10, 13, 14, 20)]
    exact, hop = w.Sum("x", window="7us"), w.Sum("x", window="7us", accuracy="hop(5us)")
    assert values(view(exact), rows, (20, "a"), (21, "a")) == [34.0, 20.0]
    assert values(view(hop), rows, (20, "a"), (21, "a"), (22, "a")) == [47.0, 47.0, 20.0]


def test_23_sums_are_those_of_fsum():
    """Correctly rounded, so the order of events is nothing; also where fsum itself gives up."""
    rows = [row(e, x) for e, x in enumerate((1e16, 1.0, -1e16, 0.1))]
    total = view(w.Sum("x", window=None))
    assert values(total, rows, (9, "a")) == [1.1]
    assert values(view(w.Mean("x", window=None)), rows, (9, "a")) == [1.1 / 4]
    assert float_sum([1e308, 1e308, -1e308]) == 1e308
    assert float_sum([1e308, 1e308]) == math.inf
    assert math.isnan(float_sum([math.inf, -math.inf]))
    assert math.copysign(1, float_sum([-0.0])) == 1.0


def test_23_other_functions():
    """Each by hand: 2, null, 4, 4, 9 are the values, the oldest first."""
    rows = [row(e, x) for e, x in enumerate((2.0, None, 4.0, 4.0, 9.0))]
    expected = {
        w.Count(window=None): 5,
        w.Std("x", window=None): math.sqrt(26.75 / 3),
        w.Min("x", window=None): 2.0,
        w.Max("x", window=None): 9.0,
        w.DistinctCount("x", window=None): 3,
        w.Quantile("x", 0.5, window=None): 4.0,
        w.Quantile("x", 0.9, window=None): 4.0 + 5.0 * (0.9 * 3 - 2),
        w.First("x"): 2.0,
        w.Last("x"): 9.0,
        w.LastN("x", 4): [9.0, 4.0, 4.0, None],
        w.Ratio(w.Sum("x", window=None), w.Count(window=None)): 3.8,
    }
    for feature, value in expected.items():
        assert values(view(feature), rows, (9, "a")) == [value], feature


def test_23_zeros_nan_and_infinities():
    """All NaN are one value, and so are both zeros, of which -0.0 is the lesser; infinite sums; nothing divided by 0."""
    zeros = [row(1, 0.0), row(2, -0.0), row(3, 0.0)]
    assert values(view(w.DistinctCount("x", window=None)), zeros, (9, "a")) == [1]
    assert math.copysign(1, values(view(w.Min("x", window=None)), zeros, (9, "a"))[0]) == -1.0
    assert math.copysign(1, values(view(w.Max("x", window=None)), zeros[::-1], (9, "a"))[0]) == 1.0
    nans = [row(1, math.nan), row(2, math.nan), row(3, 1.0)]
    assert values(view(w.DistinctCount("x", window=None)), nans, (9, "a")) == [2]
    both = [row(1, math.inf), row(2, 5.0), row(3, -math.inf, key="b"), row(3, math.inf, key="b")]
    spine = (9, "a"), (9, "b")
    (total, none), (mean, _) = (values(view(kind("x", window=None)), both, *spine) for kind in (w.Sum, w.Mean))
    assert total == mean == math.inf
    assert math.isnan(none)
    assert math.isnan(values(view(w.Std("x", window=None)), both, (9, "a"))[0])
    assert values(view(w.Std("x", window=None)), [row(1, 5.0)], (9, "a")) == [None]
    by_zero = w.Ratio(w.Count(window=None), w.Sum("x", window=None), name="r")
    assert one(view(by_zero), zeros, (9, "a")) == [(None, "null", 6)]


def test_23_empty_windows_nulls_and_nan():
    """Count of nothing is 0, also for a key never seen, which is still missing; others are null; NaN propagates."""
    rows = [row(1, 5.0), row(50, None, key="b"), row(50, math.nan, key="c"), row(51, 1.0, key="c")]
    spine = (99, "a"), (50, "b"), (51, "c"), (51, "d")
    found = ask(view(w.Count(window="9us"), w.Min("x", window="9us"), w.LastN("x", 3, window="9us")), rows, *spine)
    count, least, last = found.values()
    assert count == [(0, "present", 98), (1, "present", 0), (2, "present", 0), (0, "missing_key", None)]
    assert [status for _, status, _ in least] == ["null", "null", "present", "missing_key"]
    assert math.isnan(least[2][0])
    assert [value for value, _, _ in last][:2] == [None, [None]]


def test_23_expired_view_has_empty_windows():
    """What is too old is not served, so counts are 0 and others null, and the status says why."""
    found = ask(view(w.Count(window=None), w.Last("x"), ttl="5us"), [row(1, 1.0)], (7, "a"))
    assert list(found.values()) == [[(0, "expired", 6)], [(None, "expired", 6)]]


def test_24_integers_with_nulls_stay_integers():
    """Beyond what floats hold, and in sums; JSON says NaN and infinities as strings."""
    rows = [row(1, n=2**53 + 1), row(2, n=None), row(3, n=2**53 + 2)]
    found = ask(view("n", w.Sum("n", window=None)), rows, (1, "a"), (2, "a"), (3, "a"))
    assert [value for value, _, _ in found["v__n"]] == [2**53 + 1, None, 2**53 + 2]
    assert found["v__n_sum_lifetime"][2] == (2**54 + 3, "present", 0)
    assert json_cell([math.nan, math.inf, -math.inf, None, 1.5]) == ["NaN", "Infinity", "-Infinity", None, 1.5]


def test_25_on_demand_features_are_by_row():
    """Of features and the request; null, defaulted, and an error on one row, which touches no other."""
    request = Request({"distance": "float64"})
    per = on_demand(inputs=[view(), request], name="per")(lambda t: t.x / t.distance)
    small = on_demand(inputs=[view()], name="small", default=1)(lambda t: t.x.cast(pl.Int8))
    chain = on_demand(inputs=[per], name="chain")(lambda t: t.per + 1)
    rows = [row(1, 6.0), row(2, None), row(3, 1e9)]
    spine = (1, "a", 3.0), (2, "a", 3.0), (3, "a", 1e9)
    assert ask([per, small, chain], rows, *spine, keys=("key", "distance")) == {
        "per": [(2.0, "present", None), (None, "null", None), (1.0, "present", None)],
        "small": [(6, "present", None), (1, "defaulted", None), (None, "error", None)],
        "chain": [(3.0, "present", None), (None, "null", None), (2.0, "present", None)],
    }


def test_26_changed_definition_is_refused():
    """Both hashes are named; who owns it, or how it is called, changes nothing."""
    service, other = FeatureService("m", [view(ttl="5s")]), FeatureService("m", [view(ttl="6s")], version=2)
    check_closure(FeatureService("renamed", [view(ttl="5s")], version=9), closure_hash(service))
    with pytest.raises(ClosureMismatch, match=f"{closure_hash(other)}.*{closure_hash(service)}"):
        check_closure(service, closure_hash(other))


def test_27_immature_spine_rows_are_dropped_and_counted():
    """Those with t + h past the labels' newest known time; the lint finds features of the label."""
    assert mature([10, 20, 21, 5], 10, 30) == ([0, 1, 3], 1)
    service = FeatureService("m", [view("x", "n", known_at=None), view("n", name="fine")])
    assert leaks(service, "s", "x") == [
        "v__x is of the label itself",
        "v__n is of the labels' dataset, without known_at",
    ]
    assert leaks(service, "labels", "x") == []


def test_28_history_that_was_served_does_not_vanish():
    """An upserted source is refused, unless its key holds the times, or its commits are its history: then k is theirs."""
    assert refusal(view(), changes=False, key=["key"]) is None
    assert refusal(view(), changes=True, key=["key", "e", "k"]) is None
    assert refusal(view(history="commits"), changes=True, key=["key"]) is None
    assert "vanish" in (refusal(view(), changes=True, key=["key", "e"]) or "")
    assert "vanish" in (refusal(view(known_at=None), changes=True, key=["key", "e"]) or "")
    versions = [Version(10, (row(1, 1.0),)), Version(20, (row(2, 2.0),)), Version(30, (row(2, 2.0), row(0, 9.0)))]
    history = view("x", w.Count(window=None), history="commits", known_at=None, delay="1us")
    found = ask(history, [], (11, "a"), (20, "a"), (21, "a"), (31, "a"), versions=versions)
    assert [value for value, _, _ in found["v__x"]] == [1.0, 1.0, 2.0, 2.0]
    assert [value for value, _, _ in found["v__count_lifetime"]] == [1, 1, 1, 2]


def test_where_leaves_rows_out_before_anything_else():
    """A row that does not pass is not there: neither for statuses, nor as a correction. Null does not pass."""
    rows = [row(1, 1.0, n=0), row(2, 2.0, n=1), row(3, 3.0, n=None)]
    for where in ("n = 0", pl.col("n") == 0):
        assert one(view(where=where), rows, (3, "a")) == [(1.0, "present", 2)]
