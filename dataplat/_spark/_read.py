"""A version as partitions of Spark: each a few parts, read where a task runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pyspark.sql.datasource import DataSourceReader, InputPartition

from dataplat.errors import SchemaMismatch

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql.types import StructType

    from dataplat._spark._source import Settings
    from dataplat._version import Version
    from dataplat.lake.part import Part
    from dataplat.lake.where import Where

GROUP = 64 << 20
"""Bytes of parts that one task reads, if one part has no more: a part that has its full size is a task of its own."""

_PARTS = 256
"""Parts that one task reads at most: to open one takes as long as to read a good deal of it."""


class Parts(InputPartition):
    """The parts that one task reads."""

    def __init__(self, parts: Sequence[Part]) -> None:
        super().__init__(None)
        self.parts = list(parts)


class Reader(DataSourceReader):
    """Reads a version in tasks: of `settings.where` the rows that it selects, from the parts that may hold any.

    It takes no filters of Spark's (`pushFilters`): Spark 4.2.0 keeps them with the frame, so that what is asked of it
    next, without a filter, gets the rows of the filter before.
    """

    def __init__(self, settings: Settings, reference: str, schema: StructType) -> None:
        self.settings = settings
        self.reference = reference
        self.spark_schema = schema
        version = settings.open()[reference]
        self.stored = version.manifest.schema
        check_asked(schema, version.schema)
        self._where()  # a wrong one is an error now
        self._version: Version | None = version

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_version": None}  # a task reads what it was given, and no manifest

    def partitions(self) -> list[InputPartition]:
        """Return groups of the parts that may hold rows which are asked for."""
        assert self._version is not None
        found = [part for part in self._version.manifest.parts(self._where()) if part.live]
        plain = [replace(part, stats={}) for part in found]  # a task has no use for what pruned
        return [Parts(some) for some in grouped(plain, GROUP)]

    def read(self, partition: InputPartition) -> Iterator[pa.RecordBatch]:
        """Yield the rows of a partition."""
        from pyspark.sql.pandas.types import to_arrow_schema

        from dataplat.connectors.spark.types import handed
        from dataplat.lake.scan import scan

        parts = getattr(partition, "parts", [])
        wanted = to_arrow_schema(self.spark_schema, timezone="UTC")
        objects = self.settings.open().objects
        for batch in scan(objects, parts, self.stored, columns=wanted.names, where=self._where()):
            yield handed(batch, wanted)

    def _where(self) -> Where | None:
        from dataplat.lake.schema import plain_schema
        from dataplat.lake.where import Where

        where = self.settings.where
        return None if where is None else Where.loads(where, plain_schema(self.stored))


def check_asked(asked: StructType, schema: pa.Schema) -> None:
    """Check a schema that a user asks for: some columns of the version, as they are.

    Raises:
        SchemaError: A column is not there, or Spark has no type for it.
        SchemaMismatch: It has another type.
    """
    from dataplat.connectors.spark.types import spark_schema
    from dataplat.lake.scan import project

    there = spark_schema(project(schema, asked.names))
    for mine, theirs in zip(asked.fields, there.fields, strict=True):
        if mine.dataType != theirs.dataType:
            raise SchemaMismatch(
                f"column {mine.name!r} is {theirs.dataType.simpleString()} in the version, and "
                f"{mine.dataType.simpleString()} was asked for: leave .schema(…) out, and cast it in Spark"
            )


def grouped(parts: Sequence[Part], size: int = GROUP) -> Iterator[list[Part]]:
    """Yield parts in their order, as many together as have `size` bytes, in groups as even as they can be.

    The last group is no rest: a task that begins last and takes longest is what everybody waits for.
    """
    weights = [max(part.size, size // _PARTS) for part in parts]
    total = sum(weights)
    share = total / max(1, -(-total // size))
    some: list[Part] = []
    held = done = groups = 0
    for part, weight in zip(parts, weights, strict=True):
        if some and (held + weight > size or done + weight / 2 > share * (groups + 1)):
            yield some
            some, held, groups = [], 0, groups + 1
        some.append(part)
        held += weight
        done += weight
    if some:
        yield some
