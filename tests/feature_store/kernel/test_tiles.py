"""Tiles (PIT 9, 16, 22, 23): made apart, added in any order, and equal to windows of events to the last bit."""

from __future__ import annotations

import math
import pickle
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataplat.errors import ConfigError, LakeFormatError
from dataplat.feature_store.kernel.lives import lives
from dataplat.feature_store.kernel.tile_bytes import from_bytes, to_bytes
from dataplat.feature_store.kernel.tiles import Tiles, answers, tile_of, tiles
from dataplat.feature_store.kernel.windows import windows
from dataplat.feature_store.windows import (
    Count,
    DistinctCount,
    Last,
    Max,
    Mean,
    Min,
    Quantile,
    Ratio,
    Std,
    Sum,
)

D = 4
HOP = "hop(4us)"
LENGTHS: list[Any] = [{"window": 10, "accuracy": HOP}, {"window": 24, "accuracy": "hop(8us)"}, {"window": None}]
FEATURES: list[Any] = [
    Count(**LENGTHS[0]),
    *(kind("x", **length) for kind in (Sum, Mean, Std, Min, Max, DistinctCount) for length in LENGTHS),
    *(Quantile("x", 0.7, **length) for length in LENGTHS),
    Ratio(Sum("x", **LENGTHS[0]), Count(**LENGTHS[1])),
]
ENDS: list[Any] = [Min("x", **LENGTHS[0]), Max("x", **LENGTHS[2]), Sum("x", **LENGTHS[1])]
VALUES = st.one_of(
    st.none(), st.integers(-3, 3).map(float), st.floats(width=64), st.sampled_from([0.1, -0.0, math.nan])
)
ROWS = st.lists(st.tuples(st.integers(0, 2), st.integers(-20, 40), VALUES), max_size=14)
ASKED = st.lists(st.tuples(st.integers(0, 3), st.integers(-20, 60)), min_size=1, max_size=6)


def words(values: list[int]) -> Any:
    """Return digests; their upper halves rise as the lower ones fall."""
    return np.array(values, np.uint64)


def made(rows: list[Any], features: list[Any], kind: pa.DataType | None = None) -> Tiles:
    """Return the tiles of rows (key, e, x)."""
    keys, e, x = ([row[at] for row in rows] for at in range(3))
    columns = {"x": pa.array(x, kind or pa.float64())}
    return tiles(D, words(keys), words([9 - key for key in keys]), np.array(e, np.int64), columns, features)


def asked(kept: Tiles, questions: list[Any], features: list[Any]) -> list[list[Any]]:
    """Ask tiles."""
    keys, t = ([each[at] for each in questions] for at in range(2))
    found = answers(kept, words(keys), words([9 - key for key in keys]), np.array(t), features)
    return [each.to_pylist() for each in found]


def events(rows: list[Any], questions: list[Any], features: list[Any], kind: pa.DataType | None = None) -> list[Any]:
    """Ask the events themselves."""
    rows = sorted(rows, key=lambda row: row[:2])
    e = np.array([row[1] for row in rows], np.int64)
    starts = np.searchsorted([row[0] for row in rows], np.arange(5))
    columns = {"x": pa.array([row[2] for row in rows], kind or pa.float64())}
    keys, t = (np.array([each[at] for each in questions]) for at in range(2))
    return [each.to_pylist() for each in windows(lives(starts, e, e), columns, keys, t, features)]


