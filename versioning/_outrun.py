"""What a change was planned on may be erased or collected before it was read: that is a conflict, no damage."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from dataplat.errors import CommitConflict, IntegrityError, ObjectNotFound, VersionNotFound

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dataplat.versioning.refs import Refs


class OutrunError(CommitConflict):
    """The branch moved on, and what is missing on its old head may be missed by nobody on the new one."""


@contextmanager
def outrun(refs: Refs, branch: str, head: str) -> Iterator[None]:
    """Plan a change in this block on the commit `head` of a branch, and commit it there.

    An erase moves every branch before it deletes anything, and a collection takes nothing that a head needs. So where
    something is missing and the branch is where it was, the lake is damaged, and the error stays what it is.

    Raises:
        OutrunError: Something is missing, and the branch has moved. Nothing was committed.
    """
    try:
        yield
    except (IntegrityError, ObjectNotFound, VersionNotFound) as error:
        if refs.head(branch).commit_id == head:
            raise
        raise OutrunError(
            f"branch {branch!r} moved while this was planned, and something that it was planned on is gone (erased, or "
            f"collected): {error}. Nothing was committed; try again."
        ) from error
