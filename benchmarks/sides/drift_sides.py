"""One side of the drift benchmark: SIDE BEFORE AFTER, two Parquet files; prints what the comparison itself took.

`land` makes a lake of both, with its profiles, of which the side `profiles` reads. `make` writes the files: 1 M rows of 12 floats, 3 integers, 1 time and 4 texts, of which one float moves.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np


def make(rows, before, after):
    import pyarrow as pa
    import pyarrow.parquet as pq

    for path, seed, shift in ((before, 1, 0.0), (after, 2, 0.1)):
        draw = np.random.default_rng(seed)
        columns = {f"float{n}": draw.normal(size=rows) for n in range(9)}
        columns |= {f"long{n}": draw.lognormal(size=rows) for n in range(3)}
        columns |= {f"whole{n}": draw.poisson(20 * (n + 1), rows) for n in range(3)}
        columns["at"] = pa.array(draw.integers(0, 10**13, rows), pa.timestamp("us"))
        for n, many in enumerate((3, 20, 100, 1000)):
            names = np.array([f"value {i}" for i in range(many)])
            columns[f"text{n}"] = names[draw.zipf(1.5, rows) % many]
        columns["float0"] = columns["float0"] + shift
        pq.write_table(pa.table(columns), path)


def land(before, after, folder):
    import pyarrow.parquet as pq

    import dataplat as dp

    lake = dp.open(folder)
    for path in (before, after):
        lake.ingest(pq.read_table(path), into="rows", mode="replace")
    lake.drift("rows@main~1", "rows")  # profiles are remembered from now on


def dataplat(before, after):
    import pyarrow.parquet as pq

    import dataplat as dp

    one, two = pq.read_table(before), pq.read_table(after)
    dp.drift(one.slice(0, 100), two.slice(0, 100))
    return lambda: len(dp.drift(one, two).columns)


def profiles(lake, *_):
    import dataplat as dp

    opened = dp.open(lake, create=False)
    opened.drift("rows@main~1", "rows", columns=["float0"])
    return lambda: len(opened.drift("rows@main~1", "rows").columns)


def histograms(before, after):
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    one, two = pq.read_table(before), pq.read_table(after)

    def psi(p, q):
        p, q = p / p.sum() + 1e-6, q / q.sum() + 1e-6
        return float(((q - p) * np.log(q / p)).sum())

    def numbers(a, b):
        edges = np.unique(np.quantile(a, np.linspace(0, 1, 11)))
        edges[0], edges[-1] = min(a.min(), b.min()), max(a.max(), b.max())
        return psi(np.histogram(a, edges)[0], np.histogram(b, edges)[0])

    def texts(a, b):
        counts = [dict(zip(*(c.to_pylist() for c in pc.value_counts(side).flatten()), strict=True)) for side in (a, b)]
        names = sorted({*counts[0], *counts[1]})
        return psi(*(np.array([side.get(name, 0) for name in names], float) for side in counts))

    def compare():
        found = {}
        for field in one.schema:
            sides = [t.column(field.name).combine_chunks() for t in (one, two)]
            if str(field.type) == "string":
                found[field.name] = texts(*sides)
            else:
                found[field.name] = numbers(*(np.asarray(side).astype(np.float64, copy=False) for side in sides))
        return len(found)

    return compare


def evidently(before, after):
    import pandas as pd
    from evidently import Report
    from evidently.presets import DataDriftPreset

    one, two = pd.read_parquet(before), pd.read_parquet(after)

    def compare():
        found = Report([DataDriftPreset()]).run(two, one)
        return len(found.dict()["metrics"]) - 1

    return compare


SIDES = {"dataplat": dataplat, "profiles": profiles, "histograms": histograms, "evidently": evidently}

if __name__ == "__main__":
    side, *given = sys.argv[1:]
    if side in {"make", "land"}:
        make(int(given[0]), *map(Path, given[1:])) if side == "make" else land(*given)
        sys.exit()
    compare = SIDES[side](*given)
    wall, cpu = time.perf_counter(), time.process_time()
    columns = compare()
    figures = {"seconds": time.perf_counter() - wall, "cpu_seconds": time.process_time() - cpu, "columns": columns}
    print(json.dumps(figures))
