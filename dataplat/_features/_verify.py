"""Proof on a service's own definitions that training and serving agree, on drawn rows in the shape of its sources."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataplat._features._sources import ViewSource
from dataplat._features._tried import missing
from dataplat.errors import SchemaError
from dataplat.feature_store.closure import used_views
from dataplat.feature_store.online.plan import bases_of, identity
from dataplat.feature_store.verify import Verified
from dataplat.feature_store.verify import verify as verify_service

if TYPE_CHECKING:
    from dataplat._features._store import FeatureStore
    from dataplat.feature_store.definitions import FeatureService
    from dataplat.ingest._progress import Meter


def verify(store: FeatureStore, service: FeatureService, meter: Meter, *, worlds: int, seed: int) -> Verified:
    """Compare all ways to answer; see `dataplat.feature_store.verify`.

    Raises:
        SchemaError: A source lost columns that a view reads; all are named.
    """
    bases = bases_of(service)
    schemas = {identity(base): ViewSource.of(store, base).schema for base in bases}
    lost = [each for base in bases for each in missing(base, schemas[identity(base)])]
    if lost:
        raise SchemaError(f"{'; '.join(lost)}: nothing can be proven of what is not there")
    by_view = {view.name: schemas[identity(view)] for view in used_views(service)}

    def done(count: int, questions: int) -> None:
        meter.stage = f"{count} of {worlds} worlds:"
        meter.add_rows(questions)

    return verify_service(service, by_view, worlds=worlds, seed=seed, done=done)
