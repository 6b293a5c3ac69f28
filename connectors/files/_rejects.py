"""Collect records that could not be read."""

from __future__ import annotations

from dataclasses import dataclass, field

import pyarrow as pa

from dataplat.connectors.source import Rejects, rejects_schema

NEVER_NULL = "null, but the column is declared as never null"


@dataclass(slots=True)
class RejectsBuilder:
    """Rejected records of one block. `source` names the input; positions are those of `rejects_schema()`."""

    source: str
    _rows: list[tuple[int | None, int | None, int | None, str | None, str, bytes]] = field(default_factory=list)

    def add(
        self, *, line: int | None, row: int | None, offset: int | None, column: str | None, error: str, raw: bytes
    ) -> None:
        """Add one record."""
        self._rows.append((line, row, offset, column, error, raw))

    def __bool__(self) -> bool:
        return bool(self._rows)

    def build(self) -> Rejects:
        """Return what was added, in the order of the input."""
        line, row, offset, column, error, raw = zip(*self._rows, strict=True)
        arrays = [[self.source] * len(raw), line, row, offset, column, error, raw]
        schema = rejects_schema()
        columns = [pa.array(values, kind) for values, kind in zip(arrays, schema.types, strict=True)]
        return Rejects(pa.RecordBatch.from_arrays(columns, schema=schema))


def shift_rows(rejects: Rejects, rows: int) -> Rejects:
    """Return the rejects of a block that has `rows` records before it in its file."""
    import pyarrow.compute as pc

    index = rejects.batch.schema.get_field_index("row")
    return Rejects(rejects.batch.set_column(index, "row", pc.add(rejects.batch.column(index), rows)))


def shown(value: bytes | str | None, limit: int = 60) -> str:
    """Return a value as messages quote it: cut, and with what cannot be printed escaped."""
    if value is None:
        return "null"
    text = value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else value
    return repr(text if len(text) <= limit else text[:limit] + "…")
