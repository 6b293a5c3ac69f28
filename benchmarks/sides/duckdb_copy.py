"""The limit of a text ingest: DuckDB reads the file and writes zstd Parquet. FILE TARGET."""

import sys

import duckdb

source, target = sys.argv[1:]
read = "read_csv" if source.endswith(".csv") else "read_json"
duckdb.sql(f"COPY (FROM {read}('{source}')) TO '{target}' (FORMAT parquet, COMPRESSION zstd)")
