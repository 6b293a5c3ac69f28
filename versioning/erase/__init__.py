"""Erasing rows from every version of a dataset: what is found, what is rewritten, and that it does not come back."""

from dataplat.versioning.erase._run import Done, erase
from dataplat.versioning.erase._scope import Derived
from dataplat.versioning.erase._survey import Request, Sight, derived_from, mentions, refuse_twins, see, shared_with

__all__ = [
    "Derived",
    "Done",
    "Request",
    "Sight",
    "derived_from",
    "erase",
    "mentions",
    "refuse_twins",
    "see",
    "shared_with",
]
