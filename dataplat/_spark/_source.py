"""The data source: what Spark asks for when it reads `format("dataplat")`, and when it writes to it.

    spark.read.format("dataplat").option("lake", URL).load("flights@v3")
    frame.write.format("dataplat").option("lake", URL).mode("append").save("flights")

It is pickled and sent to other processes: it holds words, and opens the lake where it is.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pyspark.sql.datasource import (
    DataSource,
    DataSourceArrowWriter,
    DataSourceReader,
    DataSourceStreamArrowWriter,
    DataSourceStreamReader,
)

from dataplat._spark._write import ASKED, Writer
from dataplat.errors import ConfigError
from dataplat.lake.schema import did_you_mean

if TYPE_CHECKING:
    from pyspark.sql.types import StructType

    from dataplat._lake import Lake


COLUMNS = ("columns",)
READ = (*COLUMNS, "where")
WRITE = ("mode", *ASKED, "contract")
EVERYWHERE = ("path", "lake")
STORE = "store."
"""What begins the name of an option that the store takes, as a `[stores]` table of `dataplat.toml` has it."""


@dataclass(frozen=True)
class Settings:
    """Where a read or write goes, from its options, checked."""

    lake: str
    dataset: str
    columns: tuple[str, ...] | None
    store: Mapping[str, str]
    where: str | None = None

    @classmethod
    def of(cls, options: Mapping[str, str], known: Sequence[str]) -> Settings:
        """Check options; `known` are those that the caller takes besides the dataset, the lake and its store's.

        Raises:
            ConfigError: The dataset or lake is missing, or an option is not known.
        """
        names = (*EVERYWHERE, *known)
        for name in options:
            if name.lower() not in names and not name.lower().startswith(STORE):
                raise ConfigError(f"dataplat has no option {name!r} here{did_you_mean(name.lower(), names[1:])}")
        dataset = options.get("path")
        if not dataset:
            raise ConfigError('say which dataset: .load("flights@v3"), or .save("flights")')
        lake = options.get("lake") or os.environ.get("DATAPLAT_LAKE")
        if not lake:
            raise ConfigError('say where the lake is: .option("lake", URL), or DATAPLAT_LAKE in the environment')
        columns = options.get("columns")
        wanted = None if columns is None else tuple(name.strip() for name in columns.split(","))
        store = {name.lower().removeprefix(STORE): options[name] for name in options if name.lower().startswith(STORE)}
        return cls(_everywhere(lake), dataset, wanted, store, options.get("where"))

    def open(self) -> Lake:
        """Open the lake, in whatever process this is."""
        import dataplat as dp

        return dp.open(self.lake, create=False, options=dict(self.store) or None)


class DataplatSource(DataSource):
    """A dataset of a lake, to be read or written."""

    _pinned: str | None = None

    @classmethod
    def name(cls) -> str:
        """Return the name of the format."""
        return "dataplat"

    def schema(self) -> StructType:
        """Return the columns of the version that is named now; what is read later is this version, whoever commits meanwhile."""
        from dataplat._spark._stream_changes import with_change
        from dataplat._spark._stream_source import FOLLOW
        from dataplat.connectors.spark.types import spark_schema
        from dataplat.lake.scan import project

        settings = Settings.of(self.options, (*READ, *FOLLOW))  # here a stream asks, too
        version = settings.open()[settings.dataset]
        self._pinned = f"{version.dataset}@id:{version.id}"
        found = spark_schema(project(version.schema, settings.columns))
        return with_change(found) if self.options.get("changes") == "rows" else found

    def reader(self, schema: StructType) -> DataSourceReader:
        """Return what reads the version."""
        from dataplat._spark._read import Reader

        settings = Settings.of(self.options, READ)
        return Reader(settings, self._pinned or settings.dataset, schema)

    def writer(self, schema: StructType, overwrite: bool) -> DataSourceArrowWriter:  # noqa: FBT001  (Spark's name)
        """Return what writes a version."""
        return Writer.of(Settings.of(self.options, WRITE), self.options, schema, overwrite=overwrite)

    def streamReader(self, schema: StructType) -> DataSourceStreamReader:  # noqa: N802  (Spark's name)
        """Return what reads new versions as they come."""
        from dataplat._spark._stream_source import FOLLOW, Follow, StreamReader

        settings = Settings.of(self.options, (*COLUMNS, *FOLLOW))
        return StreamReader(settings, Follow.of(self.options), schema, self._pinned)

    def streamWriter(self, schema: StructType, overwrite: bool) -> DataSourceStreamArrowWriter:  # noqa: FBT001, N802
        """Return what makes versions of batches."""
        from dataplat._spark._stream_sink import BATCHES, StreamWriter

        settings = Settings.of(self.options, (*WRITE, *BATCHES))
        return StreamWriter.of(settings, self.options, schema, overwrite=overwrite)


def _everywhere(lake: str) -> str:
    """Return a path that means the same wherever tasks run."""
    return lake if "://" in lake else str(Path(lake).expanduser().absolute())
