"""One side of the benchmark of snapshots: SIDE FOLDER ENTITIES; prints what the operation itself took.

`full` makes a snapshot of so many entities × 20 features from a lake, then one after 1 % of them changed; `redis` the same
into the Redis at the URL in DATAPLAT_FEATURES_ONLINE. `lmdb` appends records of the same size to a raw LMDB.
"""

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


def made(folder, entities):
    import numpy as np

    import dataplat as dp

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
    store.apply(dp.FeatureService("wide", [view]))
    return lake, store


def timed(what):
    begun, cpu = time.perf_counter(), time.process_time()
    result = what()
    return result, time.perf_counter() - begun, time.process_time() - cpu


def snapshots(folder, entities):
    import numpy as np

    lake, store = made(folder, entities)
    first, seconds, cpu = timed(lambda: store.materialize("wide"))
    lake.ingest(rows(np.arange(0, entities, 100), 2, 7), into="events")
    second, again, cpu_again = timed(lambda: store.materialize("wide"))
    assert (first.written, second.written) == (entities, len(range(0, entities, 100)))
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


if __name__ == "__main__":
    side, folder, entities = sys.argv[1:]
    os.environ["XDG_STATE_HOME"] = os.environ["XDG_CACHE_HOME"] = folder  # nothing is remembered from other runs
    {"full": snapshots, "redis": snapshots, "lmdb": lmdb}[side](folder, int(entities))
