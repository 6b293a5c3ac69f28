"""Lance: `make FILE TABLE` (with stable row ids), and then as `dataplat_versions`."""

import json
import sys
import time

import lance
import pyarrow.parquet as pq

what, given, table = sys.argv[1:]
figures = {}
if what == "make":
    with pq.ParquetFile(given) as file:
        batches = file.iter_batches(131_072)
        lance.write_dataset(batches, table, schema=file.schema_arrow, enable_stable_row_ids=True)
    sys.exit()
if what == "upsert":
    merge = lance.dataset(table).merge_insert("id")
    merge.when_matched_update_all().when_not_matched_insert_all().execute(pq.read_table(given))
    sys.exit()
begin = time.perf_counter()
dataset = lance.dataset(table)
if what == "append":
    lance.write_dataset(pq.read_table(given), table, mode="append")
elif what == "delete":
    dataset.delete(given)
elif what == "diff":
    updated = dataset.delta(compared_against=dataset.version - 1).get_updated_rows()
    figures["rows"] = sum(batch.num_rows for batch in updated)
else:
    figures["rows"] = sum(batch.num_rows for batch in dataset.to_batches())
print(json.dumps({"seconds": time.perf_counter() - begin, **figures}))
