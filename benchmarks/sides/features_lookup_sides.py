"""Looks features up in one process, in a way that is named; the last line is JSON: microseconds, at best and in the middle.

python features_lookup_sides.py shared|five|lmdb|hops|on_demand|select|load FOLDER [ENTITIES]
"""

from __future__ import annotations

import json
import random
import struct
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

import dataplat as dp
from dataplat.feature_store.kernel.order import facts
from dataplat.feature_store.online.lmdb_store import LmdbStore
from dataplat.feature_store.online.plan import ServingPlan, types_of
from dataplat.feature_store.online.record import pack
from dataplat.feature_store.online.serve import Serving
from dataplat.feature_store.online.store import Snapshot

AT = 1_790_000_000_000_000
COLUMNS = [f"f{number}" for number in range(10)]
ROUNDS = 4000


def timed(what: str, call: Callable[[int], Any], rounds: int = ROUNDS) -> dict[str, float]:
    """Return the best and the middle of many calls, in microseconds; each is told its number, so that keys differ."""
    for number in range(50):
        call(number)
    took = []
    for number in range(rounds):
        begin = time.perf_counter_ns()
        call(number)
        took.append(time.perf_counter_ns() - begin)
    took.sort()
    return {f"{what} min µs": took[0] / 1000, f"{what} p50 µs": took[len(took) // 2] / 1000}


def names(entities: int) -> list[str]:
    """Return keys."""
    return [f"entity {number}" for number in range(entities)]


def source(entities: int) -> pa.Table:
    """Return a row of ten floats for each entity."""
    rng = np.random.default_rng(9)
    times = pa.array(np.full(entities, AT - 3_600_000_000)).cast(pa.timestamp("us", "UTC"))
    return pa.table({"k": names(entities), "t": times, **{name: rng.normal(size=entities) for name in COLUMNS}})


def views(*, shared: bool) -> list[dp.FeatureView]:
    """Return five views of ten features, of one entity or of five."""
    return [
        dp.FeatureView(
            f"v{number}",
            source="s",
            entity=dp.Entity("k" if shared else f"k{number}"),
            keys={"k": "k" if shared else f"k{number}"},
            timestamp="t",
            ttl="7d",
            features=list(COLUMNS),
        )
        for number in range(5)
    ]


def served(store: LmdbStore, service: dp.FeatureService, table: pa.Table) -> Serving:
    """Put a service into the store, and return what answers."""
    plan = ServingPlan.of(service, types_of({view.name: table.schema for view in service.views}))
    store.load(plan.space, Snapshot("one", AT, {}, plan.closure, types=plan.types), records(plan, table))
    return Serving(plan)


def records(plan: ServingPlan, table: pa.Table) -> Iterator[tuple[bytes, bytes]]:
    """Yield the records of a service."""
    for group in plan.groups:
        yield from pack(plan, group, {base.name: facts(base.view, table) for base in group.bases}, AT)


class Asking:
    """Asks a service for some entities, other ones each time."""

    def __init__(self, store: LmdbStore, serving: Serving, entities: int, request: Mapping[str, float] = {}) -> None:
        self.serving, self.request = serving, request
        self.space = serving.plan.space
        rng = random.Random(4)
        self.keys = [rng.sample(names(entities), 100) for _ in range(64)]
        self.read = lambda keys: store.read(self.space, keys)

    def __call__(self, number: int, rows: int) -> Any:
        """Return what is answered."""
        keys: Sequence[str] = self.keys[number % 64]
        keys = [keys[number % 100]] if rows == 1 else keys[:rows]
        entities = dict.fromkeys(self.serving.plan.entities, keys)
        request = {name: [value] * rows for name, value in self.request.items()}
        return self.serving.answer(entities, request, AT + number, self.read).columns


def lookups(store: LmdbStore, entities: int, *, shared: bool) -> dict[str, float]:
    """Look up fifty features of five views."""
    service = dp.FeatureService("bench", views(shared=shared))
    ask = Asking(store, served(store, service, source(entities)), entities)
    found = timed("1 entity", lambda number: ask(number, 1))
    found |= timed("1 entity, as a dict", lambda number: dict(ask(number, 1)))
    return found | timed("100 entities", lambda number: ask(number, 100), 500)


def raw(folder: Path, entities: int) -> dict[str, float]:
    """Get and unpack fifty floats by LMDB itself."""
    import lmdb

    with lmdb.open(str(folder / "raw"), map_size=1 << 32) as environment:
        layout = struct.Struct("<50d")
        with environment.begin(write=True) as write:
            for key in names(entities):
                write.put(key.encode(), layout.pack(*np.random.default_rng(1).normal(size=50)))
        keys = [key.encode() for key in names(entities)]

        def get(number: int, rows: int) -> list[tuple[float, ...]]:
            with environment.begin(buffers=True) as read:
                return [layout.unpack(read.get(keys[(number * 37 + each) % entities])) for each in range(rows)]

        return timed("1 entity", lambda number: get(number, 1)) | timed(
            "100 entities", lambda number: get(number, 100), 500
        )


def hops(store: LmdbStore) -> dict[str, float]:
    """Look up windows of seven days, of tiles of an hour, of a thousand events: what each adds to a column."""
    rng = np.random.default_rng(3)
    rows = 200_000
    table = pa.table(
        {
            "k": np.array(names(200))[rng.integers(0, 200, rows)],
            "t": pa.array(AT - rng.integers(0, 7 * 86_400_000_000, rows)).cast(pa.timestamp("us", "UTC")),
            "x": np.round(rng.lognormal(3, 1, rows), 2),
            "s": [f"d{number}" for number in rng.integers(0, 60, rows)],
        }
    )
    told: dict[str, Any] = {"window": "7d", "accuracy": "hop(1h)"}
    made = {
        "count": [dp.Count(**told)],
        "sum": [dp.Sum("x", **told)],
        "mean": [dp.Mean("x", **told)],
        "std": [dp.Std("x", **told)],
        "min": [dp.Min("x", **told)],
        "distinct": [dp.DistinctCount("s", **told)],
        "quantile": [dp.Quantile("x", 0.9, **told)],
        "ten": [dp.Sum("x", window=f"{days}d", accuracy="hop(1h)") for days in range(1, 8)]
        + [dp.Mean("x", window=f"{days}d", accuracy="hop(1h)") for days in range(1, 4)],
    }
    found: dict[str, float] = {}
    for name, features in {"none": [], **made}.items():
        view = dp.FeatureView(
            "v", source="s", entity=dp.Entity("k"), timestamp="t", ttl=None, features=["x", *features]
        )
        ask = Asking(store, served(store, dp.FeatureService(f"hop_{name}", [view]), table), 200)
        took = timed(name, lambda number, ask=ask: ask(number, 1), 2000)
        if name == "none":
            plain = took["none p50 µs"]
        else:
            found[f"{name} adds µs"] = (took[f"{name} p50 µs"] - plain) / len(features)
    return found


def on_demand(store: LmdbStore, entities: int) -> dict[str, float]:
    """Look up one and five on-demand features with what they read."""
    found: dict[str, float] = {}
    table = source(entities)
    for count in (0, 1, 5):
        view = views(shared=True)[0]
        made = [
            dp.on_demand(inputs=[view, dp.Request({"distance": "float64"})], name=f"d{number}")(
                lambda t, number=number: t["v0"][f"f{number}"] / t.distance
            )
            for number in range(count)
        ]
        service = dp.FeatureService(f"computed_{count}", [view, *made])
        request = {"distance": 2475.0} if count else {}
        ask = Asking(store, served(store, service, table), entities, request)
        found |= timed(f"{count} on 1 row", lambda number, ask=ask: ask(number, 1), 1500)
        found |= timed(f"{count} on 100 rows", lambda number, ask=ask: ask(number, 100), 300)
    return found


def select() -> dict[str, float]:
    """Select one and five expressions by Polars itself."""
    import polars as pl

    frame = pl.DataFrame({"x": [1.5], "distance": [2475.0]})
    many = [(pl.col("x") / pl.col("distance")).alias(f"d{number}") for number in range(5)]
    return timed("1 on 1 row", lambda _: frame.select(many[:1]), 1500) | timed(
        "5 on 1 row", lambda _: frame.select(many), 1500
    )


def load(store: LmdbStore, entities: int) -> dict[str, float]:
    """Pack and load twenty features of each entity, the rows being there in order."""
    table = source(entities)
    service = dp.FeatureService("load", views(shared=True)[:2])
    plan = ServingPlan.of(service, types_of({view.name: table.schema for view in service.views}))
    own = {base.name: facts(base.view, table) for base in plan.bases}
    begin = time.perf_counter()
    packed = sum(1 for _ in pack(plan, plan.groups[0], own, AT))
    middle = time.perf_counter()
    snapshot = Snapshot("one", AT, {}, plan.closure, types=plan.types)
    store.load(plan.space, snapshot, pack(plan, plan.groups[0], own, AT))
    cells = packed * 20 / 1e6
    return {"packed M cells/s": cells / (middle - begin), "loaded M cells/s": cells / (time.perf_counter() - middle)}


def main() -> None:
    case, folder = sys.argv[1], Path(sys.argv[2])
    entities = int(sys.argv[3]) if len(sys.argv) > 3 else 20_000
    store = LmdbStore(folder / "online")
    cases: dict[str, Callable[[], dict[str, float]]] = {
        "shared": lambda: lookups(store, entities, shared=True),
        "five": lambda: lookups(store, entities, shared=False),
        "lmdb": lambda: raw(folder, entities),
        "hops": lambda: hops(store),
        "on_demand": lambda: on_demand(store, entities),
        "select": select,
        "load": lambda: load(store, entities),
    }
    print(json.dumps({name: round(figure, 2) for name, figure in cases[case]().items()}))
    store.close()


if __name__ == "__main__":
    main()
