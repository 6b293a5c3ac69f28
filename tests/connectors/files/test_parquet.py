"""Parquet files as a source."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dataplat.connectors.files import open_source
from dataplat.errors import SchemaMismatch, SourceError

Land = Callable[..., Any]


def _parquet(table: pa.Table, **options: Any) -> bytes:
    out = io.BytesIO()
    pq.write_table(table, out, **options)
    return out.getvalue()


def test_rows_and_types(land: Land) -> None:
    """Rows come in order, encodings are taken off."""
    table = pa.table({"a": pa.array(["x", "y", None]).dictionary_encode(), "b": pa.array([[1], [], None])})
    landed = land(_parquet(table), "in.parquet")
    assert landed.types == {"a": "string", "b": "list<element: int64>"}
    assert landed.rows == table.to_pylist()


def test_no_rows(land: Land) -> None:
    """A file of no rows lands as none with its schema."""
    landed = land(_parquet(pa.table({"a": pa.array([], pa.int16())})), "in.parquet")
    assert (landed.table.num_rows, landed.types) == (0, {"a": "int16"})


def test_compressed_around(land: Land) -> None:
    """A Parquet file inside another compression is unpacked first."""
    import gzip

    assert land(gzip.compress(_parquet(pa.table({"a": [1]}))), "in.parquet.gz").rows == [{"a": 1}]


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1" + b"x" * 100 + b"PAR1"])
def test_no_parquet(land: Land, content: bytes) -> None:
    """A file that is none, or was cut, is an error with its name."""
    with pytest.raises(SourceError, match=r"in\.parquet is no Parquet file"):
        land(content, "in.parquet")


def test_a_flipped_byte(land: Land) -> None:
    """Where pages have checksums a flipped byte is found, with the row behind which it lies."""
    table = pa.table({"a": list(range(100_000))})
    data = bytearray(_parquet(table, write_page_checksum=True, compression="none", use_dictionary=False))
    data[len(data) // 2] ^= 1
    with pytest.raises(SourceError, match="is damaged behind row"):
        land(bytes(data), "in.parquet")


def test_a_given_schema(land: Land) -> None:
    """Types that were asked for must hold every value exactly."""
    data = _parquet(pa.table({"a": [1, 300]}))
    assert land(data, "in.parquet", schema=pa.schema([("a", pa.int16())])).types == {"a": "int16"}
    with pytest.raises(SchemaMismatch, match=r"column 'a', row 2: 300 \(int64\) does not fit int8"):
        land(data, "in.parquet", schema=pa.schema([("a", pa.int8())]))
    with pytest.raises(SchemaMismatch, match="int64 in the input, but string"):
        land(data, "in.parquet", schema=pa.schema([("a", pa.string())]))


def test_memory_follows_the_row_group_not_the_file(tmp_path: Path) -> None:
    """A file of many row groups is read in far less memory than it has bytes."""
    path = tmp_path / "rows.parquet"
    noise = np.random.default_rng(1).integers(0, 1 << 62, 2_000_000)
    pq.write_table(pa.table({"a": noise}), path, row_group_size=50_000)
    source = open_source(path)
    before = pa.total_allocated_bytes()
    (split,) = source.plan({})
    most = max(pa.total_allocated_bytes() - before for _ in source.read(split))
    assert most < path.stat().st_size / 4
