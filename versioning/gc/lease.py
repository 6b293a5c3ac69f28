"""Hold versions while they are read for long: nothing of them is collected meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataplat.versioning.gc._leases import TTL, Lease, take_lease
from dataplat.versioning.gc.guard import check_pinned

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dataplat.lake.objects import Objects
    from dataplat.versioning.refs import Refs

__all__ = ["TTL", "Lease", "lease_commits", "lease_uploads", "lease_versions"]


def lease_versions(objects: Objects, refs: Refs, versions: Sequence[str], *, ttl: int = TTL) -> Lease:
    """Take a lease on versions by id; end it, or use it as a context manager. It holds for `ttl` µs (24 hours).

    Raises:
        CommitConflict: A collection that is under way may delete a version.
        VersionNotFound: A version was collected already.
    """
    lease = take_lease(refs, "read", versions=versions, ttl=ttl)
    try:
        check_pinned(objects.store, versions=versions)
    except BaseException:
        lease.end()
        raise
    return lease


def lease_commits(refs: Refs, commits: Sequence[str], *, ttl: int = TTL) -> Lease:
    """Take a lease on the versions at commits that a branch or tag names now, so that they stay when it moves on.

    What a collection under way has condemned is not looked for: who reads them has to bear that one is gone.
    """
    return take_lease(refs, "read", commits=commits, ttl=ttl)


def lease_uploads(refs: Refs, *, ttl: int = TTL) -> Lease:
    """Take a lease for a long upload: collections leave alone what was written after it.

    It saves the work of writing again what a collection took for garbage; nothing depends on it.
    """
    return take_lease(refs, "write", ttl=ttl)
