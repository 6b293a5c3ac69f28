"""dataplat: `upsert FILE LAKE`, content id pending, or `identify FILE LAKE`, with the content id computed.

A first upsert into memory loads every module, as the imports at the top of the peers' programs do; the whole process
counts it, the operation does not.
"""

import json
import sys
import time

import pyarrow as pa

import dataplat as dp

what, source, folder = sys.argv[1:]
pa.array([])  # makes pyarrow look for pandas
warm = dp.open("memory://warm")
for row in ({"k": [1, 2]}, {"k": [2, 3]}):
    warmed = warm.ingest(pa.table(row), into="warm", mode="upsert", key=["k"])
_ = warmed.version.content_id

lake = dp.open(folder, create=False)
begin = time.perf_counter()
result = lake.ingest(source, into="rows", mode="upsert")
if what == "identify":
    _ = result.version.content_id
print(json.dumps({"seconds": time.perf_counter() - begin, "new": result.new_bytes}))
