"""Verify: every stored byte against its name, every count against rows; and put right what a copy still has."""

from __future__ import annotations

from dataplat.versioning.verify._gone import Collected
from dataplat.versioning.verify._repair import repair
from dataplat.versioning.verify._report import Kind, Problem, Repair, VerifyReport
from dataplat.versioning.verify._verify import Check, verify_lake, verify_version

__all__ = ["Check", "Collected", "Kind", "Problem", "Repair", "VerifyReport", "repair", "verify_lake", "verify_version"]
