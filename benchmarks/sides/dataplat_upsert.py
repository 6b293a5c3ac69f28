"""dataplat: `upsert FILE LAKE`, content id pending, or `identify FILE LAKE`, with the content id computed."""

import json
import sys
import time

import dataplat as dp

what, source, folder = sys.argv[1:]
lake = dp.open(folder, create=False)
begin = time.perf_counter()
result = lake.ingest(source, into="rows", mode="upsert")
if what == "identify":
    _ = result.version.content_id
print(json.dumps({"seconds": time.perf_counter() - begin, "new": result.new_bytes}))
