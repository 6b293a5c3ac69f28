"""dataplat: data is immutable and named by its content, so everything computed from it is computed once.

    import dataplat as dp

    lake = dp.open("my-lake")
    lake.ingest("flights.csv", into="flights", key=["flight_id"])
    flights = lake["flights"]                  # a Version: immutable, named by its content
    table = flights.to_arrow(columns=["carrier", "dep_delay"], where="dep_delay > 60")

Names are resolved when they are first used: importing dataplat loads the standard library only.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dataplat import errors as errors
    from dataplat._drift import drift, outliers, skew
    from dataplat._features import FeatureStore
    from dataplat._features._client import AsyncFeatureClient, FeatureClient
    from dataplat._features._fetched import Fetched
    from dataplat._labels import LabelQueue
    from dataplat._lake import Lake, clone, open  # noqa: A004  (dp.open is the way in, like io.open)
    from dataplat._merge import MergeResult
    from dataplat._profile import profile
    from dataplat._query import Query
    from dataplat._validate import validate
    from dataplat._version import Version
    from dataplat.errors import (
        AlreadyExists,
        BadColumn,
        BadName,
        BadReference,
        BranchNotFound,
        BranchProtected,
        CommitConflict,
        CommitError,
        CommitInDoubt,
        ConfigError,
        ContractError,
        ContractFailed,
        DataplatError,
        DatasetNotFound,
        FeatureServerDenied,
        FeatureServerError,
        FeatureServerTimeout,
        IntegrityError,
        KeyConflict,
        KeyViolation,
        LabelConfigError,
        LabelError,
        LabelServerDenied,
        LabelServerError,
        LabelServerTimeout,
        LabelServerTooLarge,
        LakeFormatError,
        LakeNotFound,
        MergeConflict,
        MissingExtra,
        ObjectExists,
        ObjectNotFound,
        PositionConflict,
        PredicateError,
        QueueNotFound,
        RefError,
        SchemaError,
        SchemaMismatch,
        SourceError,
        SourceGap,
        SourceNotFound,
        SourceUnreachable,
        StoreError,
        StoreTimeout,
        StoreUnsuitable,
        TagNotFound,
        VersionNotFound,
    )
    from dataplat.feature_store.definitions import Entity, FeatureService, FeatureView, Field, Request, on_demand, sql
    from dataplat.feature_store.windows import (
        Count,
        DistinctCount,
        First,
        Last,
        LastN,
        Max,
        Mean,
        Min,
        Quantile,
        Ratio,
        Std,
        Sum,
    )
    from dataplat.ingest import IngestPlan, IngestResult, Progress
    from dataplat.labeling.order import committee, corrections, diversity, drift_slice, uncertainty
    from dataplat.validation import Contract
    from dataplat.validation.rules import (
        distinct_share,
        foreign_key,
        freshness,
        mean,
        no_drift,
        null_share,
        quantile,
        row_count,
        sql_check,
        unique,
    )
    from dataplat.versioning import Diff

__version__ = "0.1.0"

_HOMES = {
    "AsyncFeatureClient": "dataplat._features._client",
    "Contract": "dataplat.validation",
    "Count": "dataplat.feature_store.windows",
    "Diff": "dataplat.versioning",
    "DistinctCount": "dataplat.feature_store.windows",
    "Entity": "dataplat.feature_store.definitions",
    "FeatureClient": "dataplat._features._client",
    "FeatureService": "dataplat.feature_store.definitions",
    "FeatureStore": "dataplat._features",
    "FeatureView": "dataplat.feature_store.definitions",
    "Fetched": "dataplat._features._fetched",
    "Field": "dataplat.feature_store.definitions",
    "First": "dataplat.feature_store.windows",
    "IngestPlan": "dataplat.ingest",
    "IngestResult": "dataplat.ingest",
    "LabelQueue": "dataplat._labels",
    "Lake": "dataplat._lake",
    "Last": "dataplat.feature_store.windows",
    "LastN": "dataplat.feature_store.windows",
    "Max": "dataplat.feature_store.windows",
    "Mean": "dataplat.feature_store.windows",
    "MergeResult": "dataplat._merge",
    "Min": "dataplat.feature_store.windows",
    "Progress": "dataplat.ingest",
    "Quantile": "dataplat.feature_store.windows",
    "Query": "dataplat._query",
    "Ratio": "dataplat.feature_store.windows",
    "Request": "dataplat.feature_store.definitions",
    "Std": "dataplat.feature_store.windows",
    "Sum": "dataplat.feature_store.windows",
    "Version": "dataplat._version",
    "clone": "dataplat._lake",
    "committee": "dataplat.labeling.order",
    "corrections": "dataplat.labeling.order",
    "distinct_share": "dataplat.validation.rules",
    "diversity": "dataplat.labeling.order",
    "drift": "dataplat._drift",
    "drift_slice": "dataplat.labeling.order",
    "foreign_key": "dataplat.validation.rules",
    "freshness": "dataplat.validation.rules",
    "mean": "dataplat.validation.rules",
    "no_drift": "dataplat.validation.rules",
    "null_share": "dataplat.validation.rules",
    "on_demand": "dataplat.feature_store.definitions",
    "open": "dataplat._lake",
    "outliers": "dataplat._drift",
    "profile": "dataplat._profile",
    "quantile": "dataplat.validation.rules",
    "row_count": "dataplat.validation.rules",
    "skew": "dataplat._drift",
    "sql": "dataplat.feature_store.definitions",
    "sql_check": "dataplat.validation.rules",
    "uncertainty": "dataplat.labeling.order",
    "unique": "dataplat.validation.rules",
    "validate": "dataplat._validate",
}

__all__ = [
    "AlreadyExists",
    "AsyncFeatureClient",
    "BadColumn",
    "BadName",
    "BadReference",
    "BranchNotFound",
    "BranchProtected",
    "CommitConflict",
    "CommitError",
    "CommitInDoubt",
    "ConfigError",
    "Contract",
    "ContractError",
    "ContractFailed",
    "Count",
    "DataplatError",
    "DatasetNotFound",
    "Diff",
    "DistinctCount",
    "Entity",
    "FeatureClient",
    "FeatureServerDenied",
    "FeatureServerError",
    "FeatureServerTimeout",
    "FeatureService",
    "FeatureStore",
    "FeatureView",
    "Fetched",
    "Field",
    "First",
    "IngestPlan",
    "IngestResult",
    "IntegrityError",
    "KeyConflict",
    "KeyViolation",
    "LabelConfigError",
    "LabelError",
    "LabelQueue",
    "LabelServerDenied",
    "LabelServerError",
    "LabelServerTimeout",
    "LabelServerTooLarge",
    "Lake",
    "LakeFormatError",
    "LakeNotFound",
    "Last",
    "LastN",
    "Max",
    "Mean",
    "MergeConflict",
    "MergeResult",
    "Min",
    "MissingExtra",
    "ObjectExists",
    "ObjectNotFound",
    "PositionConflict",
    "PredicateError",
    "Progress",
    "Quantile",
    "Query",
    "QueueNotFound",
    "Ratio",
    "RefError",
    "Request",
    "SchemaError",
    "SchemaMismatch",
    "SourceError",
    "SourceGap",
    "SourceNotFound",
    "SourceUnreachable",
    "Std",
    "StoreError",
    "StoreTimeout",
    "StoreUnsuitable",
    "Sum",
    "TagNotFound",
    "Version",
    "VersionNotFound",
    "clone",
    "committee",
    "corrections",
    "distinct_share",
    "diversity",
    "drift",
    "drift_slice",
    "foreign_key",
    "freshness",
    "mean",
    "no_drift",
    "null_share",
    "on_demand",
    "open",
    "outliers",
    "profile",
    "quantile",
    "row_count",
    "skew",
    "sql",
    "sql_check",
    "uncertainty",
    "unique",
    "validate",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        message = f"module 'dataplat' has no attribute {name!r}"
        raise AttributeError(message)
    value = getattr(importlib.import_module(_HOMES.get(name, "dataplat.errors")), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
