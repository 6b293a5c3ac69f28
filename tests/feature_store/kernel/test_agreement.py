"""The kernel's windows against the rules in plain Python, on drawn worlds: the same to the last bit."""

from __future__ import annotations

from itertools import groupby

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings

from dataplat.feature_store.definitions import FeatureView, Field
from dataplat.feature_store.kernel.lives import FOREVER, lives
from dataplat.feature_store.kernel.windows import windows
from dataplat.feature_store.status import Status
from dataplat.lake.schema import parse_type
from dataplat.testing._features_history import facts
from dataplat.testing._features_values import bits, rank
from dataplat.testing.features_reference import micros_at
from dataplat.testing.features_worlds import World, drawn_world, worlds

SERVED = {Status.PRESENT, Status.NULL, Status.MISSING_KEY, Status.NOT_YET}
"""Of a view that is expired the kernel of windows knows nothing: who calls it masks what it says."""


def kernel(world: World, view: FeatureView) -> list[pa.Array]:
    """Return the windows of a view as the kernel computes them."""
    source = world.sources[str(view.view.source)]
    rows = sorted(
        facts(view, source), key=lambda one: (rank(one.key), one.order)
    )  # null keys, too: they may be corrections
    keys = [key for key, _ in groupby(each.key for each in rows)]
    starts = np.cumsum([0, *(len(list(group)) for _, group in groupby(rows, key=lambda one: one.key))])
    events = {event: at for at, event in enumerate(dict.fromkeys(each.event for each in rows if each.event))}
    places = {id(each): at for at, each in enumerate(sorted(rows, key=lambda one: (one.order[2], rank(one.key))))}
    delay = view.view.delay
    lived = lives(
        starts,
        np.array([each.e for each in rows], np.int64),
        np.array([each.k + delay for each in rows], np.int64),
        event=np.array([-1 if each.event is None else events[each.event] for each in rows], np.int64),
        gone=np.array([FOREVER if each.gone is None else each.gone + delay for each in rows], np.int64),
        ties=np.array([places[id(each)] for each in rows], np.int64),
        as_known=world.as_known,
    )
    columns = {
        name: pa.array([each.row[name] for each in rows], parse_type(source.types[name])) for name in view.view.columns
    }
    asked = [tuple(row[column] for column in view.spine_keys) for row in world.spine]
    group = np.array([keys.index(key) if key in keys and None not in key else -1 for key in asked], np.int64)
    times = np.array([micros_at(row, world.types, "t") for row in world.spine], np.int64)
    return windows(lived, columns, group, times, [each for each in view.features if not isinstance(each, Field)])


def disagreements(world: World) -> list[str]:
    """Return where kernel and rules differ."""
    told = []
    for view in world.service.features:
        features = (
            [each for each in view.features if not isinstance(each, Field)] if isinstance(view, FeatureView) else []
        )
        found = kernel(world, view) if features else []
        for feature, column in zip(features, found, strict=True):
            cells = world.answer().cells[f"{view.name}__{feature.feature}"]
            for at, (cell, value) in enumerate(zip(cells, column.to_pylist(), strict=True)):
                if cell.status in SERVED and bits(cell.value) != bits(value):
                    told.append(f"{feature}, row {at}: {value!r}, not {cell.value!r}")
    return told


@pytest.mark.parametrize("first", range(0, 40, 20))
def test_windows_of_drawn_worlds_agree(first):
    """Late, tied, corrected, deleted rows; NaN, nulls, any zone; exact and hop."""
    told = {seed: disagreements(drawn_world(seed, events=200, rows=25)) for seed in range(first, first + 20)}
    assert {seed: each[:3] for seed, each in told.items() if each} == {}


@settings(max_examples=20, deadline=None)
@given(worlds(events=24, rows=5))
def test_windows_of_any_world_agree(world):
    """As Hypothesis draws them, which makes those that fail smaller."""
    assert disagreements(world) == []
