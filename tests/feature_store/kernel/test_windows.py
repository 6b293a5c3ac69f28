"""Windows (PIT 1, 5, 7, 8, 16, 18, 19, 20, 22, 23, 24), against one loop over plain rows."""

from __future__ import annotations

import math
import pickle
import struct
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataplat.errors import SchemaError
from dataplat.feature_store.kernel import spans
from dataplat.feature_store.kernel.lives import FOREVER, lives
from dataplat.feature_store.kernel.windows import windows
from dataplat.feature_store.windows import (
    Count,
    DistinctCount,
    First,
    Last,
    LastN,
    Max,
    Mean,
    Min,
    Quantile,
    Ratio,
    Std,
    Sum,
    Window,
)
from dataplat.testing._features_functions import applied, begins, divided

W = 10
FUNCTIONS: list[Any] = [
    Count,
    *(partial(kind, "x") for kind in (Sum, Mean, Std, Min, Max, DistinctCount, First, Last)),
    partial(Quantile, "x", 0.9),
    partial(Quantile, "x", 0.5),
    partial(LastN, "x", 3),
]
FEATURES: list[Window] = [
    make(window=window, accuracy=accuracy)
    for make in FUNCTIONS
    for window, accuracy in ((W, "exact"), (25, "exact"), (W, "hop(4us)"), (None, "exact"))
]
FLOATS = st.one_of(
    st.none(),
    st.integers(-3, 3).map(float),
    st.floats(width=64),
    st.sampled_from([0.1, -0.0, math.nan, math.inf, -math.inf]),
)


@dataclass(frozen=True)
class Event:
    key: int
    e: int
    k: int
    x: Any
    event: int = -1
    gone: int = FOREVER


@dataclass(frozen=True)
class World:
    """Rows in order, and questions: (key, or -1, and time)."""

    events: list[Event]
    asked: list[tuple[int, int]]
    kind: pa.DataType = field(default_factory=pa.float64)
    keys: int = 3

    def __post_init__(self) -> None:
        self.events.sort(key=lambda each: (each.key, each.e, each.k))

    def answers(self, features: list[Any], as_known: Any = None) -> list[list[Any]]:
        """Ask the kernel."""
        array = partial(np.array, dtype=np.int64)
        rows = self.events
        found = lives(
            np.searchsorted(array([each.key for each in rows]), np.arange(self.keys + 1)),
            array([each.e for each in rows]),
            array([each.k for each in rows]),
            event=array([each.event for each in rows]) if any(each.event >= 0 for each in rows) else None,
            gone=array([each.gone for each in rows]) if any(each.gone < FOREVER for each in rows) else None,
            as_known=as_known,
        )
        columns = {"x": pa.array([each.x for each in rows], self.kind)}
        group, t = (array(list(each)) for each in zip(*self.asked, strict=True)) if self.asked else (array([]),) * 2
        return [each.to_pylist() for each in windows(found, columns, group, t, features)]

    def expected(self, feature: Any, as_known: Any = None) -> list[Any]:
        """Answer row by row."""
        return [self.one(feature, key, t, as_known) for key, t in self.asked]

    def one(self, feature: Any, key: int, t: int, as_known: Any) -> Any:
        """Answer one question."""
        if isinstance(feature, Ratio):
            return divided(self.one(feature.above, key, t, as_known), self.one(feature.below, key, t, as_known))
        if as_known == "now":
            seen = [(at, row) for at, row in enumerate(self.events) if row.gone == FOREVER]
        else:
            seen = [(at, row) for at, row in enumerate(self.events) if row.k <= t < row.gone]
        newest = {row.event: (row.k, row.e, at) for at, row in sorted(seen, key=lambda it: (it[1].k, it[1].e, it[0]))}
        after = begins(feature, t)
        inside = [
            row
            for at, row in seen
            if row.key == key
            and row.e <= t
            and (after is None or row.e > after)
            and (row.event < 0 or newest[row.event][2] == at)
        ]
        return applied(feature, [None if feature.column is None else row.x for row in inside])

    def check(self, features: list[Any] | None = None, as_known: Any = None) -> None:
        """Compare to the last bit."""
        features = features or FEATURES
        for feature, found in zip(features, self.answers(features, as_known), strict=True):
            expected = self.expected(feature, as_known)
            assert list(map(bits, found)) == list(map(bits, expected)), (feature, self)


def bits(value: Any) -> Any:
    """Return what is equal for equal bits; all NaN are one."""
    if isinstance(value, list):
        return [bits(each) for each in value]
    if isinstance(value, float):
        return "nan" if math.isnan(value) else struct.pack("<d", value)
    return value


TIMES = st.integers(-20, 60)


@st.composite
def worlds(
    draw: st.DrawFn, values: Any = FLOATS, *, late: bool, versions: bool = False, deleted: bool = False
) -> World:
    """Draw rows of a few keys, and questions, also about keys without rows and about none."""
    events = []
    for _ in range(draw(st.integers(0, 14))):
        e = draw(TIMES)
        k = e + draw(st.integers(-5, 30)) if late else e
        gone = k + draw(st.integers(1, 30)) if deleted and draw(st.booleans()) else FOREVER
        events.append(
            Event(
                draw(st.integers(0, 2)),
                e,
                k,
                draw(values),
                draw(st.integers(-1, 3)) if versions else -1,
                gone,
            )
        )
    return World(events, draw(st.lists(st.tuples(st.integers(-1, 3), TIMES), min_size=1, max_size=8)), keys=4)


