"""A branch that is held to contracts is held to them by whoever pushes or pulls, too."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from dataplat.versioning._protection import contracts_of, pass_gate
from dataplat.versioning.manifest import Manifest, load_manifest
from dataplat.versioning.publish import PlannedChange

if TYPE_CHECKING:
    from dataplat.versioning._record import Record
    from dataplat.versioning.commit import Commit
    from dataplat.versioning.publish import LakeIO
    from dataplat.versioning.transfer._branches import Admit


def admission(target: LakeIO) -> Admit:
    """Return what asks the contracts of a branch of `target` before it is moved to a commit that is there already."""

    def manifest(commit: Commit, dataset: str) -> Manifest | None:
        state = commit.dataset(dataset, target.objects.read)
        return None if state is None or state.version is None else load_manifest(target.objects, state.version)

    def admit(head: Record, commit: Commit) -> None:
        for dataset in contracts_of(head):
            before, after = manifest(head.commit, dataset), manifest(commit, dataset)
            if before is None and after is None:
                continue
            change = PlannedChange(dataset=dataset, mode="merge", base_version=None if before is None else before.id)
            state_of = partial(commit.dataset, read=target.objects.read)
            pass_gate(target.gate, head, dataset, before, after, change, target.objects, state_of)

    return admit
