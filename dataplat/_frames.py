"""Arrow tables as frames of other libraries."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataplat.errors import MissingExtra, SchemaError

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa


def to_polars(table: pa.Table) -> pl.DataFrame:
    """Return a Polars frame; raise `SchemaError` for a type that Polars does not have."""
    import polars as pl

    try:
        return pl.DataFrame(table)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:  # a panic is no `Exception`
        types = ", ".join(f"{field.name}: {field.type}" for field in table.schema)
        message = f"Polars cannot hold one of these types ({types}): take other columns, or use to_arrow()"
        raise SchemaError(message) from error


def to_pandas(table: pa.Table) -> pd.DataFrame:
    """Return a pandas frame with Arrow-backed columns, so that integers with nulls stay integers."""
    try:
        import pandas as pd
    except ImportError as error:
        raise MissingExtra("pandas is not installed: pip install 'dataplat[pandas]'") from error
    return table.to_pandas(types_mapper=pd.ArrowDtype)
