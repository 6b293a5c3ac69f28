"""Makes a lake with a dataset of 1,000 parts, by 1,000 appends of 1,000 rows, and links to them in order. FILE LAKE FILES."""

import os
import sys
from pathlib import Path

import pyarrow.parquet as pq

import dataplat as dp

source, folder, files = sys.argv[1:]
os.environ["DATAPLAT_COMPACT"] = "false"  # or a thousand small parts would be twenty
lake = dp.open(folder)
with pq.ParquetFile(source) as file:
    for batch in file.iter_batches(1000):
        lake.ingest(batch, into="parts")
for number, part in enumerate(lake["parts"].parts):
    (Path(files) / f"{number:04d}.parquet").hardlink_to(next((Path(folder) / "objects").rglob(f"*{part.id[2:]}*")))
