"""What a view's features were over time, without a spine: their values whenever something of a key became known."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from dataplat._features._sources import ViewSource
from dataplat.errors import ConfigError
from dataplat.feature_store.kernel.answer import answer, durations, words
from dataplat.feature_store.kernel.ask import Ask

if TYPE_CHECKING:
    import pyarrow as pa

    from dataplat._features._store import FeatureStore
    from dataplat.feature_store.definitions import FeatureView


def history(
    store: FeatureStore, view: FeatureView, start: datetime, end: datetime, *, statuses: bool = False
) -> pa.Table:
    """Return a row for each key and time from `start` to before `end` at which a row of it could first be served."""
    import pyarrow as pa

    low, high = (micros_of(each, name) for each, name in ((start, "start"), (end, "end")))
    facts = ViewSource.of(store, view).whole
    t = np.maximum(facts.e, facts.k)
    inside = (t >= low) & (t < high)
    if facts.keyless is not None:
        inside &= ~facts.keyless
    rows = np.flatnonzero(inside)
    order = np.lexsort((t[rows], facts.low[rows], facts.high[rows]))
    rows = rows[order]
    fresh = np.ones(len(rows), bool)  # several rows of one key may become known at one time
    for word in (facts.high, facts.low, t):
        same = word[rows[1:]] == word[rows[:-1]]
        fresh[1:] = same if word is facts.high else fresh[1:] & same
    fresh[1:] = ~fresh[1:]
    rows = rows[fresh]
    told = answer(view, facts, Ask(facts.high[rows], facts.low[rows], None, t[rows]))
    columns: dict[str, Any] = {}
    names = dict(zip((entity.name for entity in view.view.entities), view.spine_keys, strict=True))
    for entity in view.view.entities:
        columns[names[entity.name]] = facts.keys.column(entity.name).take(pa.array(rows))
    columns["t"] = pa.array(t[rows]).cast(pa.timestamp("us", "UTC"))
    for name in (each.feature for each in view.features):
        columns[f"{view.name}__{name}"] = told.columns[name]
        if statuses:
            columns[f"{view.name}__{name}__status"] = words(told.statuses[name])
            columns[f"{view.name}__{name}__age"] = durations(told.ages[name])
    return pa.table(columns)


def micros_of(given: datetime, what: str) -> int:
    if given.tzinfo is None:
        raise ConfigError(f"{what}={given} has no time zone, and could be any time")
    return (given - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
