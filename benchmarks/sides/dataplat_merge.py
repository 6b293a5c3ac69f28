"""dataplat: `ours LAKE ROWS SEED` or `theirs …` changes rows on a branch of `main`, `merge LAKE` merges the two.

Each side changes 50,000 scattered rows: `ours` (on main) another price, `theirs` (on exp) another quantity. Some 250 of ten
million are among both, and are merged by cell.
"""

import json
import sys
import time

import dataplat as dp

CHANGED = 50_000

what, folder, *given = sys.argv[1:]
lake = dp.open(folder, create=False)
if what == "merge":
    begin = time.perf_counter()
    merged = lake.merge("exp", into="main")
    seconds = time.perf_counter() - begin
    print(json.dumps({"seconds": seconds, "rows": sum(one.rows_changed for one in merged.datasets)}))
else:
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    if "exp" not in {record.branch for record in lake.branches()}:
        lake.branch("exp")
    source, seed = given
    table = pq.read_table(source)
    chosen = np.sort(np.random.default_rng(int(seed)).choice(len(table), min(CHANGED, len(table)), replace=False))
    column = "price" if what == "ours" else "quantity"
    rows = table.take(pa.array(chosen))
    changed = pa.compute.add(rows[column], 1)
    rows = rows.set_column(rows.schema.get_field_index(column), column, changed)
    lake.ingest(rows, into="rows", mode="upsert", branch="main" if what == "ours" else "exp")
