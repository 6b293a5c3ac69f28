"""Three-way merge of commits: datasets by identity, columns by stored name, rows by key or as multisets."""

from __future__ import annotations

from dataplat.versioning.merge._conflicts import Conflict, Policy, Settlement, conflict_table, in_short, resolutions_of
from dataplat.versioning.merge._one import MergedDataset
from dataplat.versioning.merge.plan import MergePlan, Planner

__all__ = [
    "Conflict",
    "MergePlan",
    "MergedDataset",
    "Planner",
    "Policy",
    "Settlement",
    "conflict_table",
    "in_short",
    "resolutions_of",
]
