"""The windows of drawn worlds, against the rules in plain Python: late, corrected, deleted, of keys of many columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from dataplat.feature_store.definitions import FeatureView
from dataplat.feature_store.kernel.lives import FOREVER, lives
from dataplat.feature_store.kernel.windows import windows
from dataplat.feature_store.status import Status
from dataplat.feature_store.windows import Ratio, Window
from dataplat.lake.schema import parse_type
from dataplat.testing._features_history import Fact, facts
from dataplat.testing._features_values import bits, key_of, micros_of, rank
from dataplat.testing.features_worlds import World, drawn_world

UNSERVED = {Status.MISSING_KEY, Status.NOT_YET, Status.EXPIRED}


def ints(values: Any) -> Any:
    """Return an array."""
    return np.array(list(values), np.int64)


def ordered(rows: Sequence[Fact]) -> tuple[list[Fact], dict[Any, int]]:
    """Return facts in the order (key, e, k, own columns), and the numbers of keys; of no key is a number, too."""
    numbers = {key: number for number, key in enumerate(dict.fromkeys(fact.key for fact in rows))}
    return sorted(rows, key=lambda fact: (numbers[fact.key], fact.order)), numbers


def answered(world: World, view: FeatureView, features: list[Window | Ratio]) -> list[list[Any]]:
    """Return the columns of a view's windows, by the kernel."""
    told, source = view.view, world.sources[str(view.view.source)]
    rows, numbers = ordered(facts(view, source))
    events = {event: number for number, event in enumerate({fact.event for fact in rows if fact.event is not None})}
    tied = {at: place for place, at in enumerate(sorted(range(len(rows)), key=lambda at: _tie(rows[at])))}
    found = lives(
        np.searchsorted(ints(numbers[fact.key] for fact in rows), np.arange(len(numbers) + 1)),
        ints(fact.e for fact in rows),
        ints(fact.k + told.delay for fact in rows),
        event=ints(events.get(fact.event, -1) for fact in rows) if told.row_key else None,
        gone=ints(FOREVER if fact.gone is None else fact.gone + told.delay for fact in rows),
        ties=ints(tied[at] for at in range(len(rows))),
        as_known=world.as_known,
    )
    columns = {name: pa.array([row.row[name] for row in rows], parse_type(kind)) for name, kind in source.types.items()}
    group, t = [], []
    for at, row in enumerate(world.spine):
        status = world.answer().cells[f"{view.name}__{features[0].feature}"][at].status
        dtypes = [entity.dtype for entity in told.entities]
        key = key_of([row[name] for name in view.spine_keys], dtypes, list(view.spine_keys))
        group.append(-1 if status in UNSERVED or key is None else numbers.get(key, -1))
        t.append(micros_of(row["t"], world.types["t"], "t"))
    return [each.to_pylist() for each in windows(found, columns, ints(group), ints(t), features)]


def _tie(fact: Fact) -> Any:
    return fact.order[2], rank(fact.key)


@pytest.mark.parametrize("seed", range(24))
def test_windows_of_drawn_worlds(seed: int) -> None:
    """Each cell of a window feature is what the rules say, to the last bit."""
    world = drawn_world(seed, events=80, rows=12)
    for view in world.service.features:
        if not isinstance(view, FeatureView):
            continue
        features = [each for each in view.features if isinstance(each, Window | Ratio)]
        for feature, found in zip(features, answered(world, view, features) if features else [], strict=True):
            expected = [cell.value for cell in world.answer().cells[f"{view.name}__{feature.feature}"]]
            assert list(map(bits, found)) == list(map(bits, expected)), (seed, view.name, feature)
