"""The columns of an Arrow table, each summarised when it is asked for, so that few are in memory at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from dataplat.validation.drift._column import Column, column_of, kind_of

if TYPE_CHECKING:
    import pyarrow as pa


class TableColumns(Mapping[str, Column]):
    """Exact columns of a table; nested ones are left out."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table
        self._names = [field.name for field in table.schema if kind_of(field.type) is not None]

    def __getitem__(self, name: str) -> Column:
        if name not in self._names:
            raise KeyError(name)
        return column_of(self._table.column(name))

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)
