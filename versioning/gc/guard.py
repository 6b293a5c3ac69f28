"""What writers ask of collections that are under way. See `docs/decisions/2026-11-27-collecting.md` for the argument.

A branch carries, in the settings of its head, `gc`: the collections whose deletes may still happen, and `gc_last`:
the newest that it was fenced by. On a lake where nothing is being collected, an ordinary commit looks at these two
and asks the store nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dataplat.errors import CommitConflict, ObjectNotFound, VersionNotFound
from dataplat.lake.objects import Objects
from dataplat.versioning.commit import load_commit
from dataplat.versioning.gc._condemned import Condemned, Sparing
from dataplat.versioning.gc._log import GcLog
from dataplat.versioning.manifest import load_manifest
from dataplat.versioning.needs import of_commit, of_positions, of_version
from dataplat.versioning.suppression import kept_on

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from dataplat.lake.objects import Stage
    from dataplat.lake.stores import Store
    from dataplat.versioning._record import Record
    from dataplat.versioning.commit import Commit
    from dataplat.versioning.needs import Name
    from dataplat.versioning.rebase import PlannedChange
    from dataplat.versioning.refs import Refs

GC, GC_LAST = "gc", "gc_last"


def carried(before: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return `settings` with what `before` says of collections and of erased rows: only a fence takes from that."""
    kept = {name: before[name] for name in (GC, GC_LAST) if name in before}
    own = {name: value for name, value in settings.items() if name not in {GC, GC_LAST}}
    return {**own, **kept, **kept_on(before, settings)}


class Guard:
    """Keeps one commit from relying on objects that are being deleted. Make it before the stage is flushed.

    `head` is the branch's head at that moment: collections that it had not heard of then may have come and gone
    between flush and publication, with the very objects that the flush found to be there.
    """

    def __init__(self, objects: Objects, refs: Refs, stage: Stage, head: Record) -> None:
        self._objects = objects
        self._stage = stage
        self._condemned = Condemned(objects.store)
        self._sparing = Sparing(stage, self._condemned, refs.nonce)
        self._since = 0 if stage.has_flushed else head.settings.get(GC_LAST, 0)
        self._open = set(head.settings.get(GC, ()))

    def steer(self, head: Record) -> None:
        """Let what is staged be flushed to where no collection that `head` knows of deletes it."""
        self._sparing.steer(self._numbers(head))

    def check(self, head: Record, made: Commit, changes: Sequence[PlannedChange]) -> None:
        """Make the flushed commit `made` safe to publish on `head`, or raise `CommitConflict`."""
        numbers = self._numbers(head)
        if not numbers and GC_LAST not in head.settings:
            return
        foreign = self._foreign(head.commit, made, changes, every=bool(numbers))
        for name in sorted(foreign):  # in an order: a simulated history is its seed, whatever order sets have
            if by := self._condemned.by(name, numbers):
                if self._condemned.spared(name, numbers):
                    continue
                raise CommitConflict(
                    f"object {name[0][:12]}, which this change brings back, is being deleted by collection "
                    f"{max(by)}. Nothing was committed; try again when `dataplat version gc` is over."
                )
            if not self._objects.stored(*name):
                raise CommitConflict(
                    f"object {name[0][:12]}, which this change brings back, was collected meanwhile. "
                    "Nothing was committed."
                )
        self._renew(numbers)

    def renew(self, head: Record) -> None:
        """Make what was staged and flushed safe to be named by the record after `head`."""
        self._renew(self._numbers(head))

    def _numbers(self, head: Record) -> list[int]:
        """Return the collections that may have deleted, or may yet delete, what the stage found to be there."""
        came = range(self._since + 1, head.settings.get(GC_LAST, 0) + 1)
        return sorted({*self._open, *head.settings.get(GC, ()), *came})

    def _renew(self, numbers: Sequence[int]) -> None:
        """Write what was staged, and is a candidate, once more under a key that no collection knows."""
        try:
            self._sparing.renew(numbers)
        except ObjectNotFound as error:
            raise CommitConflict(
                f"what was to be committed was collected meanwhile: {error}. Nothing was committed; try again."
            ) from error

    def _foreign(self, parent: Commit, made: Commit, changes: Sequence[PlannedChange], *, every: bool) -> set[Name]:
        """Return what `made` relies on that neither its stage nor the head before it has."""
        suspects = {
            change.rename_to or change.dataset for change in changes if every or _brings_back(change, self._stage)
        }
        found: set[Name] = set()
        for dataset in sorted(suspects & made.changes.keys()):
            version = made.changes[dataset].version
            state = made.dataset(dataset, self._read)
            if version is None or state is None:
                continue
            before = parent.dataset(made.changes[dataset].renamed_from or dataset, self._objects.read)
            there = None
            names = set(of_positions(state, self._read))
            if before is not None:
                names.difference_update(of_positions(before, self._objects.read))
                there = None if before.version is None else load_manifest(self._objects, before.version)
            staged = Objects(self._objects.store, self._stage)
            names.update(of_version(staged, load_manifest(staged, version), there))
            found.update(names)
        return {name for name in found if not self._stage.knows(*name)}

    def _read(self, id: str, suffix: str) -> bytes:
        return self._stage.read(id, suffix) if self._stage.holds(id, suffix) else self._objects.read(id, suffix)


