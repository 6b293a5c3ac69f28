"""dataplat on a store: `scan URL`, `commits URL N`, `parts URL N COLUMNS` (makes a version), `open URL`, `create URL N`.

Each prints the seconds of the operation itself; every program has a folder for copies of its own, empty at first.
"""

import hashlib
import json
import os
import random
import statistics
import sys
import tempfile
import time


def scan(url):
    version = dp.open(url, create=False)["rows"]
    begin = time.perf_counter()
    rows = sum(batch.num_rows for batch in version.batches())
    return {"rows": rows, "scan": time.perf_counter() - begin}


def commits(url, count):
    import pyarrow as pa

    lake = dp.open(url)
    taken = []
    for number in range(int(count) + 3):
        rows = pa.table({"id": [number], "value": [random.random()]})
        begin = time.perf_counter()
        lake.ingest(rows, into="events")
        taken.append(time.perf_counter() - begin)
    return _spread(taken[3:])


def create(url, count):
    from dataplat.lake.stores import open_store

    store = open_store(url)
    taken = []
    for number in range(int(count) + 3):
        begin = time.perf_counter()
        store.create(f"refs/bench/{os.urandom(8).hex()}-{number}.json", b"x" * 500)
        taken.append(time.perf_counter() - begin)
    return _spread(taken[3:])


def parts(url, count, columns):
    """Commit a manifest of parts that are nowhere, with statistics of `columns`: to open a version reads none of them."""
    from dataplat.lake.digest import Digest
    from dataplat.lake.objects import Stage
    from dataplat.lake.part import ColumnStats, Part
    from dataplat.versioning.manifest import ManifestEdit
    from dataplat.versioning.publish import PlannedChange, commit

    draw = random.Random(1)

    names = [f"c{i}" for i in range(int(columns) - 1)]

    def part(number):
        id = hashlib.sha256(b"%d" % number).hexdigest()
        floats = {name: ColumnStats(0, 0, draw.random(), 1 + draw.random()) for name in names}
        stats = {"k": ColumnStats(0, 0, number * 1000, number * 1000 + 999), **floats}
        digest = Digest(1000, draw.getrandbits(64), draw.getrandbits(64))
        return Part(id, 1000, 50_000 + number % 100, hashlib.sha256(id.encode()).hexdigest(), digest, stats)

    schema = [{"name": "k", "type": "int64"}, *({"name": name, "type": "float64"} for name in names)]
    lake = dp.open(url)
    edit = ManifestEdit(add=[part(n) for n in range(int(count))], schema_json=schema, key=("k",))
    with Stage(lake.store) as stage:
        commit(lake.io, "main", [PlannedChange(dataset="parts", mode="append", edit=edit)], stage)
    return {}


def open_version(url):
    from dataplat.lake.stores._s3 import S3Wire

    read = [0]
    get = S3Wire.get

    def counted(self, key, start, stop):
        got = get(self, key, start, stop)
        read[0] += len(got.data)
        return got

    S3Wire.get = counted
    begin = time.perf_counter()
    version = dp.open(url, create=False)["parts"]
    count = len(version.manifest.parts())
    return {"open": time.perf_counter() - begin, "read_mb": read[0] / 1e6, "parts": count}


def _imported(url):
    """Import what the clients alone have imported before their clock starts, too."""
    import importlib

    far = ("s3fs", "aiobotocore.session") if url.startswith("s3:") else ()
    for name in ("pyarrow.dataset", "pyarrow.parquet", *far):
        importlib.import_module(name)


def _spread(taken):
    taken.sort()
    return {
        "p50_ms": statistics.median(taken) * 1e3,
        "p90_ms": taken[len(taken) * 9 // 10] * 1e3,
        "max_ms": taken[-1] * 1e3,
        "above_400_ms": sum(seconds > 0.4 for seconds in taken),
    }


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as cache:
        os.environ["XDG_CACHE_HOME"] = cache
        import dataplat as dp

        dp.open  # noqa: B018 - resolved before the clock starts, as is what all sides import
        what, *given = sys.argv[1:]
        _imported(given[0])
        does = {"scan": scan, "commits": commits, "create": create, "parts": parts, "open": open_version}[what]
        begin = time.perf_counter()
        figures = does(*given)
        print(json.dumps({"seconds": time.perf_counter() - begin} | figures))
