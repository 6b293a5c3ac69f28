"""Rows of Spark as a version: tasks write parts, the driver commits them once.

What a task wrote that failed, or was tried twice, nothing names: a collection removes it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pyspark.sql.datasource import DataSourceArrowWriter, WriterCommitMessage

from dataplat.errors import ConfigError

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql.types import StructType

    from dataplat._spark._source import Settings
    from dataplat.ingest._request import IngestRequest
    from dataplat.lake.part import Part

MODES = ("append", "replace", "upsert", "delete")


@dataclass
class Parts(WriterCommitMessage):
    """What one task wrote."""

    parts: list[Part]


class Writer(DataSourceArrowWriter):
    """Writes rows as parts, and commits them."""

    def __init__(self, settings: Settings, request: IngestRequest, schema: pa.Schema, *, deletes: bool) -> None:
        self.settings, self.request, self.deletes = settings, request, deletes
        self.schema = schema
        self.stored, self.key, self.sort = self._planned()

    @classmethod
    def of(cls, settings: Settings, options: Mapping[str, str], schema: StructType, *, overwrite: bool) -> Writer:
        """Check what is asked for, before a task starts.

        Raises:
            ConfigError: An option makes no sense.
            SchemaMismatch: The rows do not fit the dataset.
        """
        from dataplat.connectors.spark.types import landed
        from dataplat.ingest._request import request_of

        mode = options.get("mode") or ("replace" if overwrite else "append")
        if mode not in MODES:
            raise ConfigError(f"unknown mode {mode!r}: it is one of {', '.join(MODES)}")
        if overwrite and mode != "replace":
            raise ConfigError(
                f'.mode("overwrite") replaces all rows, and .option("mode", {mode!r}) does not: use .mode("append")'
            )
        names = ("key", "sort", "order", "branch", "message")
        given: dict[str, Any] = {name: options[name] for name in names if options.get(name)}
        deletes = mode == "delete"
        request = request_of("spark", settings.dataset, mode="upsert" if deletes else mode, **given)  # type: ignore[arg-type]
        return cls(settings, request, landed(schema), deletes=deletes)

    def _planned(self) -> tuple[pa.Schema, tuple[str, ...], tuple[str, ...]]:
        """Return what parts are written as: columns with their stored names, key, order."""
        from dataplat.ingest._draft import Draft
        from dataplat.ingest._land import base_of
        from dataplat.ingest._schema import landed_schema
        from dataplat.lake.schema import canonical_schema

        draft = Draft(self.settings.open(), self.request.branch)
        try:
            target = draft.target(self.request.into)
            if self.deletes:
                return canonical_schema(self.schema), (), ()
            whole = self.request.replaces_all
            schema = landed_schema(target.schema, self.schema, whole=whole, gone=target.gone)
            base = base_of(self.request, target, schema, draft.stage)
        finally:
            draft.stage.discard()
        return base.schema, base.key, base.sort

    def write(self, iterator: Iterator[pa.RecordBatch]) -> Parts:
        """Write the rows of a task."""
        from dataplat.lake.objects import Stage
        from dataplat.lake.parts import PartWriter
        from dataplat.lake.schema import conform, plain_schema

        with Stage(self.settings.open().store) as stage:
            with PartWriter(stage, self.stored, key=self.key, sort=self.sort) as writer:
                for batch in iterator:
                    if batch.num_rows:
                        writer.write(conform(batch, plain_schema(self.stored)))
                parts = writer.close()
            stage.flush()
        return Parts(parts)

    def commit(self, messages: list[WriterCommitMessage | None]) -> None:
        """Commit what all tasks wrote."""
        from dataplat.ingest._distributed import DistributedStep
        from dataplat.ingest._draft import carry_out
        from dataplat.ingest._progress import Meter

        parts = [part for each in messages if isinstance(each, Parts) for part in each.parts]
        step = DistributedStep(self.request, Meter(None), schema=self.schema, parts=parts, deletes=self.deletes)
        carry_out(self.settings.open(), self.request.branch, self.request.message or "", step)

    def abort(self, messages: list[WriterCommitMessage | None]) -> None:
        """Leave what was written to a collection: nothing names it."""
