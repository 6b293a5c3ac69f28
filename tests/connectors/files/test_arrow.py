"""Arrow IPC files, streams and Feather."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.feather
import pytest

from dataplat.errors import SourceError

Land = Callable[..., Any]

TABLE = pa.table({"a": [1, 2, None], "b": pa.array(["x", "y", "x"]).dictionary_encode()})


def _file(table: pa.Table) -> bytes:
    out = io.BytesIO()
    with pa.ipc.new_file(out, table.schema) as writer:
        writer.write_table(table)
    return out.getvalue()


def _stream(table: pa.Table) -> bytes:
    out = io.BytesIO()
    with pa.ipc.new_stream(out, table.schema) as writer:
        writer.write_table(table)
    return out.getvalue()


def _feather(table: pa.Table) -> bytes:
    out = io.BytesIO()
    pyarrow.feather.write_feather(table, out, compression="zstd")
    return out.getvalue()


@pytest.mark.parametrize("write", [_file, _stream, _feather])
def test_each_kind(land: Land, write: Callable[[pa.Table], bytes]) -> None:
    """File, stream and Feather are told by their magic numbers; dictionaries become plain."""
    landed = land(write(TABLE), "in.arrow")
    assert landed.types == {"a": "int64", "b": "string"}
    assert landed.rows == TABLE.to_pylist()


@pytest.mark.parametrize("write", [_file, _stream, _feather])
def test_truncated(land: Land, write: Callable[[pa.Table], bytes]) -> None:
    """A file that breaks off is an error."""
    data = write(pa.table({"a": list(range(10_000))}))
    with pytest.raises(SourceError, match="truncated or damaged"):
        land(data[: len(data) // 2], "in.arrow")


def test_no_rows(land: Land) -> None:
    """No rows land as none with their schema."""
    assert land(_file(TABLE.slice(0, 0)), "in.feather").types == {"a": "int64", "b": "string"}
