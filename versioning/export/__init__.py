"""Take a version out of the lake: files, the tree of files that it was made of, or what DVC, Delta and Iceberg read."""

from __future__ import annotations

from dataplat.versioning.export._export import FORMATS, export
from dataplat.versioning.export._target import ExportResult, Origin
from dataplat.versioning.export._tree import is_tree

__all__ = ["FORMATS", "ExportResult", "Origin", "export", "is_tree"]
