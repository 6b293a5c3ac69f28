"""Take a version out of the lake: Parquet, CSV, NDJSON or Arrow files, or the tree of files that it was made of."""

from __future__ import annotations

from dataplat.versioning.export._export import FORMATS, ExportResult, export

__all__ = ["FORMATS", "ExportResult", "export"]