slow = settings(deadline=None, max_examples=25)


@slow
@given(worlds(late=False))
def test_23_functions_of_windows_to_the_last_bit(world: World) -> None:
    """Every function of every kind of window, of rows that were known when they happened."""
    world.check()


@slow
@given(worlds(late=True))
def test_8_late_rows_are_seen_from_when_they_can_be_served(world: World) -> None:
    """A late row is invisible before it can be served, and counts in each window that is open then."""
    world.check()


@slow
@given(worlds(late=True))
def test_8_as_known_now_takes_rows_whenever_they_came(world: World) -> None:
    """as_known="now" sees what came later; e <= t holds nevertheless."""
    world.check(as_known="now")


@slow
@given(worlds(late=True, versions=True))
def test_7_of_a_row_key_the_newest_known_version_counts(world: World) -> None:
    """At each time the newest version known by then counts, also where it moves the event in time, or to another key."""
    world.check()
    world.check(as_known="now")


@slow
@given(worlds(late=True, versions=True, deleted=True))
def test_19_what_a_deleted_version_had_replaced_counts_again(world: World) -> None:
    """A deleted row is gone, and of its event the newest one left counts."""
    world.check()
    world.check(as_known="now")


@slow
@given(worlds(st.one_of(st.none(), st.integers(-9, 9), st.integers(-(2**60), 2**60)), late=True))
def test_24_integers_stay_integers(world: World) -> None:
    """Sums, extremes and values of int64 columns with nulls are int64; means and quantiles are floats."""
    World(world.events, world.asked, pa.int64(), 4).check()


@slow
@given(worlds(st.sampled_from([None, "", "a", "b", "aa", "é", "z"]), late=True))
def test_23_extremes_and_different_values_of_text(world: World) -> None:
    """Text is in the order of its code points."""
    kinds = (Min, Max, DistinctCount, First, Last)
    features = [kind("x", window=window) for kind in kinds for window in (W, None)]
    World(world.events, world.asked, pa.string(), 4).check([*features, LastN("x", 2, window=W)])


@slow
@given(worlds(late=True))
def test_23_ratios_are_of_two_windows(world: World) -> None:
    """A ratio is null where either is null, or where it would divide by 0."""
    above, below = Sum("x", window=W), Mean("x", window=25)
    world.check([Ratio(above, below), Ratio(above, Count(window=W)), Ratio(Count(window=W), Count(window=25))])


def simple(*pairs: tuple[int, Any], asked: list[int], kind: pa.DataType | None = None) -> World:
    """Return a world of one key."""
    return World([Event(0, e, e, x) for e, x in pairs], [(0, t) for t in asked], kind or pa.float64())


def test_1_an_event_at_t_is_included() -> None:
    """The window is closed at its end: e == t is in it."""
    assert simple((10, 1.0), asked=[9, 10]).answers([Count(window=W)]) == [[0, 1]]


def test_22_an_exact_window_is_open_at_its_begin() -> None:
    """(t - w, t]: an event as old as the window is out."""
    assert simple((10, 1.0), asked=[19, 20]).answers([Count(window=W)]) == [[1, 0]]


def test_22_a_hop_window_begins_with_a_tile() -> None:
    """(floor_d(t - w), t]: the begin is on the grid of tiles, below zero too."""
    world = simple((4, 1.0), (5, 1.0), (-4, 1.0), (-3, 1.0), asked=[17, 18, 9, 7])
    assert world.answers([Count(window=W, accuracy="hop(4us)")]) == [[1, 0, 3, 3]]
    world.check([Count(window=W, accuracy="hop(4us)")])


def test_5_equal_questions_are_all_answered() -> None:
    """Questions come back in their order, each with its answer."""
    assert simple((1, 2.0), asked=[5, 0, 5]).answers([Sum("x", window=W)]) == [[2.0, None, 2.0]]


def test_18_events_in_the_future_are_not_seen() -> None:
    """What is known before it happens counts from when it happens."""
    world = World([Event(0, 10, 2, 1.0)], [(0, 9), (0, 10)])
    assert world.answers([Count(window=None)]) == [[0, 1]]


def test_20_a_view_without_entity_has_one_key() -> None:
    """All rows are of one key, and all questions about it."""
    assert simple((1, 1.0), (2, 2.0), asked=[2]).answers([Sum("x", window=None)]) == [[3.0]]


def test_23_windows_of_nothing() -> None:
    """Counts are 0, also for a key never seen and for none; others are null."""
    world = World([Event(0, 1, 1, None)], [(0, 0), (0, 50), (1, 5), (-1, 5)])
    for feature, found in zip(FEATURES, world.answers(FEATURES), strict=True):
        if feature.window is not None:
            assert found == [0 if isinstance(feature, Count) else None] * 4
    world.check()


