"""Addresses of what Spark reads itself: `spark://FORMAT/PATH?option=value`.

    spark://orc/s3a://bucket/days            a path, of this folder, absolute, or of a file system that Spark knows
    spark://csv/data/days.csv?header=true    options of Spark's reader
    spark://jdbc?url=jdbc:postgresql://…&dbtable=orders&user=me&password=env:ORDERS_PASSWORD
    spark://table/sales.orders               a table or view by its name

Characters that mean something in a URL (`%`, `&`, `?`, `+`) are written as `%XX` in options.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from dataplat.config import Secret
from dataplat.errors import ConfigError

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession

SCHEME = "spark://"
_HIDDEN = ("password", "secret", "token", "jaas.config")
"""How options end whose value may be `env:NAME` or `file:PATH`."""
_ASKS = re.compile(r"//[^/]*@")
_PARSED = ("csv", "json", "xml", "text")
"""Formats whose records may be broken; what Spark makes of such by default is null."""


def is_spark(source: object) -> bool:
    """Say whether a source is one that Spark reads itself."""
    return isinstance(source, str) and source.startswith(SCHEME)


@dataclass(frozen=True, slots=True)
class SparkAddress:
    """What Spark is to read.

    Attributes:
        format: `csv`, `orc`, `jdbc`, …, or `table`.
        path: where, or the name of a table; empty where options say it.
        options: those of Spark's reader; they may hold secrets.
    """

    format: str
    path: str
    options: Mapping[str, str] = field(default_factory=dict, repr=False)

    @classmethod
    def parse(cls, text: str) -> SparkAddress:
        """Read an address.

        Raises:
            ConfigError: It is none.
        """
        place, _, query = text.removeprefix(SCHEME).partition("?")
        kind, _, path = place.partition("/")
        if not kind or not kind.replace(".", "").replace("_", "").replace("-", "").isalnum():
            raise ConfigError(
                f"{SCHEME}{place} names no format of Spark: write spark://orc/PATH, spark://jdbc?url=…&dbtable=… or "
                "spark://table/NAME (where Spark runs is said by --master)"
            )
        if kind == "table" and not path:
            raise ConfigError("spark://table names no table: write spark://table/NAME")
        return cls(kind, path, dict(parse_qsl(query, keep_blank_values=True)))

    @property
    def label(self) -> str:
        """What people call it: without options, and without who asks, which may be secret."""
        name = self.path or self.options.get("dbtable") or self.options.get("subscribe") or ""
        return f"{SCHEME}{self.format}/{_ASKS.sub('//', name)}".rstrip("/")

    def read(self, session: SparkSession, schema: pa.Schema | None) -> DataFrame:
        """Return the frame that Spark reads.

        Records of text that do not fit stop it, unless `mode` says otherwise: Spark would take them for null.
        """
        if self.format == "table":
            return session.read.options(**self._told()).table(self.path)
        reader = session.read.format(self.format).options(**self._told())
        if schema is not None:
            from dataplat.connectors.spark.types import spark_schema

            reader = reader.schema(spark_schema(schema))
        return reader.load(_absolute(self.path)) if self.path else reader.load()

    def _told(self) -> dict[str, Any]:
        told = {name: _revealed(name, value) for name, value in self.options.items()}
        if self.format in _PARSED and "mode" not in {name.lower() for name in told}:
            told["mode"] = "FAILFAST"
        return told


def _revealed(name: str, value: str) -> str:
    refers = name.lower().endswith(_HIDDEN) and value.startswith(("env:", "file:"))
    return Secret(value, name).reveal() if refers else value


def _absolute(path: str) -> str:
    return path if "://" in path else str(Path(path).expanduser().absolute())
