"""Tables in memory as a source."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from dataplat.connectors.files import open_source
from dataplat.errors import SchemaMismatch, SourceError

Read = Callable[..., Any]

TABLE = pa.table({"a": [1, 2], "b": ["x", None]})


@pytest.mark.parametrize(
    "frame",
    [
        TABLE,
        TABLE.to_batches()[0],
        TABLE.to_reader(),
        pl.from_arrow(TABLE),
        pl.from_arrow(TABLE).lazy(),  # type: ignore[union-attr]
        TABLE.to_pandas(),
        TABLE.to_pandas(types_mapper=pd.ArrowDtype),
    ],
    ids=lambda frame: f"{type(frame).__module__}.{type(frame).__name__}",
)
def test_each_kind(read_source: Read, frame: Any) -> None:
    """Arrow tables, batches and readers, pandas and Polars frames give the same rows and types."""
    landed = read_source(open_source(frame))
    assert landed.rows == TABLE.to_pylist()
    assert landed.types == {"a": "int64", "b": "string"}
    assert landed.positions == {"": None}


def test_no_rows(read_source: Read) -> None:
    """No rows land as none with their schema."""
    assert read_source(open_source(TABLE.slice(0, 0))).types == {"a": "int64", "b": "string"}


def test_a_named_index_is_a_column(read_source: Read) -> None:
    """An index that has a name is data; a default one is not."""
    assert read_source(open_source(TABLE.to_pandas().set_index("a"))).schema.names == ["b", "a"]


def test_a_reader_is_read_once(read_source: Read) -> None:
    """A second reading of a reader is an error, not silently nothing."""
    source = open_source(TABLE.to_reader())
    read_source(source)
    with pytest.raises(SourceError, match="read already"):
        read_source(source)


def test_no_table() -> None:
    """Anything else is an error that says what is taken."""
    with pytest.raises(SourceError, match="is no source"):
        open_source(5)


def test_mixed_objects() -> None:
    """A pandas column of several types is an error with its name."""
    with pytest.raises(SourceError, match="column a"):
        open_source(pd.DataFrame({"a": [1, "x"]}))


def test_a_given_schema(read_source: Read) -> None:
    """Types that were asked for must hold every value; missing columns are errors."""
    schema = pa.schema([("a", pa.int8())])
    assert read_source(open_source(TABLE, schema=schema)).types == {"a": "int8", "b": "string"}
    with pytest.raises(SchemaMismatch, match="does not fit int8"):
        read_source(open_source(pa.table({"a": [500]}), schema=schema))
    with pytest.raises(SchemaMismatch, match="missing"):
        read_source(open_source(TABLE, schema=pa.schema([("z", pa.int8())])))
