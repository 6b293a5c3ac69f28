"""From here on every writer of every branch knows what was erased."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from dataplat.errors import ObjectExists
from dataplat.versioning.commit import load_commit
from dataplat.versioning.gc._leases import leases
from dataplat.versioning.suppression import ERASE, SUPPRESS, lists_of

if TYPE_CHECKING:
    from typing import Any

    from dataplat.lake.objects import Objects
    from dataplat.versioning.erasures import EraseFile
    from dataplat.versioning.refs import Refs


def fence(objects: Objects, refs: Refs, erase: EraseFile) -> None:
    """Put the lists of `erase` into the settings of every branch that is there, or that somebody is about to create.

    A branch that is created later reads them from the log of erases. Leases are read before branches: whose lease has
    ended by then has created the branch, or never will.
    """
    while True:
        coming = {lease.file.branch: lease.file.commits for lease in leases(objects.store) if lease.file.branch}
        lacking = [head for head in refs.branches() if head.settings.get(ERASE, 0) < erase.number]
        for head in lacking:
            lists = {**lists_of(head.settings), **erase.suppress}
            settings: dict[str, Any] = {**head.settings, SUPPRESS: lists, ERASE: erase.number}
            with suppress(ObjectExists):  # it moved: looked at again
                message = f"erase {erase.number} begins"
                refs.publish(head.branch, head, head.commit, kind="fence", message=message, settings=settings)
        barred = False
        for name, commits in coming.items():
            try:
                barred |= refs.bar_for_erase(name, load_commit(objects, commits[0]), erase.number)
            except ObjectExists:
                barred = True
        if not lacking and not barred:
            return
