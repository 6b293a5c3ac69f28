"""Makes a lake with a dataset of 1,000 parts, by 1,000 appends of 1,000 rows. FILE LAKE."""

import sys

import pyarrow.parquet as pq

import dataplat as dp

source, folder = sys.argv[1:]
lake = dp.open(folder)
with pq.ParquetFile(source) as file:
    for batch in file.iter_batches(1000):
        lake.ingest(batch, into="parts")
