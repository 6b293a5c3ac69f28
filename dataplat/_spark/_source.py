"""The data source: what Spark asks for when it reads `format("dataplat")`, and when it writes to it.

    spark.read.format("dataplat").option("lake", URL).load("flights@v3")
    frame.write.format("dataplat").option("lake", URL).mode("append").save("flights")

It is pickled and sent to other processes: it holds words, and opens the lake where it is.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from pyspark.sql.datasource import DataSource, DataSourceArrowWriter, DataSourceReader

from dataplat.errors import ConfigError

if TYPE_CHECKING:
    from pyspark.sql.types import StructType

    from dataplat._lake import Lake


@dataclass(frozen=True)
class Settings:
    """The options of a read or write, checked."""

    lake: str
    dataset: str
    columns: tuple[str, ...] | None
    store: Mapping[str, str]

    @classmethod
    def of(cls, options: Mapping[str, str]) -> Settings:
        """Check options.

        Raises:
            ConfigError: The dataset or lake is missing.
        """
        dataset = options.get("path")
        if not dataset:
            raise ConfigError('say which dataset: .load("flights@v3"), or .save("flights")')
        lake = options.get("lake") or os.environ.get("DATAPLAT_LAKE")
        if not lake:
            raise ConfigError('say where the lake is: .option("lake", URL), or DATAPLAT_LAKE in the environment')
        columns = options.get("columns")
        names = None if columns is None else tuple(name.strip() for name in columns.split(","))
        store = {
            name.lower().removeprefix("store."): value
            for name, value in options.items()
            if name.lower().startswith("store.")
        }
        return cls(lake, dataset, names, store)

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

    @cached_property
    def settings(self) -> Settings:
        """What was asked for."""
        return Settings.of(self.options)

    def schema(self) -> StructType:
        """Return the columns of the version that is named now; what is read later is this version, whoever commits meanwhile."""
        from dataplat.connectors.spark.types import spark_schema
        from dataplat.lake.scan import project

        version = self.settings.open()[self.settings.dataset]
        self._pinned = f"{version.dataset}@id:{version.id}"
        return spark_schema(project(version.schema, self.settings.columns))

    def reader(self, schema: StructType) -> DataSourceReader:
        """Return what reads the version."""
        from dataplat._spark._read import reader

        return reader(self.settings, self._pinned or self.settings.dataset, schema)

    def writer(self, schema: StructType, overwrite: bool) -> DataSourceArrowWriter:  # noqa: FBT001  (Spark's name)
        """Return what writes a version."""
        from dataplat._spark._write import Writer

        return Writer.of(self.settings, self.options, schema, overwrite=overwrite)
