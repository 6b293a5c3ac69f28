"""Makes one input; see `benchmarks/_data.py`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

CHUNK = 1_000_000
UPDATES = 10_000


def chunk(number: int, rows: int) -> pa.Table:
    """Return rows `number * CHUNK …` of the data: each chunk has a seed of its own."""
    rng = np.random.default_rng([2026, number])
    ids = np.arange(number * CHUNK, number * CHUNK + rows, dtype=np.int64) * 7 + 1_000_000
    cities = np.array([f"city {n:03d}" for n in range(200)])
    seconds = 1_750_000_000 + np.sort(rng.integers(0, 86_400 * 30, rows)) + number * 86_400 * 30
    letters = rng.integers(97, 123, (rows, 12), dtype=np.uint8)
    names = pa.StringArray.from_buffers(
        rows, pa.py_buffer(np.arange(0, rows * 12 + 1, 12, dtype=np.int32)), pa.py_buffer(letters.tobytes())
    )
    return pa.table(
        {
            "id": ids,
            "quantity": pa.array(rng.integers(0, 1000, rows), mask=rng.random(rows) < 0.05),
            "price": np.round(rng.gamma(2.0, 30.0, rows), 2),
            "ratio": pa.array(np.round(rng.normal(size=rows), 6), mask=rng.random(rows) < 0.1),
            "city": cities[np.minimum(rng.zipf(1.3, rows) - 1, 199)],
            "name": pa.array(names.to_numpy(zero_copy_only=False), mask=rng.random(rows) < 0.02),
            "created": pa.array(seconds).cast(pa.timestamp("s")).cast(pa.timestamp("us")),
            "flag": rng.random(rows) < 0.5,
        }
    )


def parquet(rows: int, target: Path) -> None:
    with pq.ParquetWriter(target, chunk(0, 1).schema, compression="zstd") as writer:
        for number in range(-(-rows // CHUNK)):
            writer.write_table(chunk(number, min(CHUNK, rows - number * CHUNK)), row_group_size=131_072)


def text(source: Path, target: Path, form: str) -> None:
    duckdb.sql(f"COPY (FROM read_parquet('{source}')) TO '{target}' ({form})")


def shuffled(rows: int, source: Path, target: Path) -> None:
    target.mkdir()
    table = pq.read_table(source)
    order = np.random.default_rng(7).permutation(rows)
    for number, piece in enumerate(np.array_split(order, 3)):
        duckdb.register("part", table.take(pa.array(piece)))
        duckdb.sql(f"COPY part TO '{target / f'piece-{number}.csv'}' (FORMAT csv, HEADER)")


def more(rows: int, target: Path) -> None:
    table = chunk(-(-rows // CHUNK), max(rows // 100, 1))
    pq.write_table(table, target, compression="zstd")


def dump(rows: int, source: Path, target: Path) -> None:
    """Write all rows again, in their order, 0.1 % of them with another price."""
    changed = np.zeros(rows, bool)
    changed[np.random.default_rng(13).choice(rows, max(rows // 1000, 1), replace=False)] = True
    start = 0
    with pq.ParquetFile(source) as file, pq.ParquetWriter(target, file.schema_arrow, compression="zstd") as writer:
        for batch in file.iter_batches(131_072):
            price = batch.column("price").to_numpy()
            price = np.round(price + changed[start : start + len(price)], 2)
            start += len(price)
            writer.write_batch(batch.set_column(2, "price", pa.array(price)), row_group_size=131_072)


def updates(rows: int, source: Path, target: Path) -> None:
    table = pq.read_table(source)
    chosen = np.sort(np.random.default_rng(11).choice(rows, min(UPDATES, rows), replace=False))
    part = table.take(pa.array(chosen))
    price = np.round(part["price"].to_numpy() + 1.0, 2)
    part = part.set_column(2, "price", pa.array(price))
    pq.write_table(part, target, compression="zstd")


def main() -> None:
    kind, rows, source, target = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]), Path(sys.argv[4])
    unfinished = target.with_name(target.name + ".unfinished")
    if kind == "parquet":
        parquet(rows, unfinished)
    elif kind == "more":
        more(rows, unfinished)
    elif kind == "dump":
        dump(rows, source, unfinished)
    elif kind in {"csv", "dump-csv"}:
        text(source, unfinished, "FORMAT csv, HEADER")
    elif kind == "ndjson":
        text(source, unfinished, "FORMAT json")
    elif kind == "shuffled":
        shuffled(rows, source, unfinished)
    else:
        updates(rows, source, unfinished)
    os.replace(unfinished, target)  # noqa: PTH105 - a folder too


if __name__ == "__main__":
    main()
