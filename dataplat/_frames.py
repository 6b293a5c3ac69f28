"""Arrow tables as frames of other libraries."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataplat.errors import MissingExtra

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


def to_pandas(table: pa.Table) -> pd.DataFrame:
    """Return a pandas frame with Arrow-backed columns, so that integers with nulls stay integers."""
    try:
        import pandas as pd
    except ImportError as error:
        raise MissingExtra("pandas is not installed: pip install 'dataplat[pandas]'") from error
    return table.to_pandas(types_mapper=pd.ArrowDtype)
