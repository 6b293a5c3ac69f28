"""What commits changed, row by row: a stream that tells of rows that go, too, in a column beside the dataset's own.

A row that came is `added`, one that went is `removed`, one that has other values under its key is `changed`, and comes
as it is now: as a diff names them. Spark keeps no order between rows, so each says when its commit was.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from pyspark.sql.datasource import InputPartition

from dataplat._spark._read import Parts
from dataplat.errors import ConfigError
from dataplat.lake.scan import scan
from dataplat.lake.schema import stored_name
from dataplat.versioning.diff import Diff
from dataplat.versioning.manifest import load_manifest

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql.types import StructType

    from dataplat.lake.objects import Objects
    from dataplat.lake.part import Part

CHANGE: Final = "_change"
AT: Final = "_changed_at"


def with_change(schema: StructType) -> StructType:
    """Return the columns of a dataset with those that say what became of a row, and when.

    Raises:
        ConfigError: The dataset has a column of such a name.
    """
    from pyspark.sql.types import StringType, StructType, TimestampType

    for name in (CHANGE, AT):
        if name in schema.names:
            raise ConfigError(
                f'the dataset has a column {name!r}, which .option("changes", "rows") adds: leave it out with '
                '.option("columns", …), or rename it'
            )
    return StructType(schema.fields).add(CHANGE, StringType(), nullable=False).add(AT, TimestampType(), nullable=False)


def columns_of(names: Sequence[str]) -> list[str]:
    """Return the columns of the dataset among those of a stream."""
    return [name for name in names if name not in {CHANGE, AT}]


class Came(Parts):
    """Parts of which all rows were added, by a commit at `time`."""

    def __init__(self, parts: Sequence[Part], time: int) -> None:
        super().__init__(parts)
        self.time = time

    def rows(self, objects: Objects, stored: pa.Schema, names: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Yield the rows, as columns `names` of the schema `stored`."""
        for batch in scan(objects, self.parts, stored, columns=names):
            yield _said(batch, "added", self.time)


class Differing(InputPartition):
    """Two versions, before and after a commit at `time`: rows that went, too. One task compares them."""

    def __init__(self, before: str, after: str, time: int) -> None:
        super().__init__(None)
        self.before, self.after, self.time = before, after, time

    def rows(self, objects: Objects, stored: pa.Schema, names: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Yield the rows that differ, as columns `names` of the schema `stored`."""
        import pyarrow as pa

        before, after = load_manifest(objects, self.before), load_manifest(objects, self.after)
        there = {stored_name(column): column.name for column in after.schema}
        wanted = [stored.field(name) for name in names]
        diff = Diff(objects, before, after)
        for kind, rows in (("removed", diff.removed), ("changed", diff.now), ("added", diff.added)):
            columns = [_column(rows, there.get(stored_name(field)), field.type) for field in wanted]
            for batch in pa.table(columns, list(names)).to_batches():
                yield _said(batch, kind, self.time)


def _column(rows: pa.Table, name: str | None, kind: pa.DataType) -> pa.ChunkedArray:
    """Return a column in the type that is asked for; all null where the rows are older than it."""
    import pyarrow as pa

    if name is None or name not in rows.column_names:
        return pa.chunked_array([pa.nulls(rows.num_rows, kind)])
    column = rows.column(name)
    return column if column.type == kind else column.cast(kind)


def _said(batch: pa.RecordBatch, kind: str, time: int) -> pa.RecordBatch:
    """Return rows with what became of them."""
    import pyarrow as pa

    kinds = pa.repeat(pa.scalar(kind), batch.num_rows)
    times = pa.repeat(pa.scalar(time, pa.timestamp("us", "UTC")), batch.num_rows)
    return pa.RecordBatch.from_arrays([*batch.columns, kinds, times], [*batch.schema.names, CHANGE, AT])
