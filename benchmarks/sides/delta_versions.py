"""delta-rs: `make FILE TABLE` (with its change feed), and then as `dataplat_versions`."""

import json
import sys
import time

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable, write_deltalake

what, given, table = sys.argv[1:]
figures = {}
if what == "make":
    with pq.ParquetFile(given) as file:
        reader = pa.RecordBatchReader.from_batches(file.schema_arrow, file.iter_batches(131_072))
        write_deltalake(table, reader, configuration={"delta.enableChangeDataFeed": "true"})
    sys.exit()
if what == "upsert":
    merge = DeltaTable(table).merge(pq.read_table(given), predicate="s.id = t.id", source_alias="s", target_alias="t")
    merge.when_matched_update_all().when_not_matched_insert_all().execute()
    sys.exit()
begin = time.perf_counter()
if what == "append":
    write_deltalake(table, pq.read_table(given), mode="append")
elif what == "delete":
    DeltaTable(table).delete(given)
elif what == "diff":
    opened = DeltaTable(table)
    feed = pa.RecordBatchReader.from_stream(opened.load_cdf(starting_version=opened.version()))
    figures["rows"] = sum(batch.num_rows for batch in feed)
else:
    raise SystemExit(f"delta-rs is not asked to {what}")
print(json.dumps({"seconds": time.perf_counter() - begin, **figures}))
