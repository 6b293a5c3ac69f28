"""Take a version out of the lake: Parquet, CSV, NDJSON or Arrow files, or the tree of files that it was made of."""

from __future__ import annotations

from dataplat.versioning.export._export import FORMATS, ExportResult, export
from dataplat.versioning.export._tree import is_tree

__all__ = ["FORMATS", "ExportResult", "export", "is_tree"]
