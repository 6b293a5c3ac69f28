"""New versions made durable, safe from collections, led to from the old ones, and put on the branches."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataplat.errors import CommitConflict, ObjectNotFound
from dataplat.lake.objects import Objects, Stage
from dataplat.versioning.commit import DatasetState
from dataplat.versioning.erase._find import Dirty
from dataplat.versioning.erase._rewrite import Rewriter
from dataplat.versioning.gc._condemned import Condemned, Sparing
from dataplat.versioning.gc._log import GcLog
from dataplat.versioning.manifest import load_manifest
from dataplat.versioning.publish import PlannedChange, commit
from dataplat.versioning.redactions import Redaction, Redactions, write_redaction

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dataplat.versioning.erase._survey import Sight
    from dataplat.versioning.manifest import Manifest
    from dataplat.versioning.publish import LakeIO


def over(lake: LakeIO) -> frozenset[int]:
    """Return the collections that can delete nothing any more; call it before anything is staged."""
    log = GcLog(lake.objects.store)
    return frozenset(entry.number for entry in log.entries() if log.is_definite(entry))


def redact(
    lake: LakeIO, stage: Stage, leads: Mapping[str, str], erase: str, reason: str, harmless: frozenset[int]
) -> int:
    """Make `stage` durable, then lead each old object to its new one; return how many redactions were written.

    A collection that began before a redaction was there may take what it leads to for garbage: such objects are
    written once more, under keys that no collection knows. Nothing old was deleted before that. `harmless` are those
    that were `over` before anything was staged: one that ended since may have taken what the flush found to be there.
    """
    refs = lake.refs
    sparing = Sparing(stage, Condemned(lake.objects.store), refs.nonce)
    sparing.steer(_others(lake, harmless))
    stage.flush()
    written = 0
    for old, new in leads.items():
        redaction = Redaction(old=old, new=new, erase=erase, actor=refs.actor, time=refs.now(), reason=reason)
        written += write_redaction(lake.objects.store, redaction, refs.patience)
    try:
        sparing.renew(_others(lake, harmless))
    except ObjectNotFound as error:
        raise CommitConflict(
            f"something was collected while rows were erased: {error}. Erase again: it goes on where it stopped."
        ) from error
    return written


def _others(lake: LakeIO, harmless: frozenset[int]) -> list[int]:
    return [entry.number for entry in GcLog(lake.objects.store).entries() if entry.number not in harmless]


def move_heads(lake: LakeIO, sight: Sight, message: str) -> list[str]:
    """Put every branch whose newest version of the dataset was rewritten there; return the commits that did so.

    Where a branch moves meanwhile its new head is rewritten on the spot: what came since the fence holds no such row.
    """
    made = []
    redactions = Redactions.load(lake.objects.store)
    names = {*sight.scope.names, *(f"{name}.rejects" for name in sight.scope.names)}
    for head in lake.refs.branches():
        with Stage(lake.objects.store) as stage:
            changes = []
            for name, state in head.commit.datasets(lake.objects.read).items():
                if name in names:
                    led = redactions.follow(str(state.version))
                    version = _without(lake, load_manifest(lake.objects, led), stage, sight)
                    if version != state.version:
                        changes.append(_change(lake, name, str(state.version), version, stage, sight))
            if changes:
                made.append(commit(lake, head.branch, changes, stage, message=message).id)
    return made


def _without(lake: LakeIO, manifest: Manifest, stage: Stage, sight: Sight) -> str:
    """Return the id of a version without the rows, durable; it may have come since all were rewritten."""
    rewriter = Rewriter(Objects(lake.objects.store, stage), stage, Dirty(sight.dirty | sight.dirty_rejects))
    fresh = rewriter.manifest(manifest)
    stage.flush()
    return fresh.id


def _change(lake: LakeIO, name: str, base: str, version: str, stage: Stage, sight: Sight) -> PlannedChange:
    def replan(head: Manifest | None) -> PlannedChange:
        if head is None:
            raise CommitConflict(f"dataset {name!r} was dropped or renamed while rows were erased from it")
        return _change(lake, name, head.id, _without(lake, head, stage, sight), stage, sight)

    restore = DatasetState(version=version)
    return PlannedChange(dataset=name, mode="erase", base_version=base, restore=restore, replan=replan)
