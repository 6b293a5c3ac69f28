"""Looks fifty features of five views up by Feast's SDK, from its SQLite store; run by the Python of `benchmarks/_feast.py`.

python feast_lookup.py FOLDER ENTITIES
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

os.environ["FEAST_USAGE"] = "False"  # it would tell its makers

import numpy as np
import pandas as pd
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig, ValueType
from feast.types import Float64

COLUMNS = [f"f{number}" for number in range(10)]


def made(folder: Path, entities: int) -> FeatureStore:
    """Return a store with a row of ten features in each of five views for each entity."""
    now = datetime.now(timezone.utc) - timedelta(hours=1)  # noqa: UP017 - Feast's Python may be older than ours
    rng = np.random.default_rng(9)
    frame = pd.DataFrame({"k": [f"entity {number}" for number in range(entities)], "t": now})
    for name in COLUMNS:
        frame[name] = rng.normal(size=entities)
    path = folder / "rows.parquet"
    frame.to_parquet(path)
    store = FeatureStore(
        config=RepoConfig(
            project="bench",
            provider="local",
            registry=str(folder / "registry.db"),
            online_store={"type": "sqlite", "path": str(folder / "online.db")},
            offline_store={"type": "duckdb"},
            entity_key_serialization_version=3,
        )
    )
    entity = Entity(name="k", value_type=ValueType.STRING)
    views = [
        FeatureView(
            name=f"v{number}",
            entities=[entity],
            ttl=timedelta(days=7),
            schema=[Field(name=name, dtype=Float64) for name in COLUMNS],
            source=FileSource(path=str(path), timestamp_field="t"),
        )
        for number in range(5)
    ]
    store.apply([entity, *views])
    for view in views:
        store.write_to_online_store(view.name, frame)
    return store


def timed(what: str, call: Callable[[], Any], rounds: int) -> dict[str, float]:
    """Return the best and the middle of some calls, in microseconds."""
    took = []
    for _ in range(rounds + 3):
        begin = time.perf_counter_ns()
        call()
        took.append(time.perf_counter_ns() - begin)
    took = sorted(took[3:])
    return {f"{what} min µs": took[0] / 1000, f"{what} p50 µs": took[len(took) // 2] / 1000}


def main() -> None:
    folder, entities = Path(sys.argv[1]), int(sys.argv[2])
    store = made(folder, entities)
    features = [f"v{view}:{name}" for view in range(5) for name in COLUMNS]

    def ask(rows: int) -> Any:
        wanted = [{"k": f"entity {number * 7 % entities}"} for number in range(rows)]
        return store.get_online_features(features=features, entity_rows=wanted, full_feature_names=True).to_dict()

    found = timed("1 entity", lambda: ask(1), 100) | timed("100 entities", lambda: ask(100), 20)
    print(json.dumps({name: round(figure, 2) for name, figure in found.items()}))


if __name__ == "__main__":
    main()
