"""Spark: its types, its jars, and what it reads itself. The data source is in the face."""

from __future__ import annotations

from dataplat.connectors.spark.address import is_spark

__all__ = ["is_spark"]
