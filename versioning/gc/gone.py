"""Versions that were collected: what to say of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataplat.errors import VersionNotFound
from dataplat.versioning.gc._log import Gone, collected

if TYPE_CHECKING:
    from dataplat.lake.stores import Store

__all__ = ["Gone", "collected", "refuse_collected"]


def refuse_collected(store: Store, version: str) -> None:
    """Raise `VersionNotFound` if a collection has taken that version."""
    gone = collected(store).get(version)
    if gone is None:
        return
    from dataplat.versioning.history import show_time

    raise VersionNotFound(
        f"version {version[:12]} of {gone.dataset!r} was collected by gc {gone.number} on {show_time(gone.time)}: its "
        "rows are gone, its commit is still in the log. Tag a version to keep it, or raise `branch keep`"
    )
