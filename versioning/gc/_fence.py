"""Fences: records after which every writer of a branch knows of a collection."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from dataplat.errors import BranchNotFound, ObjectExists
from dataplat.versioning.gc._leases import HORIZON, leases
from dataplat.versioning.gc.guard import GC, GC_LAST

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet
    from typing import Any

    from dataplat.lake.objects import Objects
    from dataplat.versioning._record import Record
    from dataplat.versioning.gc._log import GcLog
    from dataplat.versioning.refs import Refs


def forgettable(log: GcLog, now: int) -> set[int]:
    """Return the collections that are over for good; `now` (µs) is by the store's clock."""
    return {
        entry.number
        for entry in log.entries()
        if entry.done and (entry.done + HORIZON < now or log.done(entry.number).definite)
    }


def fence(objects: Objects, refs: Refs, number: int, forgotten: AbstractSet[int]) -> None:
    """Put `number` into the settings of every branch that is there, or that somebody is about to create.

    Leases are read before branches: whose lease has ended by then has created the branch, or never will.
    """
    while True:
        coming = {lease.file.branch: lease.file.commits for lease in leases(objects.store) if lease.file.branch}
        lacking = [head for head in refs.branches() if number not in head.settings.get(GC, ())]
        barred = False
        for head in lacking:
            with suppress(ObjectExists):  # it moved: looked at again
                _publish(refs, head, {*head.settings.get(GC, ()), number} - forgotten, number)
        for name, commits in coming.items():
            barred |= _bar(objects, refs, name, commits[0], number)
        if not lacking and not barred:
            return


def forget(refs: Refs, forgotten: AbstractSet[int]) -> None:
    """Take collections that are over out of the settings of all branches. What fails is left to the next."""
    for head in refs.branches():
        there = set(head.settings.get(GC, ()))
        if there & forgotten:
            with suppress(ObjectExists, BranchNotFound):
                _publish(refs, head, there - forgotten, 0)


def _publish(refs: Refs, head: Record, numbers: AbstractSet[int], last: int) -> None:
    settings: dict[str, Any] = {name: value for name, value in head.settings.items() if name not in {GC, GC_LAST}}
    settings[GC_LAST] = max(head.settings.get(GC_LAST, 0), last)
    if numbers:
        settings[GC] = sorted(numbers)
    message = f"collection {last} begins" if last else "collections are over"
    refs.publish(head.branch, head, head.commit, kind="fence", message=message, settings=settings)


def _bar(objects: Objects, refs: Refs, name: str, commit_id: str, number: int) -> bool:
    """Take the next number of a branch that is not there yet; return whether it has to be looked at again."""
    from dataplat.versioning.commit import load_commit

    try:
        return refs.bar(name, load_commit(objects, commit_id), number)
    except ObjectExists:
        return True
