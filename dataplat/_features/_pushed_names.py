"""Where pushed rows are: the log of a dataset, which is a space of the online store, and three datasets of the lake.

A row is in the log until it landed; then its id and its bytes are in `features.pushed`, of the same commit as the row itself,
or in `features.refused` too, where it could not land. `features.sequences` says from which sequence on a service saw it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dataplat.feature_store.online.plan import bases_of

if TYPE_CHECKING:
    from dataplat._features._store import FeatureStore
    from dataplat._version import Version
    from dataplat.feature_store.definitions import FeatureService
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
    found = {}
    for base in bases_of(service):
        source = base.view.source
        if isinstance(source, str) and "@" not in source and "~" not in source and base.view.history != "commits":
            found[base.name] = source
    return found


def version_at(store: FeatureStore, dataset: str, commit: Commit) -> Version | None:
    """Return a dataset as it is at a commit; None where there is none."""
    state = commit.dataset(dataset, store.lake.objects.read)
    return None if state is None or state.version is None else store.lake.version(dataset, store.branch, commit)
