"""Snapshots made anew as long as somebody wants it to: whenever a source changed, or something was pushed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from dataplat.errors import SnapshotConflict, StoreTimeout

if TYPE_CHECKING:
    from dataplat._features._materialize import Materialized
    from dataplat._features._store import FeatureStore
    from dataplat.feature_store.definitions import FeatureService


def follow(
    store: FeatureStore,
    service: FeatureService | str,
    tell: Callable[[Materialized], None] | None,
    every: float,
    stop: threading.Event | None,
) -> None:
    """Materialise until `stop` is set; see `FeatureStore.follow`."""
    stop = stop or threading.Event()
    before = None
    while not stop.is_set():
        try:
            made = store.materialize(service)
        except (SnapshotConflict, StoreTimeout):
            pass  # somebody else was quicker, or the store is away: what is live is served until the next look
        else:
            if tell is not None and made.snapshot != before:
                tell(made)
            before = made.snapshot
        stop.wait(every)
