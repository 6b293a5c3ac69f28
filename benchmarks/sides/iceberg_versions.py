"""pyiceberg, with a catalog in SQLite beside the table: `make FILE FOLDER`, `append FILE FOLDER` or `delete WHERE FOLDER`."""

import json
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
from pyiceberg.catalog.sql import SqlCatalog

what, given, folder = sys.argv[1:]
Path(folder).mkdir(parents=True, exist_ok=True)
catalog = SqlCatalog("bench", uri=f"sqlite:///{folder}/catalog.db", warehouse=f"file://{folder}")
if what == "make":
    rows = pq.read_table(given)
    catalog.create_namespace("bench")
    catalog.create_table("bench.rows", rows.schema).append(rows)
    sys.exit()
begin = time.perf_counter()
table = catalog.load_table("bench.rows")
if what == "append":
    table.append(pq.read_table(given))
else:
    table.delete(given)
print(json.dumps({"seconds": time.perf_counter() - begin}))
