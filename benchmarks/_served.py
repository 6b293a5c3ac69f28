"""A service whose values tell which snapshot and which key they are of, and its records, as materialisation makes them.

    fill(store, Shape(), number, at)       # snapshot `number`: every value of key k is made of (k, number)
    expected(shape, "k7", number)          # what of key k7 is served of it

As a program it serves it from an LMDB folder, or the Redis of a URL, with settings as flags, and is a worker of itself:

    python -m benchmarks._served '{"folder": …, "shape": {"keys": 100}, "flags": {"port": 0}}'
    python -m benchmarks._served '{"online": "redis://127.0.0.1:6379", …}'
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from dataplat.config import load
from dataplat.errors import FeatureNotFound
from dataplat.feature_store.definitions import Entity, FeatureService, FeatureView, Field
from dataplat.feature_store.kernel import order
from dataplat.feature_store.online.connect import online_store
from dataplat.feature_store.online.lmdb_store import LmdbStore
from dataplat.feature_store.online.plan import ServingPlan, types_of
from dataplat.feature_store.online.record import pack
from dataplat.feature_store.online.store import OnlineStore, Snapshot
from dataplat.server._counts import Counts
from dataplat.server._opening import LakeCatalogue
from dataplat.server._services import Services
from dataplat.server._settings import Settings, settings_of
from dataplat.server._supervisor import Supervisor
from dataplat.server._worker import main

AIRPORT = Entity("airport")
SPACE = "bench@1"


@dataclass(frozen=True, slots=True)
class Shape:
    """How many keys, views of one entity, and features a view; of which most are floats, as they are usual.

    Of every key that `odd` divides some values are null, and some NaN; 0: of none.
    """

    keys: int = 10_000
    views: int = 5
    features: int = 10
    odd: int = 20

    def kinds(self, feature: int) -> str:
        """Return the type of a feature of a view."""
        return ("float", "float", "float", "int", "string")[feature % 5]

    def service(self) -> FeatureService:
        """Return the service."""
        return FeatureService("bench", [self.view(at) for at in range(self.views)])

    def view(self, at: int) -> FeatureView:
        """Return one of its views."""
        features = [
            Field(f"f{number}", default=7.5) if number == 0 else f"f{number}" for number in range(self.features)
        ]
        return FeatureView(
            f"view_{at}",
            source=f"source_{at}",
            entity=AIRPORT,
            timestamp="t",
            ttl="36500d",
            features=features,
            freshness="1h",
        )


def value(shape: Shape, key: int, view: int, feature: int, number: int) -> Any:
    """Return the value of a cell in a snapshot."""
    told = key * 31 + view * 7 + feature + number * 1_000_003
    kind = shape.kinds(feature)
    if kind == "string":
        return f"s{told}"
    if kind == "int":
        return told
    odd = shape.odd and key % shape.odd == 0
    if odd and feature == 0 and told % 3 == 0:
        return None
    return float("nan") if odd and told % 5 == 0 else told / 8


def rows(shape: Shape, view: int, number: int) -> pa.Table:
    """Return the rows of a view's source."""
    columns: dict[str, Any] = {
        "airport": [f"k{key}" for key in range(shape.keys)],
        "t": pa.array(np.full(shape.keys, 1_700_000_000_000_000), pa.timestamp("us", "UTC")),
    }
    for feature in range(shape.features):
        kind = {"string": pa.string(), "int": pa.int64(), "float": pa.float64()}[shape.kinds(feature)]
        columns[f"f{feature}"] = pa.array([value(shape, key, view, feature, number) for key in range(shape.keys)], kind)
    return pa.table(columns)


def fill(store: OnlineStore, shape: Shape, number: int, at: int | None = None) -> Snapshot:
    """Make a snapshot live, and return it."""
    service = shape.service()
    tables = {f"view_{view}": rows(shape, view, number) for view in range(shape.views)}
    plan = ServingPlan.of(service, types_of({name: table.schema for name, table in tables.items()}))
    facts = {base.name: order.facts(base.view, tables[base.name]) for base in plan.bases}
    at = time.time_ns() // 1000 if at is None else at
    live = store.snapshot(SPACE)
    parent = live.id if live is not None else None
    snapshot = Snapshot(f"n{number}", at, {"source": f"v{number}"}, plan.closure, parent, at, types=plan.types)
    store.load(SPACE, snapshot, (item for group in plan.groups for item in pack(plan, group, facts, at)))
    return snapshot


def expected(shape: Shape, key: int, number: int) -> dict[str, Any]:
    """Return what JSON says of a key in a snapshot."""
    found = {}
    for view in range(shape.views):
        for feature in range(shape.features):
            cell = value(shape, key, view, feature, number)
            if cell is None:
                cell = 7.5
            found[f"view_{view}__f{feature}"] = "NaN" if cell != cell else cell  # noqa: PLR0124
    return found


class _Lake:
    """A feature store of nothing but an online store."""

    def __init__(self, online: OnlineStore) -> None:
        self.online = online


class OneService(LakeCatalogue):
    """The catalogue of that one service."""

    def __init__(self, online: OnlineStore, shape: Shape, counts: Counts, most: int) -> None:
        super().__init__(_Lake(online), counts, most)  # type: ignore[arg-type]
        self._shape = shape

    def spaces(self):
        return [SPACE]

    def open(self, space: str):
        return self.of(self._shape.service(), space)

    def watch(self, state):
        """Tell nobody."""

    def columns(self, view: str):
        raise FeatureNotFound(f"nothing is pushed here, to {view} neither")


def opened(told: Mapping[str, Any], counts: Counts) -> tuple[Services, Settings, None]:
    """Open the store for a worker."""
    settings = settings_of(load(), told["flags"])
    far = "online" in told
    store = online_store(told["online"], told["folder"]) if far else LmdbStore(told["folder"])
    catalogue = OneService(store, Shape(**told["shape"]), counts, settings.max_entities)
    services = Services(catalogue, settings.services, far=far)
    services.refresh()
    return services, settings, None


def serve(told: Mapping[str, Any]) -> int:
    """Serve until told to end; the first line that is printed is the URL."""
    supervisor = Supervisor(
        settings_of(load(), told["flags"]),
        told,
        on_ready=lambda url: print(url, flush=True),
        worker="benchmarks._served",
        stalled=told.get("stalled", 30.0),
    )
    supervisor.run()
    return 0


if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    sys.exit(main(given, opened) if "socket" in given else serve(given))
