"""Ingestion: from a source to a commit, with rejects, quarantine and a plan."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dataplat.ingest._ingest import ingest, plan_ingest
    from dataplat.ingest._plan import IngestPlan
    from dataplat.ingest._progress import Progress
    from dataplat.ingest._replay import ReplayResult
    from dataplat.ingest._request import IngestRequest
    from dataplat.ingest._result import IngestResult
    from dataplat.ingest._stream_options import StreamOptions
    from dataplat.ingest._stream_verify import StreamProof

_HOMES = {
    "IngestPlan": "_plan",
    "IngestRequest": "_request",
    "IngestResult": "_result",
    "Progress": "_progress",
    "ReplayResult": "_replay",
    "StreamOptions": "_stream_options",
    "StreamProof": "_stream_verify",
    "ingest": "_ingest",
    "plan_ingest": "_ingest",
}

__all__ = [
    "IngestPlan",
    "IngestRequest",
    "IngestResult",
    "Progress",
    "ReplayResult",
    "StreamOptions",
    "StreamProof",
    "ingest",
    "plan_ingest",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        message = f"module 'dataplat.ingest' has no attribute {name!r}"
        raise AttributeError(message)
    return getattr(importlib.import_module(f"dataplat.ingest.{_HOMES[name]}"), name)
