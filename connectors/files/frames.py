"""Tables in memory as a source: Arrow, pandas, Polars."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from typing import Any

import pyarrow as pa

from dataplat.connectors.files._arrange import arranged
from dataplat.connectors.files._options import FileOptions
from dataplat.connectors.files._widen import plain
from dataplat.connectors.source import Item, Position, Progress, Split
from dataplat.errors import SchemaMismatch, SourceError
from dataplat.lake.arrow_alone import let_pandas_in

BATCH_ROWS = 131_072


class FrameSource:
    """An Arrow table, batch or reader, a pandas frame, a Polars frame or lazy frame. It keeps no position.

    A reader can be read once. Anything with `__arrow_c_stream__` is taken, too. Raises `SourceError` for others.
    """

    def __init__(self, frame: Any, options: FileOptions) -> None:
        self._name = type(frame).__name__
        self._options = options
        self._frame = frame if isinstance(frame, pa.RecordBatchReader) else _table(frame)
        self._read = False

    @property
    def name(self) -> str:
        """What kind of table it is."""
        return self._name

    @property
    def is_text(self) -> bool:
        """Rows carry types of their own."""
        return False

    def plan(self, positions: Mapping[str, Position | None]) -> list[Split]:
        """Return the one split there is."""
        nbytes = self._frame.nbytes if isinstance(self._frame, pa.Table) else None
        return [Split("", self._name, nbytes=nbytes)]

    def schema(self) -> pa.Schema:
        """Return the table's schema without encodings, or the one asked for and what the table has besides."""
        found = pa.schema([(field.name, plain(field.type)) for field in self._frame.schema])
        wanted = self._options.schema
        if wanted is None:
            return found
        missing = [name for name in wanted.names if name not in set(found.names)]
        extra = [field for field in found if field.name not in set(wanted.names)]
        if missing or (extra and self._options.extra == "error"):
            names = [field.name for field in extra]
            raise SchemaMismatch(f"{self._name}: columns {missing} are missing, columns {names} are not in the schema")
        return pa.schema([*wanted, *extra])

    def read(self, split: Split, on_progress: Progress | None = None) -> Generator[Item, None, None]:
        """Yield the rows in batches."""
        schema = self.schema()
        row = 0
        for batch in self._batches():
            for begin in range(0, batch.num_rows, BATCH_ROWS):
                piece = batch.slice(begin, BATCH_ROWS)
                yield arranged(piece, schema, self._name, row)
                row += piece.num_rows
                if on_progress is not None:
                    on_progress(row, None)

    def _batches(self) -> Iterator[pa.RecordBatch]:
        if isinstance(self._frame, pa.Table):
            yield from self._frame.to_batches(max_chunksize=BATCH_ROWS)
            return
        if self._read:
            raise SourceError(f"{self._name} was read already: a reader can be read once")
        self._read = True
        yield from self._frame

    def position(self, split: Split) -> Position | None:
        """Return None: a table in memory has no position."""
        return None


def _table(frame: Any) -> pa.Table:
    if isinstance(frame, pa.Table):
        return frame
    if isinstance(frame, pa.RecordBatch):
        return pa.Table.from_batches([frame])
    module = type(frame).__module__.partition(".")[0]
    if module == "polars":
        return (frame.collect(engine="streaming") if hasattr(frame, "collect") else frame).to_arrow()
    if module == "pandas":
        return _from_pandas(frame)
    if hasattr(frame, "__arrow_c_stream__"):
        return pa.table(frame)
    raise SourceError(
        f"a {type(frame).__module__}.{type(frame).__name__} is no source: give a path, or an Arrow, pandas or Polars table"
    )


def _from_pandas(frame: Any) -> pa.Table:
    """Return a pandas frame's columns; an index with a name becomes a column, an unnamed default one does not."""
    let_pandas_in()
    named = [name for name in frame.index.names if name is not None]
    try:
        return pa.Table.from_pandas(frame, preserve_index=bool(named)).replace_schema_metadata(None)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise SourceError(f"the pandas frame has a column that Arrow cannot hold: {error}") from error
