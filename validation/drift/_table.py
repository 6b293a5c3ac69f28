"""Columns that are summarised exactly, each when it is asked for, so that few are in memory at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from dataplat.validation.drift._column import Column, column_of, kind_of

if TYPE_CHECKING:
    import pyarrow as pa


class TableColumns(Mapping[str, Column]):
    """Exact columns of a table, or of whatever `read` reads by name; nested ones are left out."""

    def __init__(self, schema: pa.Schema, read: Callable[[str], pa.ChunkedArray]) -> None:
        self._read = read
        self._names = [field.name for field in schema if kind_of(field.type) is not None]

    @classmethod
    def of(cls, table: pa.Table) -> TableColumns:
        """Return the columns of a table in memory."""
        return cls(table.schema, table.column)

    def __getitem__(self, name: str) -> Column:
        if name not in self._names:
            raise KeyError(name)
        return column_of(self._read(name))

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)
