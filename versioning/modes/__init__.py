"""Modes of writing: append, upsert, replace, delete. Each turns rows into an edit of the version they start from."""

from __future__ import annotations

from dataplat.versioning.modes._base import Base
from dataplat.versioning.modes._keys import IncomingKeys, find_keys
from dataplat.versioning.modes._outcome import Outcome, RowSink
from dataplat.versioning.modes._types import holds
from dataplat.versioning.modes.append import Append
from dataplat.versioning.modes.delete import delete_where
from dataplat.versioning.modes.evolve import Evolution, Evolved, evolved, refuse_nulls
from dataplat.versioning.modes.replace import Replace, keeps_rows
from dataplat.versioning.modes.swap import Swap
from dataplat.versioning.modes.upsert import Upsert

__all__ = [
    "Append",
    "Base",
    "Evolution",
    "Evolved",
    "IncomingKeys",
    "Outcome",
    "Replace",
    "RowSink",
    "Swap",
    "Upsert",
    "delete_where",
    "evolved",
    "find_keys",
    "holds",
    "keeps_rows",
    "refuse_nulls",
]
