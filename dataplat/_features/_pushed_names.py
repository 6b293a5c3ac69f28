"""Where pushed rows are: the log of a dataset, which is a space of the online store, and three datasets of the lake.

A row is in the log until it landed; then its id and its bytes are in `features.pushed`, of the same commit as the row itself,
or in `features.refused` too, where it could not land. `features.sequences` says from which sequence on a service saw it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dataplat._features._row_query import of_view
from dataplat._heads import version_at
from dataplat.feature_store.online.plan import bases_of
from dataplat.versioning.references import says_where

if TYPE_CHECKING:
    from dataplat._features._store import FeatureStore
    from dataplat._version import Version
    from dataplat.feature_store.definitions import FeatureService, FeatureView
    from dataplat.versioning.commit import Commit

LOG: Final = "push:"
PUSHED: Final = "features.pushed"
SEQUENCES: Final = "features.sequences"
REFUSED: Final = "features.refused"


def logs(store: FeatureStore) -> list[str]:
    """Return the datasets that have a log."""
    return [space.removeprefix(LOG) for space in store.online.spaces() if space.startswith(LOG)]


def datasets_of(service: FeatureService) -> dict[str, str]:
    """Return the dataset of each base of a service that rows can be pushed to."""
    told = {base.name: grown_by(base) for base in bases_of(service)}
    return {name: dataset for name, dataset in told.items() if dataset is not None}


def landed_by(store: FeatureStore, dataset: str, version: str, head: Commit) -> Version | None:
    """Return `features.pushed` as it was when a version of a dataset was committed; None: nothing had landed.

    Rows and their ids are of one commit, so a version holds the rows whose ids were there then.
    """
    from dataplat.versioning.history import versions

    made = (each.commit for each in versions(store.lake.objects, head, dataset) if each.change.version == version)
    return version_at(store.lake, PUSHED, store.branch, next(made, head))


def grown_by(view: FeatureView) -> str | None:
    """Return the dataset of which a row more is one more for a view, known when it was pushed; None: there is none such."""
    told = view.view
    query = of_view(view)
    if told.history == "commits" or (query is None and not isinstance(told.source, str)):
        return None
    if query is not None and told.known_at is not None and not query.keeps(told.known_at):
        return None
    source = str(told.source) if query is None else query.name
    return None if says_where(source) else source
