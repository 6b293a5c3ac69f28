"""pyarrow alone: `read FILE`, `scan FILE` (Parquet, in batches), `parse FILE` (CSV) or `write FILE TARGET` (zstd, made durable)."""

import json
import os
import sys
import time

import pyarrow.csv
import pyarrow.parquet as pq

what, source, *target = sys.argv[1:]
rows = pq.read_table(source) if what == "write" else None
begin = time.perf_counter()
if what == "parse":
    count = pyarrow.csv.read_csv(source).num_rows
elif what == "read":
    count = pq.read_table(source).num_rows
elif what == "scan":
    with pq.ParquetFile(source) as file:
        count = sum(batch.num_rows for batch in file.iter_batches())
else:
    with open(target[0], "wb") as file:  # noqa: PTH123 - the descriptor is needed
        pq.write_table(rows, file, compression="zstd")
        file.flush()
        os.fsync(file.fileno())
    count = rows.num_rows
print(json.dumps({"seconds": time.perf_counter() - begin, "rows": count}))
