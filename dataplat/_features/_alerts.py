"""Tells who wants to know (`[notify]`, as of ingests) that what is served got too old, or that no snapshot can be made.

Each change of state is told once, however many processes see it and however often: an event has the id of what it is about,
and the outbox of this user takes each id once.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING

from dataplat.events._troubles import Troubles

if TYPE_CHECKING:
    from dataplat._features._store import FeatureStore
    from dataplat.events import Event
    from dataplat.events._derive import Place
    from dataplat.feature_store.online.store import Snapshot


class Alerts:
    """What was told of one service by this process, and what is told next.

    Args:
        store: the feature store.
        space: `service@version`.
    """

    def __init__(self, store: FeatureStore, space: str) -> None:
        self._lake, self._branch, self.space = store.lake, store.branch, space
        self._stale: dict[str, str] = {}  # by view: the snapshot that was too old
        self._troubles = Troubles(store.lake, store.branch, "snapshot failing", "snapshot made")

    def look(self, snapshot: Snapshot | None, stale: Mapping[str, int]) -> None:
        """Tell which views got stale, and which are not any more.

        Args:
            snapshot: what is live; None tells nothing, readiness does.
            stale: the views that are, each with how old a snapshot may be, microseconds.
        """
        if snapshot is None:
            return
        place, made = self._place(snapshot.id), _moment(snapshot.at)
        newly = {view: most for view, most in stale.items() if self._stale.get(view) != snapshot.id}
        found = [
            place.event("snapshot stale", view, str(timedelta(microseconds=most)), made) for view, most in newly.items()
        ]
        self._stale |= dict.fromkeys(newly, snapshot.id)
        over = {view: self._stale.pop(view) for view in self._stale.keys() - stale.keys()}
        self._tell(found + [self._place(of).event("snapshot fresh", view, None, None) for view, of in over.items()])

    def failed(self, error: Exception) -> None:
        """Tell that no snapshot can be made, and why; once until one can."""
        self._troubles.failed("", self.space, error)

    def worked(self) -> None:
        """Tell that a snapshot can be made again, where it was told that none can."""
        self._troubles.worked("", self.space)

    def _place(self, about: str) -> Place:
        from dataplat.events._derive import Place

        return Place(self._lake.id, self.space, self._branch, about, self._lake.refs.now())

    def _tell(self, found: list[Event]) -> None:
        if found:
            from dataplat.events._notice import notice

            notice(self._lake, found)


def _moment(micros: int) -> str:
    from dataplat.versioning.history import show_time

    return show_time(micros)
