"""Spark reads and writes lakes: `spark.read.format("dataplat")`, `version.to_spark(spark)`.

Nothing is imported here: what needs pyspark says so itself, where there is none.
"""
