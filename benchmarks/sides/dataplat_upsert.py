"""dataplat: `upsert FILE LAKE`, content id pending, or `identify FILE LAKE`, with the content id computed.

A first upsert, into memory, loads every module, as the imports at the top of the peers' programs do; the whole process
counts it, the operation does not.
"""

import json
import sys
import time

import dataplat as dp

what, source, folder = sys.argv[1:]
warm = dp.open("memory://warm")
for mode in ("append", "upsert"):
    warmed = warm.ingest(source, into="warm", mode=mode, key=["id"] if mode == "append" else None)
_ = warmed.version.content_id

lake = dp.open(folder, create=False)
begin = time.perf_counter()
result = lake.ingest(source, into="rows", mode="upsert")
if what == "identify":
    _ = result.version.content_id
print(json.dumps({"seconds": time.perf_counter() - begin, "new": result.new_bytes}))
