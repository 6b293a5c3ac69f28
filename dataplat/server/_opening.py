"""What a worker begins with: the services of a lake, its settings, and the log of what is served."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dataplat.config import load
from dataplat.errors import LakeNotFound
from dataplat.server._answers import Writer
from dataplat.server._asked import Reader
from dataplat.server._counts import Counts
from dataplat.server._services import Service, Services, State
from dataplat.server._settings import Settings, settings_of

if TYPE_CHECKING:
    import pyarrow as pa

    from dataplat._features._alerts import Alerts
    from dataplat._features._served import ServedLog
    from dataplat._features._store import FeatureStore
    from dataplat.feature_store.definitions import FeatureService
    from dataplat.feature_store.online.store import Snapshot
    from dataplat.server._flush import Flusher


class LakeCatalogue:
    """The services that are applied in a lake.

    Args:
        store: its feature store.
        counts: where lookups are counted.
        most: entities of one lookup.
    """

    def __init__(self, store: FeatureStore, counts: Counts, most: int) -> None:
        self._store, self._counts, self._most = store, counts, most
        self._alerts: dict[str, Alerts] = {}
        self._flusher: Flusher | None = None

    def spaces(self) -> list[str]:
        """Return all that are applied, as `service@version`."""
        from dataplat._features import _registry

        return [each.name for each in _registry.definitions(self._store)]

    def open(self, space: str) -> Service:
        """Return one of them, ready to answer; raise `NotMaterialized` where it has no snapshot yet."""
        from dataplat._features import _registry

        return self.of(_registry.resolve(self._store, space), space)

    def of(self, meant: FeatureService, space: str) -> Service:
        """Return a service of a definition."""
        from dataplat._features._lookup import not_materialized, serving_of
        from dataplat.feature_store.closure import used_views
        from dataplat.feature_store.keys import dtype
        from dataplat.lake.schema import parse_type

        snapshot = self._store.online.snapshot(space)
        if snapshot is None:
            raise not_materialized(space)
        serving = serving_of(meant, snapshot)
        plan = serving.plan
        entities, request = dict(plan.entities), dict(plan.transforms.request)
        keys = {name: dtype(entity) for name, entity in entities.items()}
        rest = {name: parse_type(kind) for name, kind in request.items()}
        computed = frozenset(each.name for each in plan.transforms.expressions)
        fresh = tuple((view.name, view.view.freshness) for view in used_views(meant) if view.view.freshness is not None)
        return Service(
            space,
            plan.closure,
            entities,
            request,
            fresh,
            serving,
            self._store.online,
            Reader(space, keys, rest, self._most),
            Writer(space, serving.kinds, computed),
            self._counts.place_of(space),
            min((most for _, most in fresh), default=float("inf")),
        )

    def snapshot(self, space: str) -> Snapshot | None:
        """Return what is live of it."""
        return self._store.online.snapshot(space)

    def watch(self, state: State) -> None:
        """Tell which views of a service got too old, or are not any more; it is served all the same."""
        from dataplat._features._alerts import Alerts

        if state.service is not None:
            limits = {view: most for view, most in state.service.freshness if view in state.stale}
            self._alerts.setdefault(state.space, Alerts(self._store, state.space)).look(state.snapshot, limits)

    def columns(self, view: str) -> Mapping[str, pa.DataType]:
        """Return the columns that rows pushed to a view may have: those of its dataset, but the time they are known at."""
        from dataplat._features._push import pushed_to
        from dataplat._features._registry import resolve_view

        meant = resolve_view(self._store, view)
        schema = self._store.lake[f"{pushed_to(meant)}@{self._store.branch}"].schema
        return {field.name: field.type for field in schema if field.name != meant.view.known_at}

    def push(self, view: str, rows: Any, idempotency: str | list[str] | None) -> dict[str, Any]:
        """Push rows of a view."""
        done = self._store.push(view, rows, idempotency=idempotency)
        if self._flusher is not None:
            self._flusher.note(done.rows)
        return done.to_dict()

    def flush(self, every: float, rows: int) -> None:
        """Land what is pushed from now on, every few seconds, or rows."""
        from dataplat.server._flush import Flusher

        self._flusher = Flusher(self._store, self._counts, every, rows)

    def close(self) -> None:
        """Land what was pushed, and let go of the online store."""
        if self._flusher is not None:
            self._flusher.close()
        self._store.online.close()


def opened(told: Mapping[str, Any], counts: Counts) -> tuple[Services, Settings, ServedLog | None]:
    """Return what is served, how, and the log of it.

    Args:
        told: the lake, the branch, flags.
        counts: where lookups are counted.

    Raises:
        DataplatError: A setting is wrong, or there is no lake.
    """
    import dataplat
    from dataplat.lake.arrow_alone import keep_pandas_out

    keep_pandas_out()
    settings = settings_of(load(), told["flags"])
    if told["lake"].startswith("memory:"):
        raise LakeNotFound("a lake in memory is one process's own, and workers are processes: serve one in a folder")
    lake = dataplat.open(told["lake"], create=False)
    store = lake.features if told["branch"] == "main" else type(lake.features)(lake, told["branch"])
    catalogue = LakeCatalogue(store, counts, settings.max_entities)
    services = Services(catalogue, settings.services, far=type(store.online).__name__ == "RedisStore")
    services.refresh()
    if settings.flush > 0:
        catalogue.flush(settings.flush, settings.flush_rows)
    if settings.log_rows <= 0 or settings.log_sample <= 0:
        return services, settings, None
    from dataplat._features._served import ServedLog

    return services, settings, ServedLog.of(store, sample=settings.log_sample, most=settings.log_rows)