def test_23_nulls_are_skipped_and_nan_propagates() -> None:
    """A null is no value; NaN makes NaN of all that compute with it."""
    world = simple((1, None), (2, 1.0), (3, math.nan), asked=[2, 3])
    for feature in (Sum, Mean, Min, Max, partial(Quantile, q=0.5)):
        (found,) = world.answers([feature("x", window=W)])
        assert found[0] == 1.0
        assert math.isnan(found[1])


def test_23_decimals_stay_exact() -> None:
    """Sums of decimals are decimals of 38 digits."""
    world = simple((1, Decimal("0.10")), (2, Decimal("0.20")), (3, None), asked=[3], kind=pa.decimal128(5, 2))
    found = world.answers([Sum("x", window=W), Mean("x", window=W), Min("x", window=W), Quantile("x", 0.5, window=W)])
    assert found == [[Decimal("0.30")], [0.15], [Decimal("0.10")], [pytest.approx(0.15)]]


def test_24_a_sum_that_does_not_fit_is_refused() -> None:
    """int64 never wraps around."""
    world = simple((1, 2**62), (2, 2**62), asked=[3], kind=pa.int64())
    with pytest.raises(SchemaError, match="sum of x does not fit into int64"):
        world.answers([Sum("x", window=W)])


def test_23_text_has_no_sum_or_quantile() -> None:
    """The column is named."""
    world = simple((1, "a"), asked=[3], kind=pa.string())
    for feature in (Sum("x", window=W), Quantile("x", 0.5, window=W)):
        with pytest.raises(SchemaError, match="x holds string"):
            world.answers([feature])


@pytest.mark.parametrize(
    "kind",
    [pa.timestamp("us", "UTC"), pa.date32(), pa.bool_(), pa.uint64(), pa.int8(), pa.float32(), pa.decimal128(9, 1)],
)
def test_24_extremes_keep_their_type(kind: pa.DataType) -> None:
    """The least, the greatest and the last value have the type of the column."""
    whole = pa.array([1, 0, None, 1], pa.int32() if kind == pa.date32() else pa.int64())
    values = whole.cast(pa.decimal128(38, 0)).cast(kind, safe=False) if pa.types.is_decimal(kind) else whole.cast(kind)
    t = np.array([1, 2, 3, 4])
    found = windows(
        lives(np.array([0, 4]), t, t),
        {"x": values},
        np.array([0]),
        np.array([4]),
        [kind("x", window=W) for kind in (Min, Max, Last, DistinctCount)],
    )
    assert found[0].type == kind
    assert [each.to_pylist() for each in found[:3]] == [values[at : at + 1].to_pylist() for at in (1, 0, 0)]
    assert found[3].to_pylist() == [2]


def many(seed: int, *, late: int) -> World:
    """Return many rows of keys of very different sizes."""
    seeded = np.random.default_rng(seed)
    key = np.minimum(seeded.geometric(0.3, 1200) - 1, 5)
    e = seeded.integers(0, 2000, 1200)
    k = e + seeded.integers(0, late + 1, 1200)
    x = np.where(seeded.random(1200) < 0.1, np.nan, seeded.normal(size=1200))
    events = [
        Event(int(a), int(b), int(c), None if math.isnan(d) else float(d))
        for a, b, c, d in zip(key, e, k, x, strict=True)
    ]
    asked = [(int(a), int(b)) for a, b in zip(seeded.integers(-1, 7, 24), seeded.integers(0, 2100, 24), strict=True)]
    return World(events, asked, keys=7)


LONG: list[Any] = [make(window=window) for make in FUNCTIONS for window in (70, 900)]


@pytest.mark.parametrize("late", [0, 300])
def test_windows_of_many_rows(late: int) -> None:
    """Long windows, and short ones, are as a loop says."""
    many(3, late=late).check(LONG)


def test_windows_are_the_same_in_small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """How many keys are worked on at once does not matter."""
    world = many(4, late=100)
    whole = world.answers(LONG)
    monkeypatch.setattr(spans, "ROWS", 1)
    assert bits(world.answers(LONG)) == bits(whole)


def test_windows_of_many_keys_of_which_few_are_asked() -> None:
    """Rows of keys that nobody asks for are left out."""
    events = [Event(key, e, e, float(key + e)) for key in range(200) for e in range(5)]
    asked = [(key, t) for key in (199, 3, 100, 3) for t in (2, 9)]
    World(events, asked, keys=200).check()


def test_windows_far_from_each_other_in_time() -> None:
    """Times that reach over all of int64 are compared, and not added up."""
    far = 2**61
    events = [Event(key, at, at, 1.0) for key in range(3) for at in (-far, 0, far)]
    World(events, [(key, t) for key in range(3) for t in (-far - 1, -far, 0, far, far + 9, far + W)]).check()


def test_lives_are_pickled() -> None:
    """What is asked of goes to another process as it is."""
    found = lives(np.array([0, 1]), np.array([1]), np.array([2]))
    assert pickle.loads(pickle.dumps(found)).on.tolist() == [2]  # noqa: S301 - our own
