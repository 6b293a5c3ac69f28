"""Versions that are missing because they were collected, which is no damage."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from dataplat.versioning.gc.gone import collected
from dataplat.versioning.verify._history import DAMAGE

if TYPE_CHECKING:
    from collections.abc import Collection

    from dataplat.lake.stores import Store


class Collected:
    """Answers whether a version was collected; the log of collections is read when first asked."""

    def __init__(self, store: Store) -> None:
        self._store = store

    @cached_property
    def _versions(self) -> Collection[str]:
        try:
            return collected(self._store).keys()
        except DAMAGE:  # a damaged log excuses nothing
            return ()

    def __contains__(self, version: str) -> bool:
        return version in self._versions
