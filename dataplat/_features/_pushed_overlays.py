"""What a pushed row is in the overlays of services: of every one that reads its dataset, and has a snapshot."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dataplat._features._pushed_names import datasets_of
from dataplat._features._registry import definitions
from dataplat._features._row_query import Shown
from dataplat.feature_store.online.plan import ServingPlan, bases_of
from dataplat.feature_store.online.pushed import rows as rows_of
from dataplat.feature_store.online.store import Pushed, Snapshot

if TYPE_CHECKING:
    from dataplat._features._store import FeatureStore
    from dataplat.feature_store.definitions import FeatureService
    from dataplat.feature_store.online.plan import Base


@dataclass(frozen=True, slots=True)
class Overlay:
    """A service that serves rows of a dataset.

    Attributes:
        plan: how it is served.
        bases: those of its bases that read the dataset.
        snapshot: the one that is live.
    """

    plan: ServingPlan
    bases: tuple[Base, ...]
    snapshot: Snapshot

    @property
    def space(self) -> str:
        """What online stores call it."""
        return self.plan.space

    def pushes(self, shown: Shown, ids: Sequence[str], without: Collection[str] = ()) -> list[Pushed]:
        """Return what of some rows goes into the overlay; of those that it asks for.

        Args:
            shown: rows of the dataset, stamped.
            ids: the key that each was pushed under.
            without: ids of rows that are left out.
        """
        found = []
        for base in self.bases:
            rows, places = shown.to(base.view)
            named: list[str] = [ids[int(place)] for place in places]
            found += [
                Pushed(row.key, _id(base, named[row.place]), row.e, row.k, row.data)
                for row in rows_of(self.plan, base.view, rows)
                if named[row.place] not in without
            ]
        return found

    def lacks(self, store: FeatureStore, ids: Sequence[str]) -> list[int]:
        """Return the places of rows that its overlay does not hold for each of its bases."""
        found: set[int] = set()
        for base in self.bases:
            kept = store.online.kept(self.space, [_id(base, id) for id in ids])
            found.update(place for place, row in enumerate(kept) if row is None)
        return sorted(found)


def overlays(store: FeatureStore, dataset: str) -> tuple[list[Overlay], set[str]]:
    """Return the services of which rows of a dataset are served from now on, and the columns that say when a row was known."""
    found: list[Overlay] = []
    known: set[str] = set()
    for each in definitions(store):
        service = each.read()
        views = [view for view in bases_of(service) if view.name in _reading(service, dataset)]
        known.update(view.view.known_at for view in views if view.view.known_at is not None)
        snapshot = store.online.snapshot(each.name) if views else None
        if snapshot is not None:
            plan = _plan(store, service, snapshot)
            names = {view.name for view in views}
            found.append(Overlay(plan, tuple(base for base in plan.bases if base.name in names), snapshot))
    return found, known


def _reading(service: FeatureService, dataset: str) -> set[str]:
    return {name for name, source in datasets_of(service).items() if source == dataset}


def _plan(store: FeatureStore, service: FeatureService, snapshot: Snapshot) -> ServingPlan:
    """Return how a service is served; made once for each of its types."""
    space = service.reference
    known = store.plans.get(space)
    if known is None or known.service is not service or known.types != snapshot.types:
        known = store.plans[space] = ServingPlan.of(service, snapshot.types)
    return known


def _id(base: Base, id: str) -> bytes:
    """Return the key of a row in an overlay: each base of a service has a row of its own."""
    return f"{base.name}:{id}".encode()
