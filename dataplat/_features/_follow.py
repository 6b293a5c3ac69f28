"""Snapshots made anew as long as somebody wants it to: whenever a source changed, or something was pushed.

What may heal is waited for: a store that is away, a source that breaks its contract, others who are quicker. It is said, told
as an event, and tried again, later each time and not by all at once. What is live is served meanwhile.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from dataplat._features._freshness import stale_views
from dataplat.errors import (
    CommitConflict,
    ConfigError,
    DataplatError,
    FeatureNotFound,
    LakeFormatError,
    LakeNotFound,
    SnapshotConflict,
)

if TYPE_CHECKING:
    from dataplat._features._materialize import Materialized
    from dataplat._features._store import FeatureStore
    from dataplat.feature_store.definitions import FeatureService

HOPELESS: Final = (ConfigError, FeatureNotFound, LakeNotFound, LakeFormatError)
"""What stays as it is however often it is tried: settings, a definition that is retired or another one, a foreign format."""
LONGEST: Final = 300.0
"""Seconds that are waited at most after something failed, if it is not looked less often anyway."""


def follow(
    store: FeatureStore,
    service: FeatureService | str,
    tell: Callable[[Materialized], None] | None,
    failed: Callable[[Exception, float], None] | None,
    *,
    every: float,
    stop: threading.Event | None,
    contracts: Mapping[str, Any],
) -> None:
    """Materialise until `stop` is set; see `FeatureStore.follow`."""
    from dataplat._features._alerts import Alerts
    from dataplat._features._registry import resolve

    alerts = Alerts(store, service if isinstance(service, str) else service.reference)
    stop = stop or threading.Event()
    before, failures = None, 0
    while not stop.is_set():
        try:
            meant = resolve(store, service)
            alerts.space = meant.reference
            alerts.look(*stale_views(store, meant))  # before it is made anew: what was stale until now is told, too
            made = store.materialize(meant, contracts=contracts)
            alerts.look(*stale_views(store, meant))
        except HOPELESS:
            raise
        except (DataplatError, OSError) as error:
            failures += 1
            wait = _wait(every, failures)
            if not isinstance(error, SnapshotConflict | CommitConflict):  # of these others were just quicker
                alerts.failed(error)
            if failed is not None:
                failed(error, wait)
        else:
            failures, wait = 0, every
            alerts.worked()
            if tell is not None and made.snapshot != before:
                tell(made)
            before = made.snapshot
        stop.wait(wait)


def _wait(every: float, failures: int) -> float:
    """Return how long to wait after so many failures in a row: doubled each time, drawn, so that not all come at once."""
    longest = min(every * 2.0 ** min(failures - 1, 30), max(every, LONGEST))
    return longest * random.uniform(0.5, 1.0)  # noqa: S311 - who waits how long is no secret
