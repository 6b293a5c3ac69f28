"""Carry commits from one lake to another: what is missing, copying it, and moving branches."""

from __future__ import annotations

from dataplat.versioning.transfer._branches import Moved, fetched, forwarded
from dataplat.versioning.transfer._clone import cloned
from dataplat.versioning.transfer._copy import copy_object, copy_objects
from dataplat.versioning.transfer._missing import Missing, is_ancestor, missing

__all__ = [
    "Missing",
    "Moved",
    "cloned",
    "copy_object",
    "copy_objects",
    "fetched",
    "forwarded",
    "is_ancestor",
    "missing",
]
