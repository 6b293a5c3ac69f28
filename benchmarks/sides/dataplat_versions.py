"""dataplat: `append FILE LAKE`, `replace FILE LAKE`, `delete WHERE LAKE`, `diff - LAKE` or `scan - LAKE`.

The same on a lake in memory comes first, from a small Parquet file: it loads every module, as the imports at the top of
the peers' programs do; the whole process counts it, the operation does not.
"""

import json
import sys
import tempfile
import time

import pyarrow as pa
import pyarrow.parquet as pq

import dataplat as dp

what, given, folder = sys.argv[1:]
warm = dp.open("memory://warm")
few = pa.table({"id": [1, 2, 3], "s": ["a", "b", "c"], "x": [0.5, 1.5, 2.5]})
with tempfile.NamedTemporaryFile(suffix=".parquet") as file:
    pq.write_table(few, file.name)
    warm.ingest(file.name, into="rows", key="id")
warm.ingest(few.slice(1, 1).set_column(2, "x", pa.array([9.0])), into="rows", mode="upsert")
warm.delete("rows", "x > 9.5")
_ = warm["rows"].content_id, warm.diff("rows@main~1", "rows").changed

lake = dp.open(folder, create=False)
figures = {}
begin = time.perf_counter()
if what in {"append", "replace"}:
    figures["new"] = lake.ingest(given, into="rows", mode=what).new_bytes
elif what == "delete":
    made = lake.delete("rows", given)
    figures |= {"new": made.new_bytes, "rows": made.rows_deleted}
elif what == "diff":
    diff = lake.diff("rows@main~1", "rows")
    figures["rows"] = diff.changed.num_rows
else:
    figures["rows"] = sum(batch.num_rows for batch in lake["rows"].batches())
print(json.dumps({"seconds": time.perf_counter() - begin, **figures}))
