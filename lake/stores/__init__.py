"""Stores: named immutable bytes, with atomic create-if-absent. One back-end per file; behaviour is added by wrappers."""

from __future__ import annotations

from dataplat.lake.stores._address import Address
from dataplat.lake.stores._caching import CachingStore, cache_of, uncached
from dataplat.lake.stores._durable import explained
from dataplat.lake.stores._file import FileStore
from dataplat.lake.stores._measure import Measures, measure
from dataplat.lake.stores._memory import MemoryStore
from dataplat.lake.stores._object_cache import ObjectCache
from dataplat.lake.stores._open import open_store
from dataplat.lake.stores._probe import ProbeCheck, ProbeReport, probe
from dataplat.lake.stores._protocol import (
    Bytes,
    Draft,
    ObjectInfo,
    Store,
    SupportsConcurrency,
    SupportsDrafts,
    SupportsFiles,
    SupportsReplace,
    SupportsUrl,
    clock_step_of,
    concurrency_of,
    settles,
)
from dataplat.lake.stores._retrying import RetryingStore
from dataplat.lake.stores._wrapper import Operation, StoreWrapper

__all__ = [
    "Address",
    "Bytes",
    "CachingStore",
    "Draft",
    "FileStore",
    "Measures",
    "MemoryStore",
    "ObjectCache",
    "ObjectInfo",
    "Operation",
    "ProbeCheck",
    "ProbeReport",
    "RetryingStore",
    "Store",
    "StoreWrapper",
    "SupportsConcurrency",
    "SupportsDrafts",
    "SupportsFiles",
    "SupportsReplace",
    "SupportsUrl",
    "cache_of",
    "clock_step_of",
    "concurrency_of",
    "explained",
    "measure",
    "open_store",
    "probe",
    "settles",
    "uncached",
]
