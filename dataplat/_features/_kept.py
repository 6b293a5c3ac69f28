"""Versions that are served stay: each snapshot has a lease on the commits that it was made of, until it is let go of.

A snapshot names versions by id, and no branch or tag need name these when a branch moves on and keeps only its newest. What
they are for: the next snapshot is made by the difference to them, also after a step back, and an audit answers served rows
from them again. So they are leased before they are read, and for as long as the snapshot is live or the one before.

An erase is no matter of these leases: of a commit that is leased it leaves what it leaves of a branch.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from dataplat.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dataplat._features._store import FeatureStore
    from dataplat.feature_store.online.store import Snapshot

YEAR: Final = 365 * 86_400 * 1_000_000
"""Microseconds for which a snapshot holds its versions; taken anew by who materialises in the second half of them."""
WEEK: Final = 7 * 86_400 * 1_000_000
"""Microseconds after which the lease of a snapshot that did not go live is that of somebody who died."""
_FOLDER: Final = "leases/"


class Kept:
    """The leases of one space of one online store.

    Args:
        store: the feature store.
        space: `service@version`.
    """

    def __init__(self, store: FeatureStore, space: str) -> None:
        self._lake, self._space = store.lake, space
        named = hashlib.sha256(f"{store.online.place} {space}".encode()).hexdigest()[:16]
        self._prefix = f"features-{named}-"

    def take(self, snapshot: str, commits: Sequence[str]) -> None:
        """Hold the versions at commits for a snapshot.

        Raises:
            CommitConflict: A collection under way may delete one of them.
            VersionNotFound: One was collected.
        """
        from dataplat.versioning.gc._leases import Lease, LeaseFile
        from dataplat.versioning.gc._log import GcLog
        from dataplat.versioning.gc.guard import check_pinned

        refs = self._lake.refs
        now = refs.now()
        nonce = f"{self._prefix}{snapshot}-{now:x}"
        about = LeaseFile(
            kind="read", actor=f"features {self._space}", time=now, nonce=nonce, commits=tuple(commits), ttl=YEAR
        )
        lease = Lease(refs, about)
        if any(not entry.done for entry in GcLog(self._lake.store).entries()):  # it may not have seen the lease
            try:
                check_pinned(self._lake.store, commits=commits)
            except BaseException:
                lease.end()
                raise

    def drop(self, snapshot: str | None) -> None:
        """Let go of what a snapshot held; where the store does not answer a later `tidy` does."""
        if snapshot is not None:
            with suppress(StoreError):
                self._delete([key for key, _, _ in self._there(f"{snapshot}-")])

    def tidy(self, live: Snapshot, commits: Sequence[str]) -> None:
        """See to it that what is live holds the versions at commits, and let go of what those left behind who died.

        What is young and not live may be about to be.
        """
        now, fresh, old = self._lake.refs.now(), False, []
        for key, snapshot, created in self._there():
            if snapshot == live.id and created + YEAR // 2 > now:
                fresh = True
            elif snapshot == live.id or (snapshot != live.parent and created + WEEK < now):
                old.append(key)
        if not fresh:
            self.take(live.id, commits)
        with suppress(StoreError):
            self._delete(old)

    def release(self) -> None:
        """Let go of all."""
        self._delete([key for key, _, _ in self._there()])

    def _there(self, rest: str = "") -> list[tuple[str, str, int]]:
        """Return the leases: key, snapshot, and when each began, by the store's clock."""
        begin = f"{_FOLDER}{self._prefix}"
        found = list(self._lake.store.list(f"{begin}{rest}"))
        return [(info.key, info.key.removeprefix(begin).partition("-")[0], info.created) for info in found]

    def _delete(self, keys: Sequence[str]) -> None:
        for key in keys:
            self._lake.store.delete(key)
