"""One side of the benchmark of snapshots: SIDE FOLDER ENTITIES [URL]; prints what the operation itself took.

`full` makes a snapshot of so many entities × 20 features from a lake, then one after 1 % of them changed; `redis` the same
into the Redis at URL. `lmdb` appends records of the same size to a raw LMDB. `feast` materialises the same rows into Feast's
SQLite store; it is run by the Python of Feast's own environment.
"""

import datetime as dt
import json
import os
import sys
import time
from pathlib import Path

FEATURES = 20


def rows(keys, hour, seed):
    import numpy as np
    import pyarrow as pa

    rng = np.random.default_rng(seed)
    at = pa.array(np.full(len(keys), hour * 3_600_000_000)).cast(pa.timestamp("us", "UTC"))
    return pa.table({"id": keys, "at": at} | {f"f{number}": rng.normal(size=len(keys)) for number in range(FEATURES)})


def made(folder, entities, url):
    import numpy as np

    import dataplat as dp
    from dataplat.config import Config
    from dataplat.feature_store.online.connect import online_store

    lake = dp.open(Path(folder) / "lake")
    for start in range(0, entities, 250_000):
        lake.ingest(rows(np.arange(start, min(start + 250_000, entities)), 1, start), into="events")
    view = dp.FeatureView(
        "events",
        source="events",
        entity=dp.Entity("id", "int64"),
        timestamp="at",
        ttl=None,
        features=[f"f{number}" for number in range(FEATURES)],
    )
    store = lake.features
    if url is not None:
        store.__dict__["online"] = online_store(url, lake.id, Config())
    store.apply(dp.FeatureService("wide", [view]))
    return lake, store


def timed(what):
    begun, cpu = time.perf_counter(), time.process_time()
    result = what()
    return result, time.perf_counter() - begun, time.process_time() - cpu


def snapshots(folder, entities, url=None):
    import numpy as np

    lake, store = made(folder, entities, url)
    first, seconds, cpu = timed(lambda: store.materialize("wide"))
    changed = np.arange(0, entities, 100)
    lake.ingest(rows(changed, 2, 7), into="events")
    second, again, cpu_again = timed(lambda: store.materialize("wide"))
    assert (first.written, second.written) == (entities, len(changed))
    assert type(store.online).__name__ == ("LmdbStore" if url is None else "RedisStore")
    found = store.lookup("wide", {"id": [int(changed[-1]), 1]}).to_dict()
    before = rows(np.arange(min(entities, 250_000)), 1, 0)["f0"][1].as_py()
    assert found["events__f0"] == [rows(changed, 2, 7)["f0"][-1].as_py(), before]
    print(
        json.dumps(
            {
                "cells_per_s": entities * FEATURES / seconds,
                "seconds": seconds,
                "cpu_seconds": cpu,
                "changed_seconds": again,
                "changed_cpu_seconds": cpu_again,
                "nbytes": first.nbytes,
            }
        )
    )


def lmdb(folder, entities):
    import lmdb as raw

    value = bytes(FEATURES * 8 + 24)
    pairs = ((number.to_bytes(9, "big"), value) for number in range(entities))
    environment = raw.open(str(Path(folder) / "raw"), map_size=1 << 36)

    def load():
        with environment.begin(write=True) as transaction, transaction.cursor() as cursor:
            cursor.putmulti(pairs, append=True)

    _, seconds, cpu = timed(load)
    print(json.dumps({"cells_per_s": entities * FEATURES / seconds, "seconds": seconds, "cpu_seconds": cpu}))


def feast(folder, entities):
    import numpy as np
    import pyarrow.parquet as pq
    from feast import Entity, FeatureStore, FeatureView, Field, FileSource
    from feast.types import Float64
    from feast.value_type import ValueType

    repository = Path(folder) / "feast"
    repository.mkdir()
    (repository / "feature_store.yaml").write_text(
        "project: bench\nprovider: local\nregistry: registry.db\nentity_key_serialization_version: 3\n"
        "online_store:\n  type: sqlite\n  path: online.db\n"
    )
    pq.write_table(rows(np.arange(entities), 1, 0), repository / "events.parquet")
    entity = Entity(name="id", join_keys=["id"], value_type=ValueType.INT64)
    view = FeatureView(
        name="events",
        entities=[entity],
        ttl=dt.timedelta(0),
        schema=[Field(name=f"f{number}", dtype=Float64) for number in range(FEATURES)],
        source=FileSource(path=str(repository / "events.parquet"), timestamp_field="at"),
    )
    store = FeatureStore(str(repository))
    store.apply([entity, view])
    times = [dt.datetime(1970, 1, 1, hour, tzinfo=dt.UTC) for hour in (0, 2)]
    _, seconds, cpu = timed(lambda: store.materialize(*times))
    names = [f"events:f{number}" for number in range(FEATURES)]
    found = store.get_online_features(names, [{"id": 1}]).to_dict()
    assert found["f0"] == [rows(np.arange(entities), 1, 0)["f0"][1].as_py()]
    print(json.dumps({"cells_per_s": entities * FEATURES / seconds, "seconds": seconds, "cpu_seconds": cpu}))


if __name__ == "__main__":
    side, folder, entities, *url = sys.argv[1:]
    os.environ["XDG_STATE_HOME"] = os.environ["XDG_CACHE_HOME"] = folder  # nothing is remembered from other runs
    os.environ["FEAST_USAGE"] = "False"  # else it asks the network first
    {"full": snapshots, "redis": snapshots, "lmdb": lmdb, "feast": feast}[side](folder, int(entities), *url)
