"""Erasing rows from every version of a dataset: what is found, what is rewritten, and that it does not come back."""

from dataplat.versioning.erase._run import Done, erase
from dataplat.versioning.erase._scope import Derived, Shared
from dataplat.versioning.erase._survey import (
    Request,
    Sight,
    derived_from,
    exports_of,
    mentions,
    refuse_twins,
    see,
    shared_with,
)

__all__ = [
    "Derived",
    "Done",
    "Request",
    "Shared",
    "Sight",
    "derived_from",
    "erase",
    "exports_of",
    "mentions",
    "refuse_twins",
    "see",
    "shared_with",
]
