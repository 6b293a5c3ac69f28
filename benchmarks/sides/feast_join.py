"""Feast's own training set of the data of features_join_sides.py; runs in Feast's environment; the last line is JSON.

python feast_join.py FOLDER SPINE_ROWS duckdb|dask SCRATCH
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from datetime import timedelta
from pathlib import Path

MOST = 12 << 30


def main(folder: Path, rows: int, engine: str, scratch: Path) -> None:
    """Register three views, then ask for their features."""
    resource.setrlimit(resource.RLIMIT_AS, (MOST, MOST))
    os.environ |= {"FEAST_USAGE": "False", "TMPDIR": str(scratch)}
    import pandas as pd
    from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig
    from feast.types import Float64
    from feast.value_type import ValueType

    store = FeatureStore(
        config=RepoConfig(
            project="bench",
            provider="local",
            registry=str(scratch / "registry.db"),
            offline_store={"type": engine},
            online_store=None,
            entity_key_serialization_version=3,
        )
    )
    key = Entity(name="key", join_keys=["key"], value_type=ValueType.INT64)
    views = []
    for name in ("a", "b", "c"):
        pattern = f"{folder}/{name}/*.parquet" if engine == "duckdb" else f"{folder}/{name}"
        source = FileSource(name=f"{name}_files", path=pattern, timestamp_field="at")
        fields = [Field(name=f"{name}{each}", dtype=Float64) for each in (1, 2)]
        views.append(FeatureView(name=name, entities=[key], ttl=timedelta(days=7), schema=fields, source=source))
    store.apply([key, *views])
    spine = pd.read_parquet(folder / "spine.parquet").head(rows).rename(columns={"t": "event_timestamp"})
    wanted = [f"{name}:{name}{each}" for name in ("a", "b", "c") for each in (1, 2)]
    begin = time.perf_counter()
    found = store.get_historical_features(entity_df=spine, features=wanted).to_df()
    seconds = time.perf_counter() - begin
    values = found[[each.partition(":")[2] for each in wanted]]
    figures = {"seconds": seconds, "rows": len(found), "answered": int(values.notna().sum().sum())}
    print(json.dumps(figures | {"sum": float(values.sum().sum())}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3], Path(sys.argv[4]))
