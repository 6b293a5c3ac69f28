"""SQL over pinned versions; a result can become a version itself, whose lineage names what it was made from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dataplat._table_names import table_names
from dataplat.errors import DatasetNotFound, PredicateError, RefError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import duckdb
    import pandas as pd
    import polars as pl
    import pyarrow as pa

    from dataplat._lake import Lake
    from dataplat._version import Version
    from dataplat.ingest import IngestResult


class Query:
    """One SELECT over versions of datasets, named as quoted references: `select … from "flights@v1"`.

    References are resolved once, when the query is made, so that every run of it reads the same rows.
    Files and Python variables cannot be read: the answer depends on the named versions alone.
    """

    def __init__(self, lake: Lake, text: str, branch: str = "main") -> None:
        self.text = text
        self._lake = lake
        self.inputs: Mapping[str, Version] = {name: _pin(lake, name, branch) for name in sorted(table_names(text))}
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
        import polars as pl

        return pl.DataFrame(self.to_arrow())

    def to_pandas(self) -> pd.DataFrame:
        """Return the whole result as a pandas frame with Arrow-backed columns."""
        from dataplat._frames import to_pandas

        return to_pandas(self.to_arrow())

    def commit(self, into: str, *, mode: str = "replace", **options: Any) -> IngestResult:
        """Land the result as a version of the dataset `into`; takes the options of `Lake.ingest`."""
        options.setdefault("branch", self._branch)
        lineage = [(version.dataset, version.id) for version in self.inputs.values()]
        return self._lake.ingest(self._reader(), into, mode=mode, lineage=lineage, sql=self.text, **options)

    def __repr__(self) -> str:
        pins = ", ".join(f"{name} = {version.id[:12]}" for name, version in self.inputs.items())
        return f"Query({self.text!r}; {pins})"

    def _reader(self, rows: int = 65_536) -> pa.RecordBatchReader:
        return _run(self._connection(), self.text).to_arrow_reader(rows)

    def _connection(self) -> duckdb.DuckDBPyConnection:
        from dataplat._duckdb import close_off, connect, register

        connection = connect()
        for name, version in self.inputs.items():
            register(connection, name, version)
        close_off(connection, self.inputs.values())
        return connection


def _pin(lake: Lake, name: str, branch: str) -> Version:
    try:
        return lake[name if "@" in name else f"{name}@{branch}"]
    except DatasetNotFound as error:
        message = f'the query reads {name!r}, but {error}. A name with a dot or an @ must be quoted: "events.rejects".'
        raise DatasetNotFound(message) from error
    except RefError as error:
        message = f"the query reads {name!r}: {error}"
        raise type(error)(message) from error


def _run(connection: duckdb.DuckDBPyConnection, text: str) -> Any:
    import duckdb

    try:
        return connection.sql(text)
    except duckdb.Error as error:
        message = f"the query failed: {error}"
        raise PredicateError(message) from error
