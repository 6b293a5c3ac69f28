"""How old what is served is, view by view, beside what was declared."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from dataplat._features._sources import ViewSource
from dataplat._features._tried import first_line
from dataplat.errors import RefError
from dataplat.feature_store.closure import used_views

if TYPE_CHECKING:
    from dataplat._features._store import FeatureStore
    from dataplat.feature_store.definitions import FeatureService, FeatureView
    from dataplat.feature_store.online.store import Snapshot


@dataclass(frozen=True, slots=True)
class Freshness:
    """How fresh one view of a service is.

    Attributes:
        view: its name.
        snapshot: the id of the snapshot that is live; None: none is.
        age: how old that is, seconds.
        limit: how old it may be, seconds; None: nothing was declared.
        stale: whether it is older.
        behind: datasets that have newer versions than the snapshot was made of.
        pushed: rows that are served from the overlay until the next snapshot, of the whole service.
        gone: why its source is not there any more, in words; None: it is.
    """

    view: str
    snapshot: str | None
    age: float | None
    limit: float | None
    stale: bool
    behind: tuple[str, ...]
    pushed: int
    gone: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return asdict(self)


def stale_views(store: FeatureStore, service: FeatureService) -> tuple[Snapshot | None, dict[str, int]]:
    """Return what is live, and the views for which that is too old, each with how old it may be, microseconds."""
    live = store.online.snapshot(service.reference)
    if live is None:
        return None, {}
    age = time.time_ns() // 1000 - live.at
    limits = {view.name: view.view.freshness for view in used_views(service)}
    return live, {name: limit for name, limit in limits.items() if limit is not None and age > limit}


def freshness(store: FeatureStore, service: FeatureService) -> list[Freshness]:
    """Return how fresh each view of a service is."""
    space = service.reference
    live = store.online.snapshot(space)
    now = time.time()
    pushed = store.online.size(space).pushed
    found = []
    for view in used_views(service):
        limit = None if view.view.freshness is None else view.view.freshness / 1e6
        pins, gone = _pins(store, view)
        if live is None:
            found.append(Freshness(view.name, None, None, limit, limit is not None, (), pushed, gone))
            continue
        age = max(0.0, now - live.at / 1e6)
        behind = tuple(sorted(name for name, version in pins.items() if live.pins.get(name) != version))
        stale = limit is not None and age > limit
        found.append(Freshness(view.name, live.id, age, limit, stale, behind, pushed, gone))
    return found


def _pins(store: FeatureStore, view: FeatureView) -> tuple[dict[str, str], str | None]:
    """Return the versions that a view would read now; or none, and why: a dataset was dropped, a branch or tag is gone."""
    try:
        return ViewSource.of(store, view).pins, None
    except RefError as error:
        return {}, first_line(error)
