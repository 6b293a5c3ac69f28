"""The limit of a Parquet ingest: pyarrow reads the file and writes zstd Parquet. FILE TARGET [stream]."""

import sys

import pyarrow.parquet as pq

source, target = sys.argv[1:3]
if sys.argv[3:] == ["stream"]:
    with pq.ParquetFile(source) as file, pq.ParquetWriter(target, file.schema_arrow, compression="zstd") as writer:
        for batch in file.iter_batches(131_072):
            writer.write_batch(batch)
else:
    pq.write_table(pq.read_table(source), target, compression="zstd")
