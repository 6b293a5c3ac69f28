"""What `lake.features` gives: definitions kept in the lake, training sets, materialisation, lookups, audit."""

from __future__ import annotations

from dataplat._features._store import FeatureStore

__all__ = ["FeatureStore"]
