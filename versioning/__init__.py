"""Which data: manifests, commits, refs, rebase, diff."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if not __name__.startswith("dataplat."):  # a second copy of every class would differ from the first
    raise ImportError("import it as dataplat.versioning: the repository root on sys.path gives a second copy")

if TYPE_CHECKING:
    from dataplat.versioning.commit import Commit
    from dataplat.versioning.diff import Diff, DiffSummary, SchemaChange
    from dataplat.versioning.manifest import Manifest
    from dataplat.versioning.refs import Record, Refs, Tag

_HOMES = {
    "Commit": "commit",
    "Diff": "diff",
    "DiffSummary": "diff",
    "Manifest": "manifest",
    "Record": "refs",
    "Refs": "refs",
    "SchemaChange": "diff",
    "Tag": "refs",
}

__all__ = ["Commit", "Diff", "DiffSummary", "Manifest", "Record", "Refs", "SchemaChange", "Tag"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        message = f"module 'dataplat.versioning' has no attribute {name!r}"
        raise AttributeError(message)
    return getattr(importlib.import_module(f"dataplat.versioning.{_HOMES[name]}"), name)
