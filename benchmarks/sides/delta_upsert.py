"""delta-rs: `make FILE TABLE`, or `upsert FILE TABLE` by merge on `id`."""

import json
import sys
import time

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable, write_deltalake

what, source, table = sys.argv[1:]
if what == "make":
    with pq.ParquetFile(source) as file:
        reader = pa.RecordBatchReader.from_batches(file.schema_arrow, file.iter_batches(131_072))
        write_deltalake(table, reader)
else:
    rows = pq.read_table(source)
    begin = time.perf_counter()
    merge = DeltaTable(table).merge(rows, predicate="s.id = t.id", source_alias="s", target_alias="t")
    merge.when_matched_update_all().when_not_matched_insert_all().execute()
    print(json.dumps({"seconds": time.perf_counter() - begin}))
