"""Lance: `make FILE TABLE`, or `upsert FILE TABLE` by merge_insert on `id`."""

import json
import sys
import time

import lance
import pyarrow.parquet as pq

what, source, table = sys.argv[1:]
if what == "make":
    with pq.ParquetFile(source) as file:
        lance.write_dataset(file.iter_batches(131_072), table, schema=file.schema_arrow)
else:
    rows = pq.read_table(source)
    begin = time.perf_counter()
    lance.dataset(table).merge_insert("id").when_matched_update_all().when_not_matched_insert_all().execute(rows)
    print(json.dumps({"seconds": time.perf_counter() - begin}))
