"""Served requests answered again by the kernel: from the versions that the snapshot was of, and the rows pushed since.

Nothing of an online store is looked at: what the log says is held against the lake alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from dataplat._features._pushed_names import grown_by
from dataplat._features._row_query import Shown
from dataplat._features._sources import ViewSource
from dataplat.feature_store.closure import used_views
from dataplat.feature_store.kernel.answer import answers
from dataplat.feature_store.kernel.ask import Ask
from dataplat.feature_store.kernel.order import facts, merged
from dataplat.feature_store.keys import dtype
from dataplat.feature_store.online.plan import ServingPlan, bases_of, types_of
from dataplat.feature_store.served_rows import plan_type, spelled, typed
from dataplat.lake.schema import type_to_json

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from dataplat._features._store import FeatureStore
    from dataplat.feature_store.definitions import FeatureService, FeatureView
    from dataplat.feature_store.kernel.answer import AsKnown
    from dataplat.feature_store.kernel.facts import Facts

    Ints: TypeAlias = NDArray[np.int64]

Changed: TypeAlias = "Callable[[FeatureView], FeatureView]"


@dataclass(frozen=True, slots=True)
class Said:
    """What rows of a request were answered with: values as the log has them, words of statuses, types.

    Attributes:
        values: by column, a value for each row.
        statuses: by column, a word for each row.
        types: by column, as JSON spells them.
    """

    values: Mapping[str, Sequence[Any]]
    statuses: Mapping[str, Sequence[str]]
    types: Mapping[str, Any]


@dataclass
class Replay:
    """Answers requests of a service again.

    Attributes:
        store: the feature store.
        service: the service.
        pushed: gives the rows of each dataset that were pushed up to a sequence and are not in the pinned version.
    """

    store: FeatureStore
    service: FeatureService
    pushed: Callable[..., Mapping[str, pa.Table]]
    _now: dict[str, ViewSource] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.views = used_views(self.service)
        for view in self.views:
            self._now[view.name] = ViewSource.of(self.store, view)
        schemas = {view.name: self._now[view.name].schema for view in bases_of(self.service)}
        self.plan = ServingPlan.of(self.service, types_of(schemas))

    @property
    def pins(self) -> dict[str, str]:
        """The newest versions of the sources."""
        return {name: version for source in self._now.values() for name, version in source.pins.items()}

    def current(self, pins: Mapping[str, str], pushed: Mapping[str, pa.Table]) -> bool:
        """Tell whether versions, with what had been pushed, are all that there is."""
        now = self.pins
        if any(pins.get(name) != version for name, version in now.items()):
            return False
        return _rows(self.pushed(now, (1 << 63) - 1)) == _rows(pushed)

    def spine(self, rows: pa.Table) -> pa.Table:
        """Return the keys and request columns of rows of the log."""
        import pyarrow as pa

        kinds = {name: dtype(entity) for name, entity in self.plan.entities.items()}
        asked = {name: plan_type(kind) for name, kind in self.plan.transforms.request.items()}
        columns: dict[str, pa.Array] = {}
        for column, wanted in (("request", asked), ("entities", kinds)):
            told = [msgspec.json.decode(each) for each in rows.column(column).to_pylist()]
            columns |= {name: typed([each.get(name) for each in told], kind) for name, kind in wanted.items()}
        return pa.table(columns) if columns else pa.table({"": pa.nulls(rows.num_rows)})

    def facts(
        self, spine: pa.Table, t: Ints, pins: Mapping[str, str] | None, pushed: Mapping[str, pa.Table] | None = None
    ) -> dict[str, Facts]:
        """Return the facts of the keys of a spine, by view: of pinned versions (None: of the newest), and pushed rows."""
        found = {}
        for view in self.views:
            source = self._now[view.name] if pins is None else self._now[view.name].at(pins)
            ask = Ask.of(view, spine, t)
            mine = source.of_keys(ask.high, ask.low)
            rows = (pushed or {}).get(grown_by(view) or "")
            if rows is not None and rows.num_rows:
                mine = merged(view, [mine, facts(view, Shown(rows).to(view)[0])])
            found[view.name] = mine
        return found

    def say(
        self,
        spine: pa.Table,
        t: Ints,
        of: Mapping[str, Facts],
        *,
        change: Changed | None = None,
        as_known: AsKnown = None,
    ) -> Said:
        """Return what the kernel answers."""
        service = self.service if change is None else changed(self.service, change)
        table = answers(service, of, spine, t, as_known=as_known, ages=False)
        columns = self.plan.columns
        return Said(
            {name: spelled(table.column(name)) for name in columns},
            {name: table.column(f"{name}__status").cast("string").to_pylist() for name in columns},
            {name: type_to_json(table.column(name).type) for name in columns},
        )


def _rows(tables: Mapping[str, pa.Table]) -> int:
    return sum(table.num_rows for table in tables.values())


def changed(service: FeatureService, change: Changed) -> FeatureService:
    """Return a service with its views changed, those behind on-demand features too."""
    from dataclasses import replace

    from dataplat.feature_store.definitions import FeatureService, FeatureView, OnDemand

    def one(each: Any) -> Any:
        if isinstance(each, FeatureView):
            return change(each)
        if isinstance(each, OnDemand):
            return replace(each, inputs=tuple(one(part) for part in each.inputs))
        return each

    return FeatureService(service.name, [one(each) for each in service.features], service.version)


def with_ttl(ttl: int | None) -> Changed:
    """Return what gives a view another ttl."""
    from dataclasses import replace

    from dataplat.feature_store.definitions import FeatureView

    def change(view: FeatureView) -> FeatureView:
        return FeatureView.made_of(view.name, replace(view.view, ttl=ttl), view.renamed)

    return change
