"""What a feature server answered with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Fetched:
    """Features of entities, as a server gave them.

    Attributes:
        table: a column for each feature, in the order of the service; a row for each entity, in the order in which they
            were asked for.
        service: `name@version`.
        snapshot: the id of the snapshot that they are of.
        sequence: up to which pushed row.
        t: the time for which they are.
        stale: the views whose snapshot is older than they may be.
        statuses: words of `Status` by column, where they were asked for.
        ages: seconds by column, where they were asked for; None: there is no row that a value is of.
    """

    table: pa.Table = field(repr=False)
    service: str
    snapshot: str
    sequence: int
    t: datetime
    stale: Sequence[str] = ()
    statuses: Mapping[str, list[str]] | None = field(default=None, repr=False)
    ages: Mapping[str, list[float | None]] | None = field(default=None, repr=False)

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def to_dict(self) -> dict[str, list[Any]]:
        """Return the values by column."""
        return {name: self.table.column(name).to_pylist() for name in self.table.column_names}

    def to_arrow(self) -> pa.Table:
        """Return the values as an Arrow table."""
        return self.table

    def to_polars(self) -> pl.DataFrame:
        """Return the values as a Polars frame."""
        import polars as pl

        found = pl.from_arrow(self.table)
        assert isinstance(found, pl.DataFrame)
        return found

    def to_pandas(self) -> pd.DataFrame:
        """Return the values as a pandas frame."""
        return self.table.to_pandas()
