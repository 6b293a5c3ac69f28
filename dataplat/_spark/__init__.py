"""Spark reads and writes lakes: `spark.read.format("dataplat")`, `version.to_spark(spark)`."""

from __future__ import annotations

from dataplat._spark._source import DataplatSource

DefaultSource = DataplatSource

__all__ = ["DataplatSource", "DefaultSource"]