def whole(questions: list[Any]) -> list[Any]:
    """Return the questions with times at the ends of tiles."""
    return [(key, -(-t // D) * D) for key, t in questions]


def same(one: Any, other: Any) -> None:
    """Compare to the last bit."""
    assert [list(map(repr, each)) for each in one] == [list(map(repr, each)) for each in other]


lazy = settings(deadline=None, max_examples=30)


@lazy
@given(ROWS, ASKED)
def test_16_whole_tiles_are_equal_to_events(rows: list[Any], questions: list[Any]) -> None:
    """At the end of a tile windows of tiles and of events are the same, to the last bit."""
    questions = whole(questions)
    same(asked(made(rows, FEATURES), questions, FEATURES), events(rows, questions, FEATURES))


@lazy
@given(ROWS, ASKED)
def test_22_the_open_tile_is_part_of_a_hop_window(rows: list[Any], questions: list[Any]) -> None:
    """At any time the tile of `t`, as far as it is known, ends the window."""
    for key, t in questions:
        known = [row for row in rows if row[1] <= t]
        same(asked(made(known, FEATURES), [(key, t)], FEATURES), events(known, [(key, t)], FEATURES))


@lazy
@given(ROWS, ASKED, st.randoms())
def test_23_tiles_are_added_in_any_order_and_grouping(rows: list[Any], questions: list[Any], random: Any) -> None:
    """Parts that were made apart are the same tiles, and the same bytes, as those of all rows."""
    mixed = list(rows)
    random.shuffle(mixed)
    one, two = sorted((random.randint(0, len(mixed)), random.randint(0, len(mixed))))
    a, b, c = (made(part, FEATURES) for part in (mixed[:one], mixed[one:two], mixed[two:]))
    expected = to_bytes(made(rows, FEATURES))
    assert to_bytes(a + b + c) == to_bytes(c + (b + a)) == expected


@lazy
@given(ROWS, ROWS)
def test_9_what_was_added_can_be_taken_away(rows: list[Any], more: list[Any]) -> None:
    """Tiles without events that were added are those that were there before."""
    kept = made(rows, FEATURES)
    assert to_bytes(kept + made(more, FEATURES) - made(more, FEATURES)) == to_bytes(kept)


@lazy
@given(ROWS, ROWS, ASKED)
def test_23_extremes_alone_need_the_ends_of_tiles_only(rows: list[Any], more: list[Any], questions: list[Any]) -> None:
    """Without quantiles and different values at most two values of a tile are kept."""
    kept = made(rows, ENDS) + made(more, ENDS)
    assert all(count <= 2 for count in np.bincount(kept.bags["x"].place))
    same(asked(kept, whole(questions), ENDS), events(rows + more, whole(questions), ENDS))


def test_9_a_late_event_is_added_to_its_tile() -> None:
    """However late it is, it counts in the tile of its event time."""
    kept = made([(0, 1, 1.0), (0, 9, 2.0)], FEATURES) + made([(0, 2, 4.0)], FEATURES)
    assert kept.tile.tolist() == [0, 2]
    assert kept.count.tolist() == [2, 1]
    assert asked(kept, [(0, 12)], [Sum("x", window=None)]) == [[7.0]]


def test_16_tiles_are_closed_at_their_end() -> None:
    """Tile j covers (j·d, (j+1)·d], before 1970 too."""
    assert tile_of(np.array([-4, -3, 0, 1, 4, 5]), D).tolist() == [-2, -1, -1, 0, 0, 1]


@pytest.mark.parametrize(
    ("kind", "values"),
    [(pa.int64(), [2**61, None, -5]), (pa.decimal128(9, 2), [Decimal("1.10"), Decimal("-0.05"), None])],
)
def test_24_integers_and_decimals_stay_exact(kind: pa.DataType, values: list[Any]) -> None:
    """Tiles of other types than floats answer in their types."""
    rows = [(0, at, value) for at, value in enumerate(values)]
    kept = from_bytes(to_bytes(made(rows, FEATURES, kind)))
    same(asked(kept, [(0, 8), (1, 8)], FEATURES), events(rows, [(0, 8), (1, 8)], FEATURES, kind))


@lazy
@given(ROWS, ASKED)
def test_tiles_survive_as_bytes(rows: list[Any], questions: list[Any]) -> None:
    """What is read is what was written; pickle does the same."""
    kept = made(rows, FEATURES)
    again = from_bytes(to_bytes(kept))
    assert to_bytes(again) == to_bytes(kept)
    same(asked(again, questions, FEATURES), asked(kept, questions, FEATURES))
    assert to_bytes(pickle.loads(pickle.dumps(kept))) == to_bytes(kept)  # noqa: S301 - our own


def test_bytes_that_are_no_tiles() -> None:
    """They are refused, and so are tiles of a later format."""
    with pytest.raises(LakeFormatError, match="no tiles"):
        from_bytes(b"what")


@pytest.mark.parametrize(
    ("feature", "message"),
    [
        (Last("x"), "last_x|x_last"),
        (Sum("x", window=10), "accuracy='hop"),
        (Sum("x", window=10, accuracy="hop(6us)"), "does not begin with a tile"),
    ],
)
def test_features_that_tiles_cannot_make(feature: Any, message: str) -> None:
    """They are named, with what to do."""
    with pytest.raises(ConfigError, match=message):
        made([], [feature])


def test_tiles_for_other_features_are_not_added() -> None:
    """They would lack what one of both needs; from extremes alone nothing is taken away."""
    with pytest.raises(ConfigError, match="other features"):
        made([], FEATURES) + made([], ENDS)
    with pytest.raises(ConfigError, match="make them anew"):
        made([], ENDS) - made([], ENDS)


def test_tiles_of_text() -> None:
    """Different values and extremes of text are kept as what they are, over parts."""
    features: list[Any] = [DistinctCount("x", window=None), Min("x", window=None)]
    kept = made([(0, 1, "b"), (0, 1, "a")], features, pa.string()) + made([(0, 2, "b")], features, pa.string())
    assert asked(kept, [(0, 4)], features) == [[2], ["a"]]
