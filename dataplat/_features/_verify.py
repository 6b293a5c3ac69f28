"""Proof on a service's own definitions that training and serving agree, on drawn rows in the shape of its sources."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataplat._features._sources import ViewSource
from dataplat.feature_store.closure import used_views
from dataplat.feature_store.verify import Verified
from dataplat.feature_store.verify import verify as verify_service

if TYPE_CHECKING:
    from dataplat._features._store import FeatureStore
    from dataplat.feature_store.definitions import FeatureService


def verify(store: FeatureStore, service: FeatureService, *, worlds: int, seed: int) -> Verified:
    """Compare all ways to answer; see `dataplat.feature_store.verify`."""
    schemas = {view.name: ViewSource.of(store, view).schema for view in used_views(service)}
    return verify_service(service, schemas, worlds=worlds, seed=seed)
