"""The feature store that users hold: a thin façade over what is done with definitions and data."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from dataplat._features._lookup import Looked, Lookups
    from dataplat._lake import Lake
    from dataplat.feature_store.definitions import FeatureService
    from dataplat.feature_store.online.store import OnlineStore
    from dataplat.feature_store.runs import Runs


class FeatureStore:
    """Features of a lake: declared once, the same in training and in serving. Get it from `Lake.features`.

    Args:
        lake: the lake.
        branch: the branch on which definitions and sources are.
    """

    def __init__(self, lake: Lake, branch: str = "main") -> None:
        self.lake = lake
        self.branch = branch

    def __repr__(self) -> str:
        return f"FeatureStore({self.lake.url!r}, branch={self.branch!r})"

    @cached_property
    def online(self) -> OnlineStore:
        """Where features are served from: what `[features] online` names, else an LMDB in the user's state folder."""
        from dataplat.feature_store.online.connect import online_store

        return online_store(None, self.lake.id)

    @cached_property
    def runs(self) -> Runs:
        """Where sorted rows of sources are remembered: the user's cache."""
        from dataplat.feature_store.runs import Runs
        from dataplat.lake._cache_dir import cache_dir

        return Runs(cache_dir() / "features")

    @cached_property
    def _lookups(self) -> Lookups:
        from dataplat._features._lookup import Lookups

        return Lookups(self, self.online)

    def lookup(
        self,
        service: FeatureService | str,
        entities: Mapping[str, Any],
        *,
        t: datetime | int | None = None,
        statuses: bool = False,
        closure: str | None = None,
    ) -> Looked:
        """Look up a service's features, from the online store: what a training set would say of the same entities and time.

        Args:
            service: a service, its name (its newest version), or `name@version`.
            entities: by entity a list of keys, and by column of the request a list of values, all of one length.
            t: the time that is asked for, by default now; not before the snapshot's.
            statuses: whether the status and age of each cell are among the columns of `to_dict`, `to_arrow`, `to_pandas`.
            closure: the hash that a model was trained under; where it differs from the service's, it is refused (PIT 26).

        Raises:
            SchemaError: A column is missing or unknown, of another length, or holds a value of another type; it is named.
            FeatureNotFound: There is no such service, or not that version.
            NotMaterialized: It has no snapshot, or only one of after `t`: the clock went backwards.
            ConfigError: The model was trained under other definitions.
            StoreError: The online store does not answer.
        """
        from dataplat._features._lookup import lookup

        return lookup(self._lookups, service, entities, t=t, statuses=statuses, closure=closure)
