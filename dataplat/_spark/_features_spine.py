"""A frame of Spark's as a spine: tasks write its rows as parts, so that they stay away from the driver."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataplat._features._spine import Landed
from dataplat._spark._features import spark_of
from dataplat._spark._ingest import rows_of_frame
from dataplat.connectors.spark.types import landed
from dataplat.ingest._task import TaskPlan
from dataplat.lake.schema import canonical_schema

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from dataplat._features._store import FeatureStore
    from dataplat.lake.engine import Engine


def landed_spine(engine: str | Engine, store: FeatureStore, frame: DataFrame) -> Landed:
    """Return the rows of a frame in the order of its partitions; no version names them.

    Raises:
        ConfigError: The lake is in the memory of this process, where tasks are not.
        SchemaMismatch: A lake has no type for a column.
        EngineError: Spark gave up.
    """
    spark_of(engine, store)
    incoming = landed(frame.schema)
    stored = canonical_schema(incoming)
    objects = store.lake.objects
    wrote = rows_of_frame(objects, TaskPlan(incoming, stored, (), (), rejecting=False), frame, "the spine")
    return Landed(objects, tuple(part for each in wrote for part in each.parts), stored)
