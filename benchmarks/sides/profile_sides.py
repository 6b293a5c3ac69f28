"""Profiles: `make ROWS FILE`, then `dataplat FILE` or `whylogs FILE`; `merge PARTS` makes profiles of parts and merges them.

20 columns: twelve of numbers and times (four of them of few values), eight of texts (four of few values, two of unique
ones, two between).
"""

import json
import sys
import time

what, *given = sys.argv[1:]


def table(rows, seed):
    """Return a table of 20 columns."""
    import numpy as np
    import pyarrow as pa

    draw = np.random.default_rng(seed)
    columns = {}
    for at in range(4):
        columns[f"normal{at}"] = pa.array(draw.normal(size=rows), mask=draw.random(rows) < 0.05)
        columns[f"few{at}"] = draw.integers(0, 30, rows)
    columns["money"] = draw.gamma(2.0, 50.0, rows).round(2)
    columns["id"] = np.arange(seed * rows, (seed + 1) * rows)
    columns["zipf"] = draw.zipf(1.5, rows).clip(max=10**6)
    columns["time"] = pa.array(np.sort(draw.integers(seed * 10**9, (seed + 1) * 10**9, rows))).view(pa.timestamp("us"))
    for at in range(4):
        columns[f"word{at}"] = np.array(["UA", "AA", "DL", "B6", "WN"])[draw.integers(0, 5, rows)]
    for at in range(2):
        columns[f"key{at}"] = [f"K-{number:09d}" for number in draw.integers(0, 10**9, rows)]
        columns[f"name{at}"] = [f"name {number}" for number in draw.zipf(1.4, rows).clip(max=10**5)]
    return pa.table(columns)


def timed(work):
    """Return what a function returns, and the CPU seconds that it took."""
    begin = time.process_time()
    found = work()
    return found, time.process_time() - begin


if what == "make":
    import pyarrow.parquet as pq

    rows, file = given
    pq.write_table(table(int(rows), 1), file)
elif what == "whylogs":
    import pyarrow.parquet as pq
    import whylogs

    frame = pq.read_table(given[0]).to_pandas()
    _, seconds = timed(lambda: whylogs.log(frame).view().to_pandas())
    print(json.dumps({"cpu_seconds": seconds}))
elif what == "dataplat":
    import pyarrow as pa
    import pyarrow.parquet as pq

    import dataplat as dp

    data = pq.read_table(given[0])
    texts = [field.name for field in data.schema if pa.types.is_string(field.type)]
    numbers = [name for name in data.column_names if name not in texts]
    dp.profile(data.slice(0, 100)).to_dict()
    _, one = timed(lambda: dp.profile(data, columns=numbers).to_dict())
    _, two = timed(lambda: dp.profile(data, columns=texts).to_dict())
    rates = {"numeric_cells_per_s": len(data) * len(numbers) / one, "string_cells_per_s": len(data) * len(texts) / two}
    print(json.dumps({"cpu_seconds": one + two, **rates}))
else:
    from dataclasses import replace

    from dataplat.validation.profile._measure import measured
    from dataplat.validation.profile._profile import merge_columns

    parts = []
    for seed in range(int(given[0])):
        data = table(5_000, seed)
        once = list(measured(data.to_batches(), data.schema).values())
        fifty = [replace(once[at % 20], name=f"{once[at % 20].name}-{at}") for at in range(50)]
        parts.append({column.name: column for column in fifty})
    _, seconds = min((timed(lambda: merge_columns(parts)) for _ in range(3)), key=lambda pair: pair[1])
    print(json.dumps({"cpu_seconds": seconds}))
