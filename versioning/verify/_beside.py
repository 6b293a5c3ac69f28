"""What no branch or tag refers to: orphans are counted, and damage in them is a warning, as it is in memos."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataplat.errors import ObjectNotFound, StoreError
from dataplat.lake._object_keys import FOLDER, object_key
from dataplat.lake.memos import is_whole
from dataplat.versioning._record import is_stray
from dataplat.versioning._seal import unseal
from dataplat.versioning.commit import decode_commit
from dataplat.versioning.verify._history import DAMAGE, History, Note, fault
from dataplat.versioning.verify._report import Problem

if TYPE_CHECKING:
    from dataplat.lake.stores import Store
    from dataplat.versioning.commit import Commit
    from dataplat.versioning.needs import Name
    from dataplat.versioning.verify._report import VerifyReport
    from dataplat.versioning.verify._shelf import Shelf


def check_orphans(store: Store, shelf: Shelf, history: History, report: VerifyReport) -> set[Name]:
    """Hash the objects that nothing refers to; return their names.

    A commit among them that would be the next of a branch is told of: its record may be lost, or its writer was
    killed before it wrote one.
    """
    heads = {record.commit_id: record for record in history.heads()}
    orphans = set(shelf.unchecked())
    for name in sorted(orphans):
        report.orphans += len(shelf.keys(name))
        if not shelf.check(name):
            for key in shelf.bad_keys(name):
                report.warnings.append(Problem(key, *shelf.damage[key]))
            continue
        commit = _commit(store, name) if name[1] == ".json" else None
        if commit is not None and commit.parents and commit.parents[0] in heads:
            head = heads[commit.parents[0]]
            what = (
                f"commit {commit.id[:12]} would be the next on branch {head.branch!r}, and no record says so: its writer "
                f"was stopped before it was there, or record {head.number + 1} is lost"
            )
            report.warnings.append(Problem(object_key(*name), "stray", what, refs=(head.branch,)))
    for info in store.list("refs/"):
        if is_stray(info.key):
            report.warnings.append(Problem(info.key, "stray", "nothing of a lake has such a name under refs/"))
    for key in shelf.strangers:
        report.warnings.append(Problem(key, "stray", f"nothing of a lake has such a name under {FOLDER}/"))
    return orphans


def check_memos(store: Store, report: VerifyReport) -> None:
    """Warn of memos that are damaged: each is computed again when it is asked for."""
    for info in store.list("memo/"):
        try:
            whole = is_whole(info.key, store.read(info.key))
        except StoreError as error:
            report.warnings.append(Problem(info.key, "unreadable", str(error)))
            continue
        if not whole:
            what = "it is not what was remembered there; it will be computed again"
            report.warnings.append(Problem(info.key, "changed" if info.size else "truncated", what))


def check_logs(store: Store, note: Note) -> None:
    """Check what collections, erases and leases wrote: each by its own checksum. A damaged lease only keeps what it held."""
    from dataplat.versioning.erasures import PREFIX, EraseFile
    from dataplat.versioning.gc._leases import FOLDER as LEASES
    from dataplat.versioning.gc._leases import is_lease_key, read_lease
    from dataplat.versioning.gc._log import CLOSED, DONE, OPEN, GcLog, key_of
    from dataplat.versioning.redactions import FOLDER as REDACTIONS
    from dataplat.versioning.redactions import read_redaction

    log = GcLog(store)
    for entry in log.entries():
        reads = {OPEN: (entry.opened, log.opened), CLOSED: (entry.closed, log.closed), DONE: (entry.done, log.done)}
        for kind, (there, read) in reads.items():
            key = key_of(entry.number, kind)
            try:
                if there:
                    read(entry.number)
            except DAMAGE as error:
                note(key, *fault(store, key, error), ())
    for info in store.list(REDACTIONS):
        is_log = info.key.startswith(PREFIX)
        try:
            if is_log:
                unseal(store.read(info.key), EraseFile, info.key, "erase")
            else:
                read_redaction(store, info.key.removeprefix(REDACTIONS).removesuffix(".json"))
        except DAMAGE as error:
            note(info.key, *fault(store, info.key, error), ())
    for info in store.list(LEASES):
        if not is_lease_key(info.key):
            continue
        try:
            read_lease(store, info.key)
        except ObjectNotFound:  # it has just ended
            continue
        except DAMAGE as error:
            note(info.key, *fault(store, info.key, error), ())


def _commit(store: Store, name: Name) -> Commit | None:
    try:
        return decode_commit(store.read(object_key(*name)), name[0])
    except DAMAGE:
        return None
