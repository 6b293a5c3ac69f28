"""Protected branches of simulated histories: a contract is a greatest key, and its text lies in the lake."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dataplat.errors import CommitConflict, ContractFailed, ObjectExists, ObjectNotFound
from dataplat.lake.objects import Objects, Stage
from dataplat.testing._history_rows import content
from dataplat.versioning._protection import CONTRACTS, contracts_of
from dataplat.versioning.commit import Check
from dataplat.versioning.gc.guard import Guard
from dataplat.versioning.manifest import load_manifest

if TYPE_CHECKING:
    from dataplat.lake.stores import Store
    from dataplat.testing._history_rows import Read
    from dataplat.versioning.commit import StateOf
    from dataplat.versioning.manifest import Manifest
    from dataplat.versioning.publish import LakeIO, PlannedChange
    from dataplat.versioning.refs import Record

_RACES = 5


def limit_of(read: Read, held: Any) -> int:
    """Return the greatest key that a contract allows."""
    try:
        return int(read(held["source"], ".bin"))
    except ObjectNotFound as error:
        raise AssertionError(f"the contract {held['name']} of a branch was collected: {error}") from error


def broken_by(read: Read, manifest: Manifest, limit: int) -> list[int]:
    """Return the keys that break a contract."""
    return sorted(key for key, _ in content(read, manifest) if key > limit)


@dataclass(frozen=True, slots=True)
class LimitGate:
    """Asks such contracts."""

    def check(
        self,
        head: Record,
        dataset: str,
        before: Manifest | None,
        after: Manifest | None,
        change: PlannedChange,
        objects: Objects,
        state_of: StateOf,
    ) -> Sequence[Check]:
        """Return the outcome; raise `ContractFailed`."""
        held = contracts_of(head)[dataset]
        assert after is not None
        found = broken_by(objects.read, after, limit_of(objects.read, held))
        if found:
            raise ContractFailed(f"{dataset} would have keys {found} on {head.branch}, which {held['name']} forbids")
        return (Check(name=held["name"], ok=True, rows=after.rows, detail=held["id"]),)


def protect(lake: LakeIO, store: Store, branch: str, dataset: str, limit: int, message: str) -> str:
    """Hold a dataset of a branch to a contract, as `dataplat._protect` does; return the commit it stands at."""
    with Stage(store) as stage:
        held: dict[str, Any] = {"name": f"limit{limit}", "file": "limits", "id": f"limit{limit}"}
        held["source"] = stage.put(str(limit).encode(), ".bin")
        for _ in range(_RACES):
            head = lake.refs.head(branch)
            state = head.commit.dataset(dataset, lake.objects.read)
            version = None if state is None else state.version
            if version is not None:
                found = broken_by(lake.objects.read, load_manifest(lake.objects, version), limit)
                if found:
                    raise ContractFailed(f"{dataset} has keys {found} on {branch} now")
            guard = Guard(lake.objects, lake.refs, stage, head)
            guard.steer(head)
            stage.flush()
            guard.renew(head)
            try:
                return _publish(lake, head, {**contracts_of(head), dataset: held | {"version": version}}, message)
            except ObjectExists:
                continue
    raise CommitConflict(f"{branch} moved all the time")


def unprotect(lake: LakeIO, branch: str, message: str) -> str:
    """Lift what a branch is held to; return the commit it stands at."""
    for _ in range(_RACES):
        head = lake.refs.head(branch)
        if not contracts_of(head):
            raise CommitConflict(f"{branch} is held to nothing")
        try:
            return _publish(lake, head, {}, message)
        except ObjectExists:
            continue
    raise CommitConflict(f"{branch} moved all the time")


def _publish(lake: LakeIO, head: Record, contracts: dict[str, Any], message: str) -> str:
    settings = {name: value for name, value in head.settings.items() if name != CONTRACTS}
    if contracts:
        settings[CONTRACTS] = contracts
    made = lake.refs.publish(head.branch, head, head.commit, kind="protect", message=message, settings=settings)
    return made.commit_id
