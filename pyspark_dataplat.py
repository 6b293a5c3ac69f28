"""The name under which Spark looks for `spark.read.format("dataplat")`: the data source, loaded when it is asked for."""

from dataplat._spark._source import DataplatSource as DefaultSource

__all__ = ["DefaultSource"]
