"""SQL over pinned versions; a result can become a version itself, whose lineage names what it was made from."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar, Unpack

from dataplat._table_names import first_alike, table_names
from dataplat.errors import DataplatError, DatasetNotFound, PredicateError, RefError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import duckdb
    import pandas as pd
    import polars as pl
    import pyarrow as pa

    from dataplat._lake import Lake
    from dataplat._version import Version
    from dataplat.ingest import IngestResult
    from dataplat.ingest._progress import Listener
    from dataplat.ingest._request import IngestOptions

Result = TypeVar("Result")


class Query:
    """One SELECT over versions of datasets, named as quoted references: `select … from "flights@v1"`.

    References are resolved once, when the query is made, so that every run of it reads the same rows.
    Files and Python variables cannot be read: the answer depends on the named versions alone.
    """

    def __init__(self, lake: Lake, text: str, branch: str = "main") -> None:
        self.text = text
        self._lake = lake
        self.inputs: Mapping[str, Version] = {name: _pin(lake, name, branch) for name in _names(text)}
        self._branch = branch

    def batches(self, rows: int = 65_536) -> Iterator[pa.RecordBatch]:
        """Stream the result in batches of `rows` rows."""
        yield from self._reader(rows)

    @property
    def schema(self) -> pa.Schema:
        """The result's columns and types."""
        return self._reader(1).schema

    def to_arrow(self) -> pa.Table:
        """Return the whole result as an Arrow table."""
        return self._reader().read_all()

    def to_polars(self) -> pl.DataFrame:
        """Return the whole result as a Polars frame."""
        from dataplat._frames import to_polars

        return to_polars(self.to_arrow())

    def to_pandas(self) -> pd.DataFrame:
        """Return the whole result as a pandas frame with Arrow-backed columns."""
        from dataplat._frames import to_pandas

        return to_pandas(self.to_arrow())

    def commit(self, into: str, *, progress: Listener | None = None, **options: Unpack[IngestOptions]) -> IngestResult:
        """Land the result as a version of the dataset `into`; takes the options of `Lake.ingest`.

        The mode is replace unless another is given, the branch that of the query.
        """
        options.setdefault("mode", "replace")
        options.setdefault("branch", self._branch)
        options["lineage"] = [(version.dataset, version.id) for version in self.inputs.values()]
        options["sql"] = self.text
        return self._lake.ingest(self._reader, into, progress=progress, **options)  # run again where it was outrun

    def __repr__(self) -> str:
        pins = ", ".join(f"{name} = {version.id[:12]}" for name, version in self.inputs.items())
        return f"Query({self.text!r}; {pins})"

    def _reader(self, rows: int = 65_536) -> pa.RecordBatchReader:
        import pyarrow as pa

        failed: list[DataplatError] = []
        reader = explained(lambda: self._connection(failed).sql(self.text).to_arrow_reader(rows), failed)
        return pa.RecordBatchReader.from_batches(reader.schema, _read(reader, failed))

    def _connection(self, failed: list[DataplatError]) -> duckdb.DuckDBPyConnection:
        from dataplat._duckdb import close_off, connect, register

        connection = connect()
        inputs = self.inputs.items()
        files = [path for name, version in inputs for path in register(connection, name, version, failed.append)]
        close_off(connection, files)
        return connection


def _names(text: str) -> list[str]:
    """Return the names that a query reads; raise `PredicateError` for two that SQL cannot tell apart."""
    names = sorted(table_names(text))
    if alike := first_alike(names):
        message = (
            f"the query reads {alike[0]!r} and {alike[1]!r}, which differ only in case: SQL cannot tell them apart"
        )
        raise PredicateError(message)
    return names


def _pin(lake: Lake, name: str, branch: str) -> Version:
    dataset, tilde, back = name.partition("~")
    try:
        return lake[name if "@" in name else f"{dataset}@{branch}{tilde}{back}"]
    except DatasetNotFound as error:
        hint = 'a name with a dot or an @ must be quoted: "events.rejects"; files are read by ingest alone'
        message = f"the query reads {name!r}: {error} ({hint})"
        raise DatasetNotFound(message) from error
    except RefError as error:
        message = f"the query reads {name!r}: {error}"
        raise type(error)(message) from error


def _read(reader: pa.RecordBatchReader, failed: Sequence[DataplatError]) -> Iterator[pa.RecordBatch]:
    while True:
        try:
            yield explained(reader.read_next_batch, failed)
        except StopIteration:
            return


def explained(step: Callable[[], Result], failed: Sequence[DataplatError] = ()) -> Result:
    """Do a step of a query; raise `PredicateError` with what DuckDB says where it fails, at once or on a later row.

    What reading an input `failed` with, of which DuckDB hands on no more than a text, is raised as it is.
    """
    import duckdb
    import pyarrow as pa

    try:
        return step()
    except (duckdb.Error, pa.ArrowException, OSError) as error:
        if isinstance(error, DataplatError):
            raise
        if failed:
            raise failed[0] from error
        message = f"the query failed: {error}"
        raise PredicateError(message) from error
