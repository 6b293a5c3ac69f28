"""Take a version out of the lake: files, the tree of files that it was made of, or what DVC, Delta and Iceberg read."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dataplat.versioning.export._export import FORMATS, export
    from dataplat.versioning.export._target import ExportResult, Origin
    from dataplat.versioning.export._tree import is_tree

_HOMES = {"FORMATS": "_export", "ExportResult": "_target", "Origin": "_target", "export": "_export", "is_tree": "_tree"}

__all__ = ["FORMATS", "ExportResult", "Origin", "export", "is_tree"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"dataplat.versioning.export.{_HOMES[name]}"), name)