def _brings_back(change: PlannedChange, stage: Stage) -> bool:
    """Whether a change names objects that its writer did not stage."""
    if change.restore is not None:
        return True
    parts = all(stage.knows(part.id, ".parquet") for part in change.edit.add)
    deletes = [part.deletes for part in change.edit.add] + [id for id, _ in change.edit.deletes.values()]
    return not (parts and all(id is None or stage.knows(id, ".bin") for id in deletes))


def check_pinned(
    store: Store,
    commits: Iterable[str] = (),
    versions: Iterable[str] = (),
    ready: Callable[[dict[str, Any]], object] | None = None,
) -> dict[str, Any]:
    """Return the settings of a branch that begins now; call it with a lease on the same commits or versions in hand.

    `ready` is called with them first: it may write anew what a collection may delete.

    Raises:
        CommitConflict: A collection under way may delete what is pinned.
        VersionNotFound: A version is not there any more.
    """
    log = GcLog(store)
    entries = log.entries()
    if not entries:
        return {}
    numbers = [entry.number for entry in entries if not log.is_definite(entry)]
    settings: dict[str, Any] = {GC_LAST: entries[-1].number}
    if numbers:
        settings[GC] = numbers
    if ready is not None:
        ready(settings)
    condemned = Condemned(store)
    objects = Objects(store)  # remembers nothing: what is remembered may be gone
    for id, suffix in sorted(_pinned(objects, commits, versions)):
        by = condemned.by((id, suffix), numbers)
        if by and not condemned.spared((id, suffix), numbers):
            raise CommitConflict(
                f"object {id[:12]} may be deleted by collection {max(by)}, which is under way: try again when "
                "`dataplat version gc` is over, or at a commit that a branch or tag names"
            )
        if not objects.stored(id, suffix):
            raise VersionNotFound(
                f"object {id[:12]} of that version was collected: choose a version that a branch or tag names"
            )
    return settings


def _pinned(objects: Objects, commits: Iterable[str], versions: Iterable[str]) -> set[Name]:
    try:
        found = {name for version in versions for name in of_version(objects, load_manifest(objects, version))}
        for commit_id in commits:
            commit = load_commit(objects, commit_id)
            found.update([(commit.id, ".json"), *of_commit(commit, objects.read)])
            for state in commit.datasets(objects.read).values():
                found.update(of_version(objects, load_manifest(objects, str(state.version))))
    except ObjectNotFound as error:
        raise VersionNotFound(f"a version that is named here was collected: {error}") from error
    return found
