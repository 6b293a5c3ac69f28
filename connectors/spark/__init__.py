"""Spark: its types, its filters, and sessions that have the jars that lakes need. The data source is in the face."""
