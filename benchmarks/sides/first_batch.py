"""Open 1,000 parts and get the first batch: `dataplat LAKE`, or `pyarrow FOLDER` of the same Parquet files.

Both sides import pyarrow before the clock starts.
"""

import json
import sys
import time

import pyarrow.dataset

what, folder = sys.argv[1:]
if what == "dataplat":
    import dataplat as dp

    dp.open  # noqa: B018 - resolved before the clock starts
    begin = time.perf_counter()
    batch = next(iter(dp.open(folder, create=False)["parts"].batches()))
else:
    begin = time.perf_counter()
    batch = next(iter(pyarrow.dataset.dataset(folder, format="parquet").to_batches()))
print(json.dumps({"seconds": time.perf_counter() - begin, "rows": batch.num_rows}))
